"""Resolve the path that a user gave to the one absolute path that the store is known by."""

import errno
import os
import re
from stat import S_ISREG
from typing import Final

from papyra.errors import StoreIOError

#: The names that Linux shows for files without one, such as a pipe of the shell.
_NAMELESS: Final = re.compile(r"(?:pipe|socket|anon_inode):.*")
#: Why a pipe, socket or device is not taken.
NOT_REGULAR: Final = (
    "it is not a regular file, and a store is read more than once; save its contents to a file, and name"
    " that file"
)


def real_path(path: str | os.PathLike[str]) -> str:
    """
    Return the absolute path that *path* leads to, without links.

    Raises:
        StoreIOError: if the working directory is gone, or *path* leads to a pipe or socket without a name.
    """
    given = os.fspath(path)
    try:
        real = os.path.realpath(given)
    except FileNotFoundError:
        reason = "the working directory is gone; give the whole path"
        raise StoreIOError(errno.ENOENT, reason, given) from None
    if _NAMELESS.fullmatch(os.path.basename(real)) and _is_odd(given):
        raise StoreIOError(errno.EINVAL, NOT_REGULAR, given)
    return real


def _is_odd(path: str) -> bool:
    """Tell whether something that is not a regular file is at *path*."""
    try:
        return not S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
