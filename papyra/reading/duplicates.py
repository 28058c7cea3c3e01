"""
Where one id comes twice: the last copy is the record and is returned; the others are reported as duplicates.

A read from the newest end meets the last copy first. Every pass from the oldest end has to know
before it begins which records are repeated, and where each of them comes last. Reads, scans,
recoveries and compactions use it; it knows lines, and nothing of the store that has them.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Final, NoReturn

from papyra.errors import StoreIOError
from papyra.format.codec import BEGINNING, END, has_checksum
from papyra.reading.findings import Findings
from papyra.reading.repeated_ids import ids_in, may_repeat
from papyra.reading.scanner import Line, Lines, Source, View, examine
from papyra.reading.seen_ids import Ids, SeenIds, number_in
from papyra.record import Record

#: Counts up to this one are kept as ranges, one set a count; higher ones are rare, and kept one by one.
_LEVELS: Final = 8

_Id = tuple[str, int]


class _Counts:
    """How often each id was met; ids that follow one another take no memory of their own."""

    __slots__ = ("_levels", "_more")

    def __init__(self) -> None:
        # The first holds the ids that were met at least once, the second those at least twice.
        self._levels: list[Ids] = []
        self._more: dict[_Id, int] = {}

    def add(self, id_: _Id) -> int:
        """Count *id_* once more, and return how often it was met."""
        count = self.count(id_) + 1
        if count > _LEVELS:
            self._more[id_] = count
            return count
        if count > len(self._levels):
            self._levels.append(Ids())
        self._levels[count - 1].add(id_)
        return count

    def count(self, id_: _Id) -> int:
        """Return how often *id_* was met."""
        count = 0
        for level in self._levels:
            if id_ not in level:
                return count
            count += 1
        return self._more.get(id_, count)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Counts):
            return NotImplemented
        return self._levels == other._levels and self._more == other._more

    __hash__: ClassVar[None]  # type: ignore[assignment]  # it changes


class Repeats:
    """
    The ids that a store holds more than once, and where each of them comes last.

    It takes memory for the repeated ids alone, as ranges. It knows nothing before `look`.
    """

    __slots__ = ("_counts", "_expected", "_repeated")

    def __init__(self) -> None:
        self._repeated = Ids()
        # Source -> how often it holds each of the ids that come last in it.
        self._expected: dict[str, _Counts] = {}
        self._counts: dict[str, _Counts] = {}

    def __bool__(self) -> bool:
        return bool(self._repeated)

    def look(self, lines: Lines) -> None:
        """Find the repeated ids; if there are any, all *lines* are read a second time."""
        for id_ in _repeated_in(lines(newest_first=False)):
            self._repeated.add(id_)
        if not self._repeated:
            return
        seen = Ids()
        for (source, _), line in lines(newest_first=True):
            for id_ in ids_in(line):
                if id_ not in self._repeated:
                    continue
                here = self._expected.setdefault(source, _Counts())
                # In any older source each of them is an earlier copy, however many there are.
                if seen.add(id_) or here.count(id_):
                    here.add(id_)

    def has(self, id_: str) -> bool:
        """Tell whether *id_* is one of those that are repeated."""
        return (named := number_in(id_)) is not None and named in self._repeated

    def is_last(self, source: str, id_: str | None) -> bool | None:
        """
        Tell whether the record of *id_* that comes next in *source* is the last copy.

        It must be called for every record of the store in order. None for a record that is not repeated.
        """
        named = number_in(id_) if self._repeated and id_ is not None else None
        if named is None or named not in self._repeated:
            return None
        expected = self._expected.get(source)
        count = 0 if expected is None else expected.count(named)
        if not count:
            return False
        return self._counts.setdefault(source, _Counts()).add(named) == count

    def is_as_expected(self, source: str) -> bool:
        """Tell whether *source*, which was shown whole, held every copy that `look` found in it."""
        return self._counts.get(source, _NONE) == self._expected.get(source, _NONE)


_NONE: Final = _Counts()


class LastCopies(SeenIds):
    """
    The records met so far; *repeats* tells which copy is the record.

    All lines have to come from `watched`, oldest first. *seen* knows those without an id.
    """

    __slots__ = ("_repeats", "_seen", "_source")

    def __init__(self, repeats: Repeats, seen: SeenIds) -> None:
        super().__init__()
        self._repeats = repeats
        self._seen = seen
        self._source = ""

    def watched(self, lines: Iterable[Line]) -> Iterator[Line]:
        """
        Yield *lines*.

        Raises:
            StoreIOError: behind the last line of a source that was rewritten since `look` read it.
        """
        for place, line in lines:
            if place[0] != self._source:
                self._check()
                self._source = place[0]
            yield place, line
        self._check()

    def _check(self) -> None:
        if self._source and not self._repeats.is_as_expected(self._source):
            reason = "another process rewrote the store while it was read; read it again"
            raise StoreIOError(errno.EIO, reason, self._source)

    def add(self, record: Record, line: bytes | int) -> bool:
        """Take in the *record* in *line*; return False if it was there, or comes again."""
        is_last = self._repeats.is_last(self._source, record.id)
        return super().add(record, line) if is_last is None else is_last

    def _add_without_id(self, record: Record, line: bytes | int) -> bool:
        return self._seen._add_without_id(record, line)

    def add_id(self, id_: str) -> bool:
        """Take in *id_* unless it is repeated: then the line comes to `add`."""
        is_new = not self._repeats.has(id_) and super().add_id(id_)
        # The next id may be repeated, so it must come here.
        self.next_end: bytes | tuple[()] = ()
        return is_new


class RepeatError(Exception):
    """A record was met a second time."""


class UniqueSeenIds(SeenIds):
    """
    The records met so far, before any pass found repeats. *seen* knows those without an id.

    Of records that are known by their contents the first copy counts, so they need no second pass.

    Raises:
        RepeatError: at the first id that was met before, from each method that would return False.
    """

    __slots__ = ("_seen",)

    def __init__(self, seen: SeenIds) -> None:
        super().__init__()
        self._seen = seen

    def _add_without_id(self, record: Record, line: bytes | int) -> bool:
        return self._seen._add_without_id(record, line)

    def add_id(self, id_: str) -> bool:
        """Take in *id_*."""
        return super().add_id(id_) or _repeat()


def _repeat() -> NoReturn:
    raise RepeatError


def copies_in(view: View, new_seen: Callable[[], SeenIds]) -> tuple[Iterable[Line], SeenIds]:
    """
    Return the lines of *view*, oldest first, and the seen ids that tell which copies are the records.

    *new_seen* is the store's (see `Source`).

    Raises:
        StoreIOError: behind the last line of a source that another process rewrote meanwhile.
    """
    if not may_repeat(view.batches()):
        return view.lines(newest_first=False), new_seen()
    return _last_copies_in(view, new_seen)


def _last_copies_in(view: View, new_seen: Callable[[], SeenIds]) -> tuple[Iterable[Line], SeenIds]:
    repeats = Repeats()
    repeats.look(view.lines)
    seen = LastCopies(repeats, new_seen())
    return seen.watched(view.lines(newest_first=False)), seen


def look_through(source: Source, findings: Findings) -> tuple[int, int, list[str]]:
    """
    Do as `examine` does, but count the last copy of a record that is repeated.

    Raises:
        StoreIOError: if another process rewrote the store meanwhile.
    """
    mark = findings.mark()
    try:
        return examine(
            source.lines(newest_first=False), findings, seen=UniqueSeenIds(source.new_seen())
        )
    except RepeatError:
        findings.rewind(mark)
    with source.view() as view:
        again, seen = _last_copies_in(view, source.new_seen)
        return examine(again, findings, seen=seen)


def _repeated_in(lines: Iterable[Line]) -> Iterator[_Id]:
    """Yield the id of each record that was met before."""
    seen = SeenIds()
    for _, line in lines:
        if (
            type(line) is bytes
            and line.endswith(seen.next_end, 0, -END)
            and line.startswith(BEGINNING)
            and has_checksum(line)
        ):
            seen.add_next()
            continue
        for writer, number in ids_in(line):
            if not seen.add_id(f"{writer}-{number}"):
                yield writer, number
