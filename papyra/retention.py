"""The rule by which records are kept."""

from typing import Final

#: Timestamps below this (in 2001) are not wall-clock times: 0.3.0's default clock counted seconds of uptime.
EARLIEST_WALL_CLOCK: Final = 1e9


class Retention:
    """
    Limits how much of a store is kept; a limit that is None does not limit.

    It has one meaning everywhere: records older than *max_age* are out; of the others the newest stay that both
    *max_records* and *max_total_bytes* admit. Newest means last in append order. Reads never return records that are
    out; `compact()` drops them from the store.

    Args:
        max_records: The most records; 0 keeps none.
        max_age: The greatest age of a record by its timestamp, in seconds; records whose timestamps are not
            wall-clock times (below 1e9) stay.
        max_total_bytes: The most bytes of lines, newlines included, also of a last line that has none.

    Raises:
        ValueError: for a negative limit, or one that is not a number.
    """

    __module__ = "papyra"

    __slots__ = ("max_age", "max_records", "max_total_bytes")

    def __init__(
        self,
        *,
        max_records: int | None = None,
        max_age: float | None = None,
        max_total_bytes: int | None = None,
    ) -> None:
        limits = {
            "max_records": max_records,
            "max_age": max_age,
            "max_total_bytes": max_total_bytes,
        }
        for name, limit in limits.items():
            numbers = (int, float) if name == "max_age" else (int,)
            if limit is None:
                continue
            if not isinstance(limit, numbers) or isinstance(limit, bool) or not limit >= 0:
                raise ValueError(f"{name} must be a number from 0 on or None, got {limit!r:.80}")
        self.max_records: Final = max_records
        self.max_age: Final = max_age
        self.max_total_bytes: Final = max_total_bytes

    def __repr__(self) -> str:
        shown = [
            f"{name}={limit!r}"
            for name in ("max_records", "max_age", "max_total_bytes")
            if (limit := getattr(self, name)) is not None
        ]
        return f"Retention({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Retention):
            return NotImplemented
        return self._limits == other._limits

    def __hash__(self) -> int:
        return hash(self._limits)

    @property
    def _limits(self) -> tuple[int | None, float | None, int | None]:
        return self.max_records, self.max_age, self.max_total_bytes

    @property
    def counts(self) -> bool:
        """Whether the records behind a record decide if it stays, so that a look begins at the newest."""
        return self.max_records is not None or self.max_total_bytes is not None

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is ever out."""
        return self._limits == (None, None, None)

    def is_young(self, timestamp: float, now: float) -> bool:
        """Tell whether a record of *timestamp* is young enough at *now*."""
        if self.max_age is None or not EARLIEST_WALL_CLOCK <= timestamp <= now:
            return True
        # Subtracted last, because an integer that an earlier version took may be beyond the floats.
        return now - timestamp <= self.max_age

    def from_newest(self, now: float) -> "Admission":
        """Return an object that admits records one by one, the newest first."""
        return Admission(self, now)


class Admission:
    """
    One look over a store from its newest record on.

    Attributes:
        full: No older record can be admitted any more: stop looking.
    """

    __slots__ = ("_bytes", "_now", "_records", "_retention", "full")

    def __init__(self, retention: Retention, now: float) -> None:
        self._retention = retention
        self._now = now
        self._records = retention.max_records
        self._bytes = retention.max_total_bytes
        self.full: bool = self._records == 0

    def admit(self, timestamp: float, size: int) -> bool:
        """Tell whether the next older record, a line of *size* bytes, stays."""
        if self.full or not self._retention.is_young(timestamp, self._now):
            return False
        if self._bytes is not None:
            self._bytes -= size
            if self._bytes < 0:
                self.full = True
                return False
        if self._records is not None:
            self._records -= 1
            self.full = self._records == 0
        return True
