"""
The oldest record that the retention keeps.

If newer records decide whether a record stays, one pass from the newest record on finds it.
"""

from collections.abc import Callable
from typing import Final

from papyra.reading.findings import Findings
from papyra.reading.scanner import Lines, LocatedRecord, intact
from papyra.reading.seen_ids import SeenIds
from papyra.record import Record
from papyra.retention import Retention

BEGINNING: Final = LocatedRecord(("", 0), 0, 0, Record("cut", timestamp=0))


def find_cut(
    lines: Lines,
    new_seen: Callable[[], SeenIds],
    retention: Retention,
    now: float,
    findings: Findings,
) -> LocatedRecord | None:
    """
    Return the oldest record that stays; None if none does, BEGINNING if nothing is cut off.

    Damage from that record on is added to *findings*.
    """
    if not retention.counts:
        return BEGINNING
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
        return BEGINNING
    return cut


def is_same_line(one: LocatedRecord, other: LocatedRecord) -> bool:
    """Tell whether both are one line, without their data: data with NaN does not equal itself."""
    mine, its = one.record, other.record
    return one[:3] == other[:3] and (mine.id, mine.kind, mine.timestamp) == (
        its.id,
        its.kind,
        its.timestamp,
    )
