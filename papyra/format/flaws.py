"""The flaws that the bytes of a line can have."""

from typing import Final, NamedTuple

from papyra.format.codec import MAX_LINE, has_checksum
from papyra.record import Record

CHECKSUM: Final = b',"_crc":"'


class Flaw(NamedTuple):
    """A type of anomaly, and the detail that was found."""

    type: str
    detail: str


class Fragment(NamedTuple):
    """The bytes *start* to *stop* of a line, and the record or the flaw that they are."""

    start: int
    stop: int
    content: Record | Flaw


SHARED: Final = Flaw("corrupted_line", "two records share the line")


def oversized(length: int) -> Flaw:
    """Return the flaw of a line that is too long to be held."""
    return Flaw("oversized_line", f"it has {length} bytes; a record has at most {MAX_LINE}")


def text_flaw(core: bytes, error: ValueError) -> Flaw:
    """Return the flaw of a line whose text could not be decoded."""
    if core[-19:-10] == CHECKSUM and not has_checksum(core + b"\n"):
        return checksum_flaw(core)
    return Flaw("corrupted_line", f"{error}")


def checksum_flaw(core: bytes) -> Flaw:
    """Return the flaw of a line whose checksum is missing or wrong."""
    if core[-19:-10] == CHECKSUM and core.endswith(b'"}'):
        return Flaw("checksum_mismatch", "its checksum does not match its bytes")
    return Flaw("missing_checksum", "it has an _id or _crc, but no checksum at its end")
