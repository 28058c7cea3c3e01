"""What can be wrong with the bytes of a line."""

from typing import Final, NamedTuple

from papyra.format.codec import MAX_LINE, has_checksum
from papyra.record import Record

CHECKSUM: Final = b',"_crc":"'


class Flaw(NamedTuple):
    """What is wrong: a type of anomaly, and what was seen."""

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
    return Flaw("oversized_line", f"{length} bytes; no record has more than {MAX_LINE}")


def text_flaw(core: bytes, error: ValueError) -> Flaw:
    """Return what is wrong with a line whose text could not be decoded."""
    if core[-19:-10] == CHECKSUM and not has_checksum(core + b"\n"):
        return checksum_flaw(core)
    return Flaw("corrupted_line", f"{error}")


def checksum_flaw(core: bytes) -> Flaw:
    """Return what is wrong with a line whose checksum is missing or wrong."""
    if core[-19:-10] == CHECKSUM and core.endswith(b'"}'):
        return Flaw("checksum_mismatch", "its checksum is that of other bytes")
    return Flaw("missing_checksum", "it has an _id or _crc, but no checksum at its end")
