"""Whether a file is a papyra store at all, before anything beside it is made or changed."""

import os
from io import BytesIO
from typing import Final

from papyra.backends.files.layout import Layout
from papyra.descriptors import Descriptors
from papyra.errors import NotAStoreError
from papyra.record import Record
from papyra.sifting import pieces_of
from papyra.system import read_at

#: A file in whose first bytes no record stands is somebody else's.
_HEAD: Final = 64 * 1024
_BLANK: Final = b" \t\r\n\0"
#: What records of papyra's and of 0.3.0's begin with; a torn first one may end within.
_BEGINNINGS: Final = (b'{"kind":', b'{"system_id":')
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def check_ownership(layout: Layout) -> None:
    """
    Refuse a file that is none of papyra's; a missing or blank one, or one of NULs, may become one.

    One with papyra's lock or a rotated segment beside it is papyra's, whatever it holds.

    Raises:
        NotAStoreError: if it does not begin like a record, and holds none at its beginning.
        StoreIOError: if it is no regular file.
    """
    if layout.stat() is None:
        return
    with Descriptors() as opened:
        try:
            descriptor = opened.open(layout.path, os.O_RDONLY)
        except FileNotFoundError:  # a rotation has renamed it this moment
            return
        head = read_at(descriptor, _HEAD, 0)
    core = head.lstrip(_BLANK).removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANK)
    if any(beginning.startswith(core[: len(beginning)]) for beginning in _BEGINNINGS):
        return
    # Papyra has written here: what stands there is damage, as a line that a rotation's new file
    # begins with, or NULs where a power cut kept the first blocks from the disk. A copy of the
    # files may have come without the lock.
    if os.path.exists(layout.lock) or layout.last_number():
        return
    for line in BytesIO(head):
        if any(isinstance(piece.content, Record) for piece in pieces_of(line)):
            return
    raise NotAStoreError(layout.path)
