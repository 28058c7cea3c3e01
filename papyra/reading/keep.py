"""Which lines a compaction or recovery keeps, quarantines or drops."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Final, NamedTuple, Protocol

from papyra.errors import PapyraError
from papyra.reading.dropped import Dropped
from papyra.reading.duplicates import Repeats
from papyra.reading.findings import Findings
from papyra.reading.oldest_kept import BEGINNING, find_cut, is_same_line
from papyra.reading.scanner import (
    DUPLICATE,
    Line,
    Lines,
    LocatedRecord,
    anomaly_at,
    fragments_of,
    intact,
    is_new_by_checksum,
)
from papyra.reading.seen_ids import SeenIds
from papyra.record import Record
from papyra.reports import Anomaly, Place
from papyra.retention import Retention

_KEEP_ALL: Final = Retention()


def count_records(lines: Iterable[Line], seen: SeenIds) -> dict[str, Dropped]:
    """Return the counts of the intact records in *lines*, by source."""
    counted: dict[str, Dropped] = {}
    for found in intact(lines, Findings(), places_only=True, seen=seen):
        counted.setdefault(found.place[0], Dropped()).add(found.record, found.size)
    return counted


class Verdict(NamedTuple):
    """
    The bytes *start* to *stop* of a line: quarantined because of *anomaly*, or kept if that is None.

    Bytes of a line that no verdict covers are dropped for good.
    """

    start: int
    stop: int
    anomaly: Anomaly | None


Verdict.__module__ = "papyra.primitives"


class RewriteFilter(Protocol):
    """
    Decides for a store's `_rewrite` which bytes stay.

    `_rewrite` calls `begin` once no other process can rewrite the store. Then it shows every line,
    oldest first, and keeps, quarantines or drops its bytes as the verdicts say. It calls `finish` for
    each source before it replaces it. Bytes that are kept go into the new store unchanged, each
    verdict's on a line of its own.
    """

    def begin(self, lines: Lines, /) -> None:
        """Take note that no other process rewrites the store, and that *lines* will be shown."""

    def __call__(self, place: Place, line: bytes | int, /) -> Sequence[Verdict]:
        """Return the verdicts on *line*, in order; a line too long to be held comes as its length."""
        ...

    def finish(self, source: str, /) -> None:
        """
        Check that all lines of *source* were shown.

        Raises:
            PapyraError: if they were not the lines that the verdicts are for.
        """


class KeepFilter:
    """
    The rewrite filter of a recovery (without retention) and of a compaction (with it).

    Args:
        retention: Says which records stay; None keeps all.
        now: The time by which their age is measured.
        new_seen: The store's `_new_seen_ids`.
        may_repeat: Whether records may be repeated: an earlier pass found some, or there was none.

    Attributes:
        kept: Records that stay.
        dropped: Counts of the records outside the retention.
        findings: The damage, which goes to the quarantine.
    """

    def __init__(
        self,
        retention: Retention | None,
        now: float,
        new_seen: Callable[[], SeenIds],
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
        self._cut: LocatedRecord | None = None
        self._newer: Collection[str] = ()
        self._reached = False
        # Everything stays but damage, so a line with a checksum need not be parsed.
        self._keeps_all = False

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
        self._cut = find_cut(noted, self._new_seen, self._retention, self._now, damage)
        self._reached = self._cut is BEGINNING
        if self._cut is not None:
            at = self._cut.place[0]
            # By name, because a rotation may drop the cut's own source before it is shown.
            self._newer = set(takewhile(lambda source: source != at, sources))
        # The pass that found the cut has met every repeated record that stays.
        if self._cut is not None and (
            damage.duplicates if self._retention.counts else self._may_repeat
        ):
            self._repeats.look(lines)
        self._keeps_all = (
            self._cut is BEGINNING and self._retention.max_age is None and not self._repeats
        )

    def __call__(self, place: Place, line: bytes | int, /) -> Sequence[Verdict]:
        """Return the verdicts on *line*."""
        if self._keeps_all and type(line) is bytes and is_new_by_checksum(line, self._seen):
            self.kept += 1
            return (Verdict(0, len(line), None),)
        fragments = fragments_of(line)
        if isinstance(line, bytes) and not fragments:
            return (Verdict(0, len(line), None),)  # blank
        verdicts = []
        for fragment in fragments:
            content = fragment.content
            if isinstance(content, Record):
                found = LocatedRecord(
                    place, fragment.start, fragment.stop - fragment.start, content
                )
                is_last = self._repeats.is_last(place[0], content.id)
                if not self._stays(found):
                    self.dropped.add(content, found.size)
                    continue
                if self._seen.add(content, line) if is_last is None else is_last:
                    self.kept += 1
                    verdicts.append(Verdict(fragment.start, fragment.stop, None))
                    continue
                content = DUPLICATE
            anomaly = anomaly_at(place, fragment, content)
            self.findings.add(anomaly)
            verdicts.append(Verdict(fragment.start, fragment.stop, anomaly))
        return verdicts

    def _stays(self, found: LocatedRecord) -> bool:
        if not self._reached and self._cut is not None:
            self._reached = found.place[0] in self._newer or is_same_line(found, self._cut)
        return self._reached and self._retention.is_young(found.record.timestamp, self._now)

    def finish(self, source: str, /) -> None:
        """
        Check that all lines of *source* were shown.

        Raises:
            PapyraError: if the oldest record to be kept was not among them. Also if the last copy
                was not, of a record of which other copies were taken for duplicates.
        """
        is_cut_lost = self._cut is not None and not self._reached and source == self._cut.place[0]
        if is_cut_lost or not self._repeats.is_as_expected(source):
            raise PapyraError(
                f"{source}: another program changed the store meanwhile; it was left as it is; try again"
            )
