"""The one path that a store's file is known by, whatever its user wrote."""

import errno
import os
import re
from stat import S_ISREG
from typing import Final

from papyra.errors import StoreIOError

#: What Linux calls what has no name, as a pipe of the shell's.
_NAMELESS: Final = re.compile(r"(?:pipe|socket|anon_inode):.*")
#: Why something else than a regular file is not taken.
NOT_REGULAR: Final = (
    "it is not a regular file, and a store is read more than once; save what comes out of it to a file,"
    " and name that"
)


def real_path(path: str | os.PathLike[str]) -> str:
    """
    Return the absolute path that *path* leads to, without links.

    Raises:
        StoreIOError: if the working directory is gone, or it leads to a pipe or socket without a name.
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
