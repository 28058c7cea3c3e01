"""The reports of scan, recover, compact and import, and the types of damage."""

from collections.abc import Collection
from typing import Final, NamedTuple

#: Every type of anomaly with its meaning; docs/anomalies.md has the cause and the cure of each.
ANOMALY_TYPES = {
    "truncated_line": "a line ends before its record does",
    "corrupted_line": "a line is not a record",
    "checksum_mismatch": "a line's bytes are not those that were written",
    "missing_checksum": "a line does not end with its checksum, and is not one of Papyra 0.3.0's records",
    "invalid_utf8": "a line holds bytes that are not text",
    "nul_bytes": "a line holds NUL bytes where its record should be",
    "oversized_line": "a line is longer than any record may be",
    "duplicate_record": "a record is in the store a second time",
    "stale_temporary_file": "an interrupted compaction or recovery left its temporary file",
    "unexpected_file": "a file beside the store does not belong to it",
}

#: The types that are about a whole file beside the store, not about bytes in it.
FILE_ANOMALIES = frozenset({"stale_temporary_file", "unexpected_file"})

#: The place of a line: the file or stream, and the first byte in it or the entry's id.
Place = tuple[str, int | str]


class Anomaly(NamedTuple):
    """
    One damage and its address.

    Attributes:
        type: A key of `ANOMALY_TYPES`.
        source: File path or stream key.
        offset: First byte in *source* of the damaged line, or of the damaged part of a line that
            holds records too. In a stream, the id of the entry.
        length: Bytes of that line or part, or of that file; 0 for a directory or link.
        detail: The observation, in words; it may change between versions.
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
        """Return one line for people: the address, the type and the detail."""
        if self.type in FILE_ANOMALIES:
            size = f" ({self.length} bytes)" if self.length else ""
            return f"{self.source}: {self.type}{size}: {self.detail}"
        at = f"byte {self.offset}" if isinstance(self.offset, int) else f"entry {self.offset}"
        return f"{self.source}, {at}: {self.type} ({self.length} bytes): {self.detail}"


Anomaly.__module__ = "papyra"


class ScanReport(NamedTuple):
    """
    The result of a scan, which changed nothing.

    Attributes:
        records: Number of intact records.
        bytes: Bytes that the scan read, damaged ones included; of the files that 0.3.0 left, only those of
            records that no other file holds.
        anomalies: The findings in the order of the store, at most 10,000.
        found: The number of all findings.
        leftovers: Files that Papyra 0.3.0 moved away or left half done, and that hold records which no other
            file holds. They are data, whatever they are called.
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
    The treatment of one damage by a recovery.

    Attributes:
        file: The file that holds the damage, or that is the damage.
        start: The first byte of the damaged line or part in it, or the id of the stream's entry.
        stop: The first byte behind the damage; the entry's id again.
        type: The type of anomaly.
        action: "quarantine" (moved there), "delete" (no program needs it) or "leave" (not papyra's).
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
    The result of a recovery, of the plan of one, or of undoing one.

    Attributes:
        dry_run: Nothing was changed; *removed* is the number that a recovery would remove, or *restored* the
            number that undoing one would put back.
        anomalies: The findings, at most 10,000.
        found: The number of all findings.
        removed: Damaged bytes taken out of the store.
        quarantine: The id under which they were saved, or are still; None if none were removed.
        remaining: The findings that are still wrong, at most 10,000.
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
        """The treatment of each of the *anomalies*."""
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
    The bytes that one recovery or compaction saved before it removed them.

    Attributes:
        id: What `recover(undo=...)` calls it.
        saved: When, in seconds since the epoch.
        files: Names of the files that it was taken out of.
        bytes: Their number.
        obstacle: The reason why it cannot be put back; "" if it can.
    """

    id: str
    saved: float
    files: tuple[str, ...]
    bytes: int
    obstacle: str


Quarantined.__module__ = "papyra"


class CompactionReport(NamedTuple):
    """
    The result of a compaction, or of the plan of one.

    Attributes:
        kept: Records that stay.
        dropped: Records that were dropped for good: those outside the retention, and those in
            *files_dropped*. A record that is there twice, as 0.3.0's repairs left some, may count twice.
        bytes_before: Size of the store when it began, all that 0.3.0 left included.
        bytes_after: Size of the part that it left of that.
        anomalies: The findings that it met, at most 10,000; damage in lines went to the quarantine.
        found: The number of all findings.
        quarantine: The id under which damaged bytes were saved; None if there were none.
        remaining: The findings that are still wrong. After a compaction, they are files beside the store that do
            not belong to it; after a dry run, all *anomalies*.
        files_dropped: Whole files beyond the store's bound for their number. They are dropped before the compaction
            reads the others, and damage in them is not looked for.
        dry_run: Nothing was changed; all of this is what a compaction would do. The retention is applied to the
            records at the time: records appended between the dry run and a compaction may push more out.
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
        """Whether none of the findings is still wrong."""
        return not self.remaining


CompactionReport.__module__ = "papyra"


class ImportReport(NamedTuple):
    """
    The result of an import, or of the plan of one.

    Attributes:
        dry_run: Nothing was changed; *copied* is the number that would be copied.
        read: Records that the source holds.
        copied: Those that the destination did not hold.
        present: Those that it held already.
        anomalies: Damage in the source, which was not copied; at most 10,000 findings.
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
    The result of a store's `_rewrite`.

    Attributes:
        bytes_before: Size of the store when it began.
        bytes_after: Size of the part that it left of that; lines appended meanwhile are in neither.
        removed: Bytes moved to the quarantine.
        quarantine: The id under which they were saved; None if there were none.
        untouched: Sources that were filtered whole, stay as they are, and are never appended to. A recovery
            does not look at them again; by default it looks at all.
    """

    bytes_before: int
    bytes_after: int
    removed: int = 0
    quarantine: str | None = None
    untouched: Collection[str] = ()


Rewritten.__module__ = "papyra.primitives"
