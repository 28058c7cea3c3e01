"""Add up the counts of several store objects, for sums over all programs and for exited processes."""

from typing import Final

from papyra.metrics.names import NAMES

#: The note of an interrupt that came too late to keep a reset from being done; the interval follows.
RESET_DONE: Final = "the reset was done before the interrupt; it ended the interval "


class CounterTotals:
    """
    The counts of several store objects taken together.

    Attributes:
        amounts: The counts since each store object was opened, in the order of `papyra.COUNTERS`.
        baseline: The part of *amounts* that was counted before the last resets, in the same order.
        since: The earliest last reset, or opening, in seconds since the epoch.
        live: Store objects that are open now, and counted.
        exited: Store objects that were closed, or whose process has exited.
        unpublished: Store objects that append, but whose counts could not be published; they are
            not in the sums.
    """

    def __init__(self) -> None:
        self.amounts: list[int] = [0] * len(NAMES)
        self.baseline: list[int] = [0] * len(NAMES)
        self.since: float = float("inf")
        self.live = 0
        self.exited = 0
        self.unpublished = 0

    def add(self, amounts: list[int], baseline: list[int], since: float) -> None:
        """Add the counts of one storage."""
        self.amounts = [a + b for a, b in zip(self.amounts, amounts, strict=True)]
        self.baseline = [a + b for a, b in zip(self.baseline, baseline, strict=True)]
        self.since = min(self.since, since)

    def totals(self) -> dict[str, int]:
        """Return each counter's rise since the store objects were opened; a reset changes nothing."""
        return dict(zip(NAMES, self.amounts, strict=True))

    def snapshot(self) -> dict[str, int]:
        """Return each counter's rise since the last reset."""
        pairs = zip(NAMES, self.amounts, self.baseline, strict=True)
        return {name: total - base for name, total, base in pairs}
