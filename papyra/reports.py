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
        bytes: Bytes looked at, damaged ones included; of what 0.3.0 left, those of records that
            stand nowhere else.
        anomalies: The findings in the order of the store, 10,000 at the most.
        found: The number of all findings.
        leftovers: Files that Papyra 0.3.0 moved away or left half done, and that hold records
            which stand nowhere else: data, whatever they are called.
    """

    records: int
    bytes: int
    anomalies: tuple[Anomaly, ...]
    found: int
    leftovers: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0


class Step(NamedTuple):
    """
    What a recovery does about one damage.

    Attributes:
        file: The file that it is in, or that it is.
        start: Where in it the damaged line or part begins, or the id of the stream's entry.
        stop: The first byte behind the damage; the entry's id again.
        type: The type of anomaly.
        action: "quarantine" (moved there), "delete" (what nobody needs) or "leave" (not papyra's).
    """

    file: str
    start: int | str
    stop: int | str
    type: str
    action: str


_ACTIONS: Final = {"stale_temporary_file": "delete", "unexpected_file": "leave"}


class RecoveryReport(NamedTuple):
    """
    What a recovery found and did, or would do; or what undoing one put back.

    Attributes:
        dry_run: Nothing was changed; *removed* is what a recovery would remove, or *restored*
            what undoing one would put back.
        anomalies: The findings, 10,000 at the most.
        found: The number of all findings.
        removed: Damaged bytes taken out of the store.
        quarantine: The id under which they were saved, or are still; None if none were removed.
        remaining: What is still wrong, 10,000 findings at the most.
        restored: Bytes put back by undoing.
    """

    dry_run: bool
    anomalies: tuple[Anomaly, ...]
    found: int
    removed: int
    quarantine: str | None
    remaining: tuple[Anomaly, ...]
    restored: int = 0

    @property
    def clean(self) -> bool:
        """Whether the store is whole now."""
        return not self.remaining

    @property
    def plan(self) -> tuple[Step, ...]:
        """What is done about each of the *anomalies*."""
        return tuple(
            Step(
                anomaly.source,
                anomaly.offset,
                anomaly.stop,
                anomaly.type,
                _ACTIONS.get(anomaly.type, "quarantine"),
            )
            for anomaly in self.anomalies
        )


class Quarantined(NamedTuple):
    """
    What one recovery or compaction saved before it removed it.

    Attributes:
        id: What `recover(undo=...)` calls it.
        saved: When, in seconds since the epoch.
        files: Names of the files that it was taken out of.
        bytes: How much it is.
        obstacle: Why it cannot be put back; "" if it can.
    """

    id: str
    saved: float
    files: tuple[str, ...]
    bytes: int
    obstacle: str


class CompactionReport(NamedTuple):
    """
    What a compaction did, or would do.

    Attributes:
        kept: Records that stay.
        dropped: Records that were dropped for good: those outside the retention, and those in
            *files_dropped*. One that stands twice, as 0.3.0's repairs left some, may count twice.
        bytes_before: Size of the store when it began, all that 0.3.0 left included.
        bytes_after: Size of what it left of that.
        anomalies: What it met, 10,000 findings at the most; damage in lines went to the quarantine.
        found: The number of all findings.
        quarantine: The id under which damaged bytes were saved; None if there were none.
        remaining: What is still wrong: after a compaction, files beside the store that do not belong to
            its own; after a dry run, all *anomalies*.
        files_dropped: Whole files that a store with a bound for their number had too many; they
            are gone before the others are looked at, and damage in them is not looked for.
        dry_run: Nothing was changed; all of this is what a compaction would do. The retention is
            applied to what stands there at the time: what is appended between the two may push
            more records out.
        dropped_bytes: Bytes of the lines of the *dropped* records.
        dropped_by_kind: Their number by kind; beyond 1,000 kinds the others are "_other".
        dropped_oldest: The smallest timestamp among them; None if there are none.
        dropped_newest: The largest one.
    """

    kept: int
    dropped: int
    bytes_before: int
    bytes_after: int
    anomalies: tuple[Anomaly, ...]
    found: int
    quarantine: str | None
    remaining: tuple[Anomaly, ...]
    files_dropped: tuple[str, ...]
    dry_run: bool
    dropped_bytes: int
    dropped_by_kind: dict[str, int]
    dropped_oldest: float | None
    dropped_newest: float | None

    @property
    def clean(self) -> bool:
        """Whether nothing of what it met is still wrong."""
        return not self.remaining


class ImportReport(NamedTuple):
    """
    What an import copied.

    Attributes:
        dry_run: Nothing was changed; *copied* is what would be.
        read: Records that the source holds.
        copied: Those that the destination did not hold.
        present: Those that it held already.
        anomalies: Damage in the source, which was not copied; 10,000 findings at the most.
        found: The number of all findings.
    """

    dry_run: bool
    read: int
    copied: int
    present: int
    anomalies: tuple[Anomaly, ...]
    found: int

    @property
    def clean(self) -> bool:
        """Whether the source held nothing but records."""
        return not self.found


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
        duplicates: The number of those that are records which stand elsewhere, too.
    """

    __slots__ = ("_identities", "bytes_removable", "duplicates", "found", "listed")

    def __init__(self) -> None:
        self.listed: list[Anomaly] = []
        self.found: int = 0
        self.bytes_removable: int = 0
        self.duplicates: int = 0
        self._identities: set[tuple[str, str, int | str]] = set()

    def add(self, anomaly: Anomaly) -> None:
        """Take *anomaly* in, unless it is known already."""
        if len(self.listed) < MOST_LISTED:
            if anomaly.identity in self._identities:
                return
            self._identities.add(anomaly.identity)
            self.listed.append(anomaly)
        self.found += 1
        if anomaly.type == "duplicate_record":
            self.duplicates += 1
        if anomaly.type not in FILE_ANOMALIES:
            self.bytes_removable += anomaly.length

    def mark(self) -> tuple[int, int, int, int]:
        """Return what `rewind` needs to forget all that is added from now on."""
        return len(self.listed), self.found, self.bytes_removable, self.duplicates

    def rewind(self, mark: tuple[int, int, int, int]) -> None:
        """Forget what was added since *mark* was taken, because it will be found again."""
        listed, self.found, self.bytes_removable, self.duplicates = mark
        del self.listed[listed:]
        self._identities = {anomaly.identity for anomaly in self.listed}

    def merge(self, again: "Findings") -> None:
        """Take in what a second look over the same store found, most of it known."""
        if len(self.listed) < MOST_LISTED:
            for anomaly in again.listed:
                self.add(anomaly)
        self.found = max(self.found, again.found)
