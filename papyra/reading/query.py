"""Which records a read returns: retention first, then the filters."""

from collections.abc import Iterable, Iterator
from itertools import dropwhile
from typing import Final, NamedTuple

from papyra.errors import CorruptRecordError
from papyra.reading.duplicates import RepeatError, UniqueSeenIds, copies_in
from papyra.reading.findings import Findings
from papyra.reading.oldest_kept import BEGINNING, find_cut, is_same_line
from papyra.reading.scanner import Line, Lines, Source, intact, records_in
from papyra.record import Record
from papyra.reports import Place
from papyra.retention import Retention

#: Times that a stream looks for the oldest record that stays before it holds all that stay.
_LOOKS: Final = 5


class Query(NamedTuple):
    """The filter of a read: records of *kind*, with timestamps from *since* on, the newest *limit* of these."""

    kind: str | None
    since: float | None
    limit: int | None
    strict: bool

    def admits(self, record: Record) -> bool:
        """Tell whether *record* has the kind and time that the read asks for."""
        return (self.kind is None or record.kind == self.kind) and (
            self.since is None or record.timestamp >= self.since
        )


def query_of(kind: str | None, since: float | None, limit: int | None, *, strict: bool) -> Query:
    """
    Check the filter of a read, and return it.

    Raises:
        ValueError: if an argument cannot match any record.
    """
    if limit is not None and (type(limit) is not int or limit < 0):
        raise ValueError(f"limit must be a whole number from 0 on, or None; got {limit!r:.80}")
    is_number = isinstance(since, (int, float)) and not isinstance(since, bool)
    if since is not None and not (is_number and since == since):  # noqa: PLR0124  NaN is not
        raise ValueError(f"since must be seconds since the epoch, or None; got {since!r:.80}")
    if kind is not None and not isinstance(kind, str):
        raise ValueError(f"kind must be a string or None, got {kind!r:.80}")
    return Query(kind, since, limit, strict)


def newest(
    source: Source, retention: Retention, query: Query, now: float, findings: Findings
) -> list[Record]:
    """Return the records that *query* asks for, oldest first, looking from the newest on."""
    # None if all records stay, because asking for each record is a tenth of a short read.
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
    first_look = UniqueSeenIds(source.new_seen())
    once = records_in(
        source.lines(newest_first=False), findings, strict=query.strict, seen=first_look
    )
    try:
        return list(_selected(once, retention, query, now))
    except RepeatError:
        findings.rewind(mark)
    except CorruptRecordError:  # an earlier copy of a record may come before it, and is damage too
        findings.rewind(mark)
    # As a stream does: of equal contents the first copy counts, which a pass from the newest cannot know.
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
    """Return the records that are young enough, and that *query* asks for."""
    if retention.max_age is None and query.kind is None and query.since is None:
        return kept  # because each step in between costs a tenth of the parsing
    return (
        record
        for record in kept
        if retention.is_young(record.timestamp, now) and query.admits(record)
    )


def _kept(
    source: Source, retention: Retention, query: Query, now: float, findings: Findings
) -> Iterator[Record]:
    """Yield the records from the cut on; if a compaction moved it meanwhile, look for it again."""
    for _ in range(_LOOKS):
        damage = Findings()
        cut = find_cut(source.lines, source.new_seen, retention, now, damage)
        if cut is None:
            return
        if damage.duplicates:
            break
        if cut is BEGINNING:
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
        if found is not None and is_same_line(found, cut):
            yield found.record
            yield from (later.record for later in rest)
            return
    # Another process compacts all the time, or records are repeated: hold all records that stay.
    kept = Query(kind=None, since=None, limit=None, strict=query.strict)
    yield from newest(source, retention, kept, now, findings)


def _from(place: Place, lines: Lines) -> Iterator[Line]:
    """Iterate over the lines from the one at *place* on."""
    return dropwhile(lambda line: line[0] != place, lines(newest_first=False))
