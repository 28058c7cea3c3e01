"""What scan, recover, compact and import found and did, and the types of damage."""

from typing import Final, NamedTuple

#: Every type of anomaly with its meaning; docs/anomalies.md tells cause and cure of each.
ANOMALY_TYPES = {
    "truncated_line": "a line ends before its record does",
    "corrupted_line": "a line is no record",
    "checksum_mismatch": "a line's bytes are not those that were written",
    "missing_checksum": "a line does not end with its checksum, and is not one of Papyra 0.3.0's records",
    "invalid_utf8": "a line holds bytes that are no text",
    "nul_bytes": "a line holds NUL bytes where its record should be",
    "oversized_line": "a line is longer than any record may be",
    "duplicate_record": "a record stands in the store a second time",
    "stale_temporary_file": "an interrupted compaction or recovery left its temporary file",
    "unexpected_file": "a file beside the store is none of its own",
}

#: The types that are about a whole file beside the store, not about bytes in it.
FILE_ANOMALIES = frozenset({"stale_temporary_file", "unexpected_file"})

#: Where a line stands: the file or stream, and the first byte in it or the entry's id.
Place = tuple[str, int | str]


class Anomaly(NamedTuple):
    """
    One damage and its address.

    Attributes:
        type: A key of `ANOMALY_TYPES`.
        source: File path or stream key.
        offset: First byte in *source* of the damaged line, or of the damaged part of a line that
            holds records too; or the id of the stream's entry.
        length: Bytes of that line or part, or of that file; 0 for a directory or link.
        detail: What was seen, in words; it may change between versions.
    """

    type: str
    source: str
    offset: int | str
    length: int
    detail: str

    @property
    def identity(self) -> tuple[str, str, int | str]:
        """Type and place: two findings that share them are one and the same damage."""
        return self.type, self.source, self.offset

    @property
    def stop(self) -> int | str:
        """The first byte behind the damage; of a stream's entry its id again."""
        return self.offset + self.length if isinstance(self.offset, int) else self.offset

    def __str__(self) -> str:
        """Return one line for people: address, type, what was seen."""
        if self.type in FILE_ANOMALIES:
            size = f" ({self.length} bytes)" if self.length else ""
            return f"{self.source}: {self.type}{size}: {self.detail}"
        at = f"byte {self.offset}" if isinstance(self.offset, int) else f"entry {self.offset}"
        return f"{self.source}, {at}: {self.type} ({self.length} bytes): {self.detail}"


Anomaly.__module__ = "papyra"


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


ScanReport.__module__ = "papyra"


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


Step.__module__ = "papyra"


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


RecoveryReport.__module__ = "papyra"


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


Quarantined.__module__ = "papyra"


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


CompactionReport.__module__ = "papyra"


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


ImportReport.__module__ = "papyra"


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


Rewritten.__module__ = "papyra.primitives"
