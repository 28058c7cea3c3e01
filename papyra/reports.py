"""What scan, recover and compact found and did."""

from typing import Final, NamedTuple

from papyra.anomaly import FILE_ANOMALIES, Anomaly

#: The most findings that a report holds; the number of all of them is always exact.
MOST_LISTED: Final = 10_000


class ScanReport(NamedTuple):
    """
    What a scan found; nothing was changed.

    Attributes:
        records: Intact records.
        bytes: Bytes looked at, damaged ones included.
        anomalies: The findings in the order of the store, 10,000 at the most.
        found: The number of all findings.
    """

    records: int
    bytes: int
    anomalies: tuple[Anomaly, ...]
    found: int

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0


class RecoveryReport(NamedTuple):
    """
    What a recovery found and did, or would do.

    Attributes:
        dry_run: Nothing was changed; *removed* is what a recovery would remove.
        anomalies: The findings, 10,000 at the most.
        found: The number of all findings.
        removed: Damaged bytes taken out of the store.
        quarantine: The id under which they were saved; None if none were removed.
        remaining: What is still wrong, 10,000 findings at the most.
    """

    dry_run: bool
    anomalies: tuple[Anomaly, ...]
    found: int
    removed: int
    quarantine: str | None
    remaining: tuple[Anomaly, ...]

    @property
    def clean(self) -> bool:
        """Whether the store is whole now."""
        return not self.remaining


class CompactionReport(NamedTuple):
    """
    What a compaction did.

    Attributes:
        kept: Records that stay.
        dropped: Records outside the retention, dropped for good.
        bytes_before: Size of the store when it began.
        bytes_after: Size of what it left of that.
        anomalies: What it met, 10,000 findings at the most; damage in lines went to the quarantine.
        found: The number of all findings.
        quarantine: The id under which damaged bytes were saved; None if there were none.
        remaining: What is still wrong: files beside the store that are none of its own.
    """

    kept: int
    dropped: int
    bytes_before: int
    bytes_after: int
    anomalies: tuple[Anomaly, ...]
    found: int
    quarantine: str | None
    remaining: tuple[Anomaly, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing of what it met is still wrong."""
        return not self.remaining


class Rewritten(NamedTuple):
    """
    What a store's `_rewrite` did.

    Attributes:
        bytes_before: Size of the store when it began.
        bytes_after: Size of what it left of that; what was appended meanwhile is in neither.
        removed: Bytes moved to the quarantine.
        quarantine: The id under which they were saved; None if there were none.
    """

    bytes_before: int
    bytes_after: int
    removed: int = 0
    quarantine: str | None = None


class Findings:
    """
    The findings of one operation: each counts once, and memory stays bounded.

    Attributes:
        listed: The first of them.
        found: The number of all of them.
        bytes_removable: Damaged bytes in lines, which a recovery would remove.
    """

    __slots__ = ("_identities", "bytes_removable", "found", "listed")

    def __init__(self) -> None:
        self.listed: list[Anomaly] = []
        self.found = 0
        self.bytes_removable = 0
        self._identities: set[tuple[str, str, int | str]] = set()

    def add(self, anomaly: Anomaly) -> None:
        """Take *anomaly* in, unless it is known already."""
        if len(self.listed) < MOST_LISTED:
            if anomaly.identity in self._identities:
                return
            self._identities.add(anomaly.identity)
            self.listed.append(anomaly)
        self.found += 1
        if anomaly.type not in FILE_ANOMALIES:
            self.bytes_removable += anomaly.length

    def merge(self, again: "Findings") -> None:
        """Take in what a second look over the same store found, most of it known."""
        if len(self.listed) < MOST_LISTED:
            for anomaly in again.listed:
                self.add(anomaly)
        self.found = max(self.found, again.found)
