"""
Turn lines into records and findings: which records are intact, and which bytes are damaged.

Everything here is pure: lines in, records and findings out. A line comes with its newline, if it has
one; a line that is too long to be held comes as its length.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Final, NamedTuple, Protocol

from papyra.errors import CorruptRecordError, UnreadableRecordError
from papyra.format.codec import (
    BEGINNING,
    END,
    NotParsedError,
    StandIn,
    decode,
    has_checksum,
    id_in,
    stand_in,
)
from papyra.format.damaged_lines import dissect
from papyra.format.flaws import Flaw, Fragment, oversized
from papyra.reading.findings import Findings
from papyra.reading.seen_ids import SeenIds
from papyra.record import Record
from papyra.reports import Anomaly, Place

#: A line as a store's `_lines` yields it.
Line = tuple[Place, bytes | int]

#: The most lines and bytes of one batch of a view; one line alone may be larger.
_BATCH: Final = 1000
_BATCH_BYTES: Final = 1024 * 1024
#: The flaw of a record that was met before.
DUPLICATE: Final = Flaw("duplicate_record", "the same record is stored elsewhere, too")


class Lines(Protocol):
    """A store's `_lines`."""

    def __call__(self, *, newest_first: bool) -> Iterator[Line]:
        """Iterate over the lines of one moment."""
        ...


class LineReader(Protocol):
    """Reads more lines than papyra's own, such as those of other tools."""

    def read(self, lines: Iterable[Line], /) -> Iterator[Line]:
        """Yield *lines*, each as it is or as papyra would have written it."""
        ...

    def fragments_of(self, line: bytes | int, /) -> list[Fragment]:
        """Return the fragments of such a line."""
        ...


class View(Protocol):
    """The lines of one moment, which can be read any number of times."""

    def lines(self, *, newest_first: bool) -> Iterator[Line]:
        """Iterate over them."""
        ...

    def batches(self) -> Iterator[Sequence[bytes | int]]:
        """Iterate over them, oldest first, many at once and without their places."""
        ...


class Source(NamedTuple):
    """
    The part of a store that reads use.

    Attributes:
        lines: Its `_lines`.
        view: Its `_view`.
        new_seen: Its `_new_seen_ids`.
    """

    lines: Lines
    view: Callable[[], AbstractContextManager[View]]
    new_seen: Callable[[], SeenIds]


class Moment:
    """The view that *lines* give."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def batches(self) -> Iterator[Sequence[bytes | int]]:
        """Iterate over the lines, oldest first, many at once and without their places."""
        batch: list[bytes | int] = []
        size = 0
        for _, line in self.lines(newest_first=False):
            batch.append(line)
            # Otherwise a thousand long lines would take a thousand times the memory of a pass.
            size += len(line) if type(line) is bytes else 0
            if len(batch) == _BATCH or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


class LocatedRecord(NamedTuple):
    """
    An intact record and its place.

    Attributes:
        place: Where its line begins.
        start: Where in the line the record begins; not 0 only where records share a line.
        size: Its bytes.
        line: The line, if it was kept.
    """

    place: Place
    start: int
    size: int
    record: Record
    line: bytes | int = b""

    @property
    def bytes(self) -> bytes:
        """The record as it is stored, on a line of its own."""
        assert isinstance(self.line, bytes)  # noqa: S101  one that is too long has no records
        own = self.line[self.start : self.start + self.size]
        return own if own.endswith(b"\n") else own + b"\n"

    @property
    def weight(self) -> int:
        """Its bytes on a line of its own: with the newline that a rewrite adds where there is none."""
        line, stop = self.line, self.start + self.size
        assert isinstance(line, bytes)  # noqa: S101  one that is too long has no records
        return self.size if line[stop - 1 : stop] == b"\n" else self.size + 1


#: Makes a LocatedRecord of its fields, without the Python code of a NamedTuple's own constructor.
_found = partial(tuple.__new__, LocatedRecord)


def intact(  # noqa: PLR0913  each says how it looks
    lines: Iterable[Line],
    findings: Findings,
    *,
    newest_first: bool = False,
    strict: bool = False,
    start: int = 0,
    places_only: bool = False,
    seen: SeenIds | None = None,
    reader: LineReader | None = None,
) -> Iterator[LocatedRecord]:
    """
    Yield the records in *lines* with their places, and add the damage to *findings*.

    The bytes before byte *start* of the first line are passed over. With *places_only*, a `StandIn` is
    yielded for an intact record that cannot be read. Of a record that is repeated, *seen* tells which
    copy counts; by default the first one. A *reader* is given the lines first.

    Raises:
        CorruptRecordError: at the first damage, if *strict*.
        UnreadableRecordError: at an intact record that cannot be read.
    """
    seen = SeenIds() if seen is None else seen
    split = fragments_of if reader is None else reader.fragments_of
    for place, line in lines if reader is None else reader.read(lines):
        if not start and type(line) is bytes and (record := _new_record(line, seen)):
            yield _found((place, 0, len(line), record, line))
            continue
        fragments = [fragment for fragment in split(line) if fragment.start >= start]
        if newest_first:
            fragments.reverse()
        for found in _sifted((place, line), fragments, seen, findings, strict=strict):
            if not places_only:
                _check_read(found)
            yield found
        start = 0


def records_in(
    lines: Iterable[Line], findings: Findings, *, strict: bool, seen: SeenIds | None = None
) -> Iterator[Record]:
    """
    Yield the records in *lines*, as `intact` does, but without their places.

    Raises:
        CorruptRecordError, UnreadableRecordError: as `intact`.
    """
    seen = SeenIds() if seen is None else seen
    for place, line in lines:
        if type(line) is bytes and (record := _new_record(line, seen)):
            yield record
            continue
        for found in _sifted((place, line), fragments_of(line), seen, findings, strict=strict):
            _check_read(found)
            yield found.record


def _check_read(found: LocatedRecord) -> None:
    """Raise if the record of an intact line could not be read."""
    if isinstance(found.record, StandIn):
        raise UnreadableRecordError(*found.place, found.record.reason)


def _sifted(
    at: Line, fragments: Iterable[Fragment], seen: SeenIds, findings: Findings, *, strict: bool
) -> Iterator[LocatedRecord]:
    """Yield the records among the *fragments* of a line, and add the others to *findings*."""
    place, line = at
    for fragment in fragments:
        content = fragment.content
        if isinstance(content, Record):
            if seen.add(content, line):
                yield LocatedRecord(
                    place, fragment.start, fragment.stop - fragment.start, content, line
                )
                continue
            content = DUPLICATE
        anomaly = anomaly_at(place, fragment, content)
        findings.add(anomaly)
        if strict:
            raise CorruptRecordError(anomaly.source, anomaly.offset, anomaly.detail)


def _new_record(line: bytes, seen: SeenIds) -> Record | None:
    """
    Return the record that *line* is, as nearly every line is: a quarter faster than by its fragments.

    None for every other line, and if the record may have been met before; then nothing is taken in.
    """
    try:
        record = decode(line)
    except NotParsedError:
        return None
    if record is None:
        return None
    if line.endswith(seen.next_end, 0, -END):
        seen.add_next()
        return record
    id_ = record.id
    return record if id_ is not None and seen.add_id(id_) else None


def examine(
    lines: Iterable[Line], findings: Findings, *, seen: SeenIds | None = None
) -> tuple[int, int, list[str]]:
    """
    Add the damage in *lines* to *findings*; *seen* is as for `intact`.

    Returns:
        The number of intact records, the number of bytes, and the sources of the lines, in order.
    """
    records = size = 0
    sources: list[str] = []
    source = ""
    seen = SeenIds() if seen is None else seen
    for place, line in lines:
        if place[0] != source:
            source = place[0]
            sources.append(source)
        if isinstance(line, int):
            size += line
        else:
            size += len(line)
            # Not parsed, because the checksum vouches for the bytes before it.
            if has_checksum(line):
                if line.endswith(seen.next_end, 0, -END) and line.startswith(b'{"kind":"'):
                    seen.add_next()
                    records += 1
                    continue
                if (id_ := id_in(line)) and seen.add_id(id_):
                    records += 1
                    continue
        for fragment in fragments_of(line):
            content = fragment.content
            if isinstance(content, Record):
                if seen.add(content, line):
                    records += 1
                    continue
                content = DUPLICATE
            findings.add(anomaly_at(place, fragment, content))
    return records, size, sources


def is_new_by_checksum(line: bytes, seen: SeenIds) -> bool:
    """
    Tell whether *line* is one record that was not met before, as `examine` does, and take it in.

    False for every line that has to be parsed to know that; nothing is taken in then.
    """
    if not has_checksum(line):
        return False
    if line.endswith(seen.next_end, 0, -END) and line.startswith(BEGINNING):
        seen.add_next()
        return True
    id_ = id_in(line)
    return bool(id_) and seen.add_id(id_)


def fragments_of(line: bytes | int) -> list[Fragment]:
    """Return the fragments of a line, be it intact, damaged or too long to be held."""
    if isinstance(line, int):
        return [Fragment(0, line, oversized(line))]
    try:
        record = decode(line)
    except NotParsedError as error:
        record = stand_in(line, str(error))
    return dissect(line) if record is None else [Fragment(0, len(line), record)]


def anomaly_at(place: Place, fragment: Fragment, flaw: Flaw) -> Anomaly:
    """Return the finding for *fragment* of the line at *place*, which has *flaw*."""
    source, offset = place
    at = offset + fragment.start if isinstance(offset, int) else offset
    return Anomaly(flaw.type, source, at, fragment.stop - fragment.start, flaw.detail)
