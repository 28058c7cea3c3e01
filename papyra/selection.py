"""
Which records a read returns, and which lines a compaction or recovery keeps.

Retention comes first of all filters. Where it depends on what follows a record, one look from
the newest record on finds the oldest that stays: the cut.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import dropwhile, takewhile
from typing import Final, NamedTuple, Protocol

from papyra.anomaly import Anomaly, Place
from papyra.dropped import Dropped
from papyra.errors import CorruptRecordError, PapyraError
from papyra.identity import Seen
from papyra.record import Record
from papyra.repeats import RepeatError, Repeats, SeenOnce, copies_in
from papyra.reports import Findings
from papyra.retention import Retention
from papyra.sifting import (
    DUPLICATE,
    Found,
    Line,
    Lines,
    Source,
    anomaly_at,
    intact,
    pieces_of,
    records_in,
)

_KEEP_ALL: Final = Retention()
#: Times that a stream looks for the oldest record that stays.
_LOOKS: Final = 5


class Query(NamedTuple):
    """What a read asks for: *kind*, a timestamp from *since* on, the newest *limit* of these."""

    kind: str | None
    since: float | None
    limit: int | None
    strict: bool

    def admits(self, record: Record) -> bool:
        """Tell whether *record* is of the kind and time that are asked for."""
        return (self.kind is None or record.kind == self.kind) and (
            self.since is None or record.timestamp >= self.since
        )


def query_of(kind: str | None, since: float | None, limit: int | None, *, strict: bool) -> Query:
    """
    Return what a read asks for.

    Raises:
        ValueError: if no record could ever be found, whatever the store holds.
    """
    if limit is not None and (type(limit) is not int or limit < 0):
        raise ValueError(f"limit is {limit!r}: a whole number from 0 on is needed, or None")
    is_number = isinstance(since, (int, float)) and not isinstance(since, bool)
    if since is not None and not (is_number and since == since):  # noqa: PLR0124  NaN is not
        raise ValueError(f"since is {since!r}: seconds since the epoch are needed, or None")
    if kind is not None and not isinstance(kind, str):
        raise ValueError(f"kind must be a string or None, got {kind!r:.80}")
    return Query(kind, since, limit, strict)


def newest(
    source: Source, retention: Retention, query: Query, now: float, findings: Findings
) -> list[Record]:
    """Return the records that *query* asks for, oldest first, looking from the newest on."""
    # None where nothing is ever out: asking for each record is a tenth of a short read.
    admission = None if retention.keeps_all else retention.from_newest(now)
    limit = query.limit
    chosen: list[Record] = []
    if (admission is not None and admission.full) or limit == 0:
        return chosen
    for found in intact(
        source.lines(newest_first=True),
        findings,
        newest_first=True,
        strict=query.strict,
        seen=source.new_seen(),
    ):
        record = found.record
        if (admission is None or admission.admit(record.timestamp, found.weight)) and query.admits(
            record
        ):
            chosen.append(record)
            if len(chosen) == limit:
                break
        if admission is not None and admission.full:
            break
    chosen.reverse()
    return chosen


def read_all(
    source: Source, retention: Retention, query: Query, now: float, findings: Findings
) -> list[Record]:
    """Return the records that *query* asks for, oldest first."""
    if query.limit is not None or retention.counts:
        return newest(source, retention, query, now, findings)
    mark = findings.mark()
    first_look = SeenOnce(source.new_seen())
    once = records_in(
        source.lines(newest_first=False), findings, strict=query.strict, seen=first_look
    )
    try:
        return list(_selected(once, retention, query, now))
    except RepeatError:
        findings.rewind(mark)
    except CorruptRecordError:  # an earlier copy of a record may stand before it, and is damage too
        findings.rewind(mark)
    # As a stream does: of equal contents the first copy counts, which a look from the newest cannot know.
    with source.view() as view:
        again, seen = copies_in(view, source.new_seen)
        kept = records_in(again, findings, strict=query.strict, seen=seen)
        return list(_selected(kept, retention, query, now))


def stream(
    source: Source, retention: Retention, query: Query, now: float, findings: Findings
) -> Iterable[Record]:
    """Iterate over the records that *query* asks for, oldest first."""
    if query.limit is not None:
        return newest(source, retention, query, now, findings)
    if retention.counts:
        kept = _kept(source, retention, query, now, findings)
    else:
        kept = _all(source, findings, strict=query.strict)
    return _selected(kept, retention, query, now)


def _all(source: Source, findings: Findings, *, strict: bool) -> Iterator[Record]:
    with source.view() as view:
        lines, seen = copies_in(view, source.new_seen)
        yield from records_in(lines, findings, strict=strict, seen=seen)


def _selected(
    kept: Iterator[Record], retention: Retention, query: Query, now: float
) -> Iterator[Record]:
    """Return those that are young enough, and that *query* asks for."""
    if retention.max_age is None and query.kind is None and query.since is None:
        return kept  # each step between costs as much as a tenth of the parsing
    return (
        record
        for record in kept
        if retention.is_young(record.timestamp, now) and query.admits(record)
    )


def _kept(
    source: Source, retention: Retention, query: Query, now: float, findings: Findings
) -> Iterator[Record]:
    """Yield the records from the cut on; where a compaction moved it meanwhile, look again."""
    for _ in range(_LOOKS):
        damage = Findings()
        cut = _find_cut(source.lines, source.new_seen, retention, now, damage)
        if cut is None:
            return
        if damage.duplicates:
            break
        if cut is _BEGINNING:
            every = source.lines(newest_first=False)
            yield from records_in(every, findings, strict=query.strict, seen=source.new_seen())
            return
        rest = intact(
            _from(cut.place, source.lines),
            findings,
            start=cut.start,
            strict=query.strict,
            seen=source.new_seen(),
        )
        found = next(rest, None)
        if found is not None and _same(found, cut):
            yield found.record
            yield from (later.record for later in rest)
            return
    # Another process compacts all the time, or only the newest copies are kept: hold what is kept.
    kept = Query(kind=None, since=None, limit=None, strict=query.strict)
    yield from newest(source, retention, kept, now, findings)


def _from(place: Place, lines: Lines) -> Iterator[Line]:
    """Iterate over the lines from the one at *place* on."""
    return dropwhile(lambda line: line[0] != place, lines(newest_first=False))


_BEGINNING: Final = Found(("", 0), 0, 0, Record("cut", timestamp=0))


def _find_cut(
    lines: Lines, new_seen: Callable[[], Seen], retention: Retention, now: float, findings: Findings
) -> Found | None:
    """
    Return the oldest record that stays; None if none does, _BEGINNING if nothing is cut off.

    The damage from there on is added to *findings*.
    """
    if not retention.counts:
        return _BEGINNING
    admission = retention.from_newest(now)
    cut = None
    if not admission.full:
        for found in intact(
            lines(newest_first=True),
            findings,
            newest_first=True,
            places_only=True,
            seen=new_seen(),
        ):
            if admission.admit(found.record.timestamp, found.weight):
                cut = found
            if admission.full:
                return cut
        return _BEGINNING
    return cut


def _same(one: Found, other: Found) -> bool:
    """Tell whether both are one line; by its outside, since data with NaN equals nothing."""
    mine, its = one.record, other.record
    return one[:3] == other[:3] and (mine.id, mine.kind, mine.timestamp) == (
        its.id,
        its.kind,
        its.timestamp,
    )


def count_records(lines: Iterable[Line], seen: Seen) -> dict[str, Dropped]:
    """Return what is known of the intact records in *lines*, by the source that they stand in."""
    counted: dict[str, Dropped] = {}
    for found in intact(lines, Findings(), places_only=True, seen=seen):
        counted.setdefault(found.place[0], Dropped()).add(found.record, found.size)
    return counted


class Part(NamedTuple):
    """
    The bytes *start* to *stop* of a line, and why they go: kept, if there is no anomaly.

    What no part of a line covers is dropped for good.
    """

    start: int
    stop: int
    anomaly: Anomaly | None


class Judge(Protocol):
    """
    What a store's `_rewrite` asks.

    It calls `begin` once nobody else can rewrite the store, then shows every line, oldest first,
    calls `finish` for each source before it replaces it, and keeps, quarantines or drops the parts
    as it was told. A part that is kept goes into the new store byte for byte, and on a line of
    its own.
    """

    def begin(self, lines: Lines, /) -> None:
        """Say that nobody else rewrites the store, and which *lines* will be shown."""

    def __call__(self, place: Place, line: bytes | int, /) -> Sequence[Part]:
        """Return the parts of *line*, in order; of a line too long to be held, its length."""
        ...

    def finish(self, source: str, /) -> None:
        """
        Say that all lines of *source* were shown.

        Raises:
            PapyraError: if they were not those that the verdicts were made for.
        """


class Sorter:
    """
    The judge of a recovery (without retention) and of a compaction (with it).

    Args:
        retention: What stays of the records.
        now: The time by which they are judged.
        new_seen: The store's `_new_seen_ids`.
        may_repeat: Whether records may be repeated: a look before found some, or there was no look.

    Attributes:
        kept: Records that stay.
        dropped: What is known of the records outside the retention.
        findings: The damage, which goes to the quarantine.
    """

    def __init__(
        self,
        retention: Retention | None,
        now: float,
        new_seen: Callable[[], Seen],
        *,
        may_repeat: bool = True,
    ) -> None:
        self.kept: int = 0
        self.dropped: Dropped = Dropped()
        self.findings: Findings = Findings()
        self._retention = _KEEP_ALL if retention is None else retention
        self._now = now
        self._new_seen = new_seen
        self._seen = new_seen()
        self._may_repeat = may_repeat
        self._repeats = Repeats()
        self._cut: Found | None = None
        self._newer: Collection[str] = ()
        self._reached = False

    def begin(self, lines: Lines, /) -> None:
        """
        Find the oldest record that stays, and the last copies of those that are repeated.

        Of sources newer than that of the oldest one, all records stay.
        """
        sources: dict[str, None] = {}  # newest first

        def noted(*, newest_first: bool) -> Iterator[Line]:
            for line in lines(newest_first=newest_first):
                sources[line[0][0]] = None
                yield line

        damage = Findings()
        self._cut = _find_cut(noted, self._new_seen, self._retention, self._now, damage)
        self._reached = self._cut is _BEGINNING
        if self._cut is not None:
            at = self._cut.place[0]
            # Known by name: the cut's own may be dropped by a rotation before it is shown.
            self._newer = set(takewhile(lambda source: source != at, sources))
        # The look for the cut has met every repeat of what stays.
        if self._cut is not None and (
            damage.duplicates if self._retention.counts else self._may_repeat
        ):
            self._repeats.look(lines)

    def __call__(self, place: Place, line: bytes | int, /) -> Sequence[Part]:
        """Return the parts of *line*."""
        pieces = pieces_of(line)
        if isinstance(line, bytes) and not pieces:
            return (Part(0, len(line), None),)  # blank
        parts = []
        for piece in pieces:
            content = piece.content
            if isinstance(content, Record):
                found = Found(place, piece.start, piece.stop - piece.start, content)
                is_last = self._repeats.is_last(place[0], content.id)
                if not self._stays(found):
                    self.dropped.add(content, found.size)
                    continue
                if self._seen.add(content, line) if is_last is None else is_last:
                    self.kept += 1
                    parts.append(Part(piece.start, piece.stop, None))
                    continue
                content = DUPLICATE
            anomaly = anomaly_at(place, piece, content)
            self.findings.add(anomaly)
            parts.append(Part(piece.start, piece.stop, anomaly))
        return parts

    def _stays(self, found: Found) -> bool:
        if not self._reached and self._cut is not None:
            self._reached = found.place[0] in self._newer or _same(found, self._cut)
        return self._reached and self._retention.is_young(found.record.timestamp, self._now)

    def finish(self, source: str, /) -> None:
        """
        Say that all lines of *source* were shown.

        Raises:
            PapyraError: if the oldest record to be kept was not among them, or a copy that was
                counted on when other copies were taken for duplicates.
        """
        is_cut_lost = self._cut is not None and not self._reached and source == self._cut.place[0]
        if is_cut_lost or not self._repeats.is_as_expected(source):
            raise PapyraError(
                f"{source}: another program changed the store meanwhile; it was left as it is; try again"
            )
