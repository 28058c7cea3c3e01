"""
Whether other processes see the counters of one store object, and when an append tries again if they do not.

`FileBackend` publishes; this remembers what came of it, and marks it in the store's lock file.
"""

from typing import Final

from papyra.metrics.persistence import PersistenceMetrics
from papyra.metrics.publishing import is_lost
from papyra.metrics.unpublished_marks import Mark
from papyra.system.clock import monotonic

#: Seconds after which counters that could not be published are tried again, at an append.
AGAIN: Final = 5.0


class Publication:
    """
    Remembers that the counters of a store object could not be published, until they are.

    Args:
        metrics: The counters.
        source: The store, for warnings.
        warnings: Takes what is to be logged once no lock is held.

    Attributes:
        mark: What says in the lock file that other processes do not see the counters; None while they do.
        again_at: When an append tries again, by `papyra.system.clock.monotonic`.
    """

    __slots__ = ("_metrics", "_source", "_warnings", "again_at", "mark")

    def __init__(self, metrics: PersistenceMetrics, source: str, warnings: list[str]) -> None:
        self._metrics = metrics
        self._source = source
        self._warnings = warnings
        self.mark: Mark | None = None
        self.again_at: float = 0.0

    def is_due(self, lock: int) -> bool:
        """Mark in the lock file that other processes do not see the counters; tell whether to try again now."""
        if self.mark is None and is_lost(self._metrics):
            self.mark = Mark()
            self._warnings.append(
                f"{self._source}.metrics: the counters of this program were removed, so other processes do not"
                f" see them; they are published again, which is tried every {AGAIN:g} s"
            )
        if self.mark is None:
            return False
        self.mark.put(lock)
        return monotonic() >= self.again_at

    def note(self, failure: Exception | None, lock: int) -> None:
        """Remember what came of publishing: it worked, or *failure*, and an append tries again later."""
        if failure is None:
            if self.mark:
                self.mark.remove(lock)
                self.mark = None
            return
        if self.mark is None:
            self.mark = Mark()
            reason = f"{failure}"
            if isinstance(failure, OSError) and failure.strerror:
                reason = f"{failure.filename}: {failure.strerror}"
            self._warnings.append(
                f"{self._source}: other processes do not see its counters: {reason}; an append at least"
                f" {AGAIN:g} s later tries again, and the counts of a program without one end with the program"
            )
        self.again_at = monotonic() + AGAIN
