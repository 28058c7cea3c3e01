"""Check that a file is a papyra store, before an operation makes or changes any file."""

import errno
import os
from io import BytesIO
from typing import Final

from papyra.backends.files.paths import Layout
from papyra.errors import NotAStoreError, StoreURLError
from papyra.reading.scanner import fragments_of
from papyra.record import Record
from papyra.system.descriptors import Descriptors
from papyra.system.files import read_at

#: The size of the beginning of a file in which a record is looked for.
_HEAD: Final = 64 * 1024
#: Bytes that are read at once where the file begins with blanks.
_BLOCK: Final = 1024 * 1024
_BLANK: Final = b" \t\r\n\0"
#: The beginnings of records of papyra and of 0.3.0; a torn first record may end within one.
_BEGINNINGS: Final = (b'{"kind":', b'{"system_id":')
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def check_ownership(layout: Layout) -> None:
    """
    Refuse a file that is not papyra's; a missing or blank file, or one of NULs alone, may become a store.

    A file with papyra's lock or a rotated segment beside it is papyra's, whatever it holds. NULs and blanks
    at its beginning tell nothing; the bytes behind them decide.

    Raises:
        NotAStoreError: if it does not begin like a record, and its first bytes hold no whole record.
        StoreIOError: if it is not a regular file.
    """
    if layout.stat() is None:
        return
    with Descriptors() as opened:
        try:
            descriptor = opened.open(layout.path, os.O_RDONLY)
        except FileNotFoundError:  # a rotation has renamed it this moment
            return
        head = read_at(descriptor, _HEAD, 0)
        core = _core(head)
        if core and _is_beginning(core):
            return
        # Papyra has written here, so other bytes are damage. Examples are a damaged first line of a new
        # active file, or NULs where a power cut kept the first blocks from the disk. A copy of the files
        # may lack the lock.
        if os.path.exists(layout.lock) or layout.last_number():
            return
        if not core:
            head = read_at(descriptor, _HEAD, _end_of_blanks(descriptor))
            if _is_beginning(_core(head)):
                return
    for line in BytesIO(head):
        if any(isinstance(fragment.content, Record) for fragment in fragments_of(line)):
            return
    raise NotAStoreError(layout.path)


def _core(head: bytes) -> bytes:
    return head.lstrip(_BLANK).removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANK)


def _is_beginning(core: bytes) -> bool:
    """Tell whether a record, whole or torn, may begin like this; a record of which nothing is left, too."""
    return any(beginning.startswith(core[: len(beginning)]) for beginning in _BEGINNINGS)


def _end_of_blanks(descriptor: int) -> int:
    """
    Return where the NULs and blanks at the beginning of the file end.

    A disk image begins with many of them, and so does a store whose first blocks a power cut kept from the
    disk. The bytes behind them tell which it is.
    """
    at = 0
    while (block := read_at(descriptor, _BLOCK, at)) and not block.strip(_BLANK):
        at = _next_data(descriptor, at + len(block))
    return at + len(block) - len(block.lstrip(_BLANK))


def _next_data(descriptor: int, start: int) -> int:
    """Return where, from *start* on, the file has bytes on the disk; a hole may be as large as the disk."""
    if not hasattr(os, "SEEK_DATA"):
        return start
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole follows
            return os.fstat(descriptor).st_size
        return start


def check_whole(layout: Layout) -> None:
    """
    Refuse to change a rotated file of a store that is in use; reads and scans of it are allowed.

    A lock beside it would make it a store of its own, and the other store would lack its records.

    Raises:
        StoreURLError: if it is a file of another store.
    """
    if layout.stat() is None:
        return
    shorter = layout.path.rpartition(".")[0]
    while os.path.basename(shorter) and not os.path.lexists(layout.lock):
        is_store = os.path.lexists(f"{shorter}.lock")
        if is_store and any(slot.path == layout.path for slot in Layout(shorter).slots()):
            raise StoreURLError(
                f"{layout.path}: it is a part of the store {shorter}; name that store"
            )
        shorter = shorter.rpartition(".")[0]
