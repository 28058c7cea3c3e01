"""The types of damage, and where it was found."""

from typing import NamedTuple

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
