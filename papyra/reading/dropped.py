"""The records that a compaction drops for good, counted as it goes."""

import sys
from typing import Final

from papyra.record import Record

#: The most kinds that are counted apart, because a kind is any text that a program gives.
MOST_KINDS: Final = 1000
_LARGEST: Final = sys.float_info.max
#: The name under which all further kinds are counted.
OTHER: Final = "_other"


class Dropped:
    """
    Counts of the records that go.

    Attributes:
        records: Their number.
        bytes: The bytes of their lines.
        by_kind: The number of each kind; beyond 1,000 kinds the others are counted as "_other".
        oldest: The smallest timestamp among them; None if there are none. One that no float holds
            counts as the largest float of its sign.
        newest: The largest one.
    """

    __slots__ = ("by_kind", "bytes", "newest", "oldest", "records")

    def __init__(self) -> None:
        self.records: int = 0
        self.bytes: int = 0
        self.by_kind: dict[str, int] = {}
        self.oldest: float | None = None
        self.newest: float | None = None

    def add(self, record: Record, size: int) -> None:
        """Take in a *record* whose line has *size* bytes."""
        self._add(record.kind, 1, size)
        self._widen(record.timestamp, record.timestamp)

    def merge(self, other: "Dropped") -> None:
        """Take in what *other* counted."""
        for kind, count in other.by_kind.items():
            self._add(kind, count, 0)
        self.bytes += other.bytes
        if other.oldest is not None and other.newest is not None:
            self._widen(other.oldest, other.newest)

    def _add(self, kind: str, count: int, size: int) -> None:
        self.records += count
        self.bytes += size
        if kind not in self.by_kind and len(self.by_kind) >= MOST_KINDS:
            kind = OTHER
        self.by_kind[kind] = self.by_kind.get(kind, 0) + count

    def _widen(self, oldest: float, newest: float) -> None:
        if self.oldest is None or oldest < self.oldest:
            self.oldest = _within_floats(oldest)
        if self.newest is None or newest > self.newest:
            self.newest = _within_floats(newest)


def _within_floats(timestamp: float) -> float:
    """Return *timestamp*, which JSON may have had as an integer of any size, as a finite float."""
    try:
        return min(max(float(timestamp), -_LARGEST), _LARGEST)
    except OverflowError:
        return _LARGEST if timestamp > 0 else -_LARGEST
