"""
Decide which flaw the bytes of a line have: torn, changed, without a checksum, not UTF-8, too long.

`damaged_lines` asks for a whole line, and for the bytes beside a record that shares one.
"""

from typing import Final, NamedTuple

from papyra.format.codec import MAX_LINE, has_checksum, parse, record_of
from papyra.format.legacy_lines import is_legacy
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


#: The flaw of a line with neither id nor checksum; an import that seals says more.
UNVOUCHED: Final = Flaw(
    "missing_checksum",
    "it has no _id and no _crc, and is not one of Papyra 0.3.0's records;"
    " if another tool wrote it, import it with --seal",
)
SHARED: Final = Flaw("corrupted_line", "two records share the line")


def oversized(length: int) -> Flaw:
    """Return the flaw of a line that is too long to be held."""
    return Flaw("oversized_line", f"it has {length} bytes; a record has at most {MAX_LINE}")


def _text_flaw(core: bytes, error: ValueError) -> Flaw:
    """Return the flaw of a line whose text could not be decoded."""
    if core[-19:-10] == CHECKSUM and not has_checksum(core + b"\n"):
        return _checksum_flaw(core)
    return Flaw("corrupted_line", f"{error}")


def _checksum_flaw(core: bytes) -> Flaw:
    """Return the flaw of a line whose checksum is missing or wrong."""
    if core[-19:-10] == CHECKSUM and core.endswith(b'"}'):
        return Flaw("checksum_mismatch", "its checksum does not match its bytes")
    return Flaw("missing_checksum", "it has an _id or _crc, but no checksum at its end")


def classify(core: bytes, *, terminated: bool) -> Record | Flaw:
    """Return the record that *core* is, or its flaw as a whole."""
    torn = core.startswith(b"{") and not core.endswith(b"}")
    try:
        value = parse(core)
        if isinstance(value, dict) and ("_id" in value or "_crc" in value):
            if has_checksum(core + b"\n"):
                return record_of(value, is_vouched_for=True)
            flaw = _checksum_flaw(core)
        else:
            is_original = is_legacy(core, value)
            record = record_of(value)
            return record if is_original else UNVOUCHED
    except UnicodeDecodeError as error:
        flaw = Flaw("invalid_utf8", f"byte {error.start} of the line is not UTF-8")
    except ValueError as error:
        flaw = Flaw("nul_bytes", "NUL bytes within") if b"\0" in core else _text_flaw(core, error)
    if torn or not terminated:
        return Flaw("truncated_line", f"it ends after {len(core)} bytes, before its record does")
    return flaw
