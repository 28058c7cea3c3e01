"""
Keep the ten totals of one store object and their baseline.

`CounterStorage` is what `papyra.metrics.persistence` asks of a storage. `LocalCounterStorage` is the one that no other
process sees; `papyra.metrics.own_page` is the other.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from papyra.metrics.names import NAMES


class CounterStorage(Protocol):
    """A place for the ten totals and their baseline."""

    #: The totals; written under the lock of `PersistenceMetrics`, and see `_settle_written`.
    cells: "list[int] | memoryview[int]"

    def load(self, totals: list[int], baseline: list[int], since: float) -> None:
        """Take over the counts of another storage; this one is new, and no one counts in it yet."""
        ...

    def read(self) -> tuple[list[int], list[int], float]:
        """Return totals, baseline and the time of the last reset, all of one moment."""
        ...

    def begin_interval(self, now: float) -> list[int]:
        """Note the totals as the next baseline; return their rise since the one in use."""
        ...

    def end_interval(self) -> None:
        """Put the noted baseline in use, without a call: an interrupt comes before or after."""
        ...

    def resetting(self) -> AbstractContextManager[object]:
        """Keep out every other process that may reset these counters."""
        ...


class LocalCounterStorage:
    """Counters that other processes do not see."""

    def __init__(self) -> None:
        self.cells: list[int] | memoryview[int] = [0] * len(NAMES)
        self._baseline, self._since = self._next = [0] * len(NAMES), time.time()

    def load(self, totals: list[int], baseline: list[int], since: float) -> None:
        """Take over the counts of another storage; this one is new."""
        self.cells = list(totals)
        self._baseline, self._since = baseline, since

    def read(self) -> tuple[list[int], list[int], float]:
        """Return totals, baseline and the time of the last reset."""
        return list(self.cells), self._baseline, self._since

    def begin_interval(self, now: float) -> list[int]:
        """Note the totals as the next baseline; return their rise since the one in use."""
        totals = list(self.cells)
        interval = [new - old for new, old in zip(totals, self._baseline, strict=True)]
        self._next = totals, now
        return interval

    def end_interval(self) -> None:
        """Put the noted baseline in use, without a call: an interrupt comes before or after."""
        self._baseline, self._since = self._next

    def resetting(self) -> AbstractContextManager[object]:
        """Return nothing to wait for: the lock of `PersistenceMetrics` is enough."""
        return nullcontext()
