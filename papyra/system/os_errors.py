"""
Turn an error of the operating system into one that says what to do.

Every module that touches files uses `refusals` or `refusal`; the cures depend on the error's number alone.
"""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from papyra.errors import StoreIOError

_CURES: Final = {
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "free some of the quota and try again",
    errno.EFBIG: "raise the limit for the size of files (ulimit -f), or use rotating: with a smaller"
    " max_bytes",
    errno.EACCES: "let this user read and write the store and its directory",
    errno.EPERM: "let this user read and write the store and its directory",
    errno.EROFS: "the file system is read-only: reading works, nothing else does",
    errno.ENOENT: "make the directory first, or correct the path",
    errno.ENOTDIR: "a part of the path is a file; correct the path, or move the file away",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EISDIR: "it is a directory; name a file in it",
    errno.ELOOP: "it is a link, or leads to itself; name the file itself, or remove the link",
    errno.EEXIST: "something else is in its place; move that away",
    errno.EMFILE: "this process has too many files open; raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open",
    errno.EBUSY: "something holds it: a single file that is mounted, as into a container, cannot be"
    " replaced; mount its directory",
    errno.ENOLCK: "the file system has no locks (flock), or its server has run out of them; keep the store on"
    " a local one",
    errno.ENOSYS: "the file system cannot do that; keep the store on a local one that has flock",
    errno.EOPNOTSUPP: "the file system cannot do that; keep the store on a local one that has flock",
    errno.ENOTSUP: "the file system cannot do that; keep the store on a local one that has flock",
    errno.ENXIO: "it is a socket, or a device that is not there; move it away",
    errno.EIO: "the disk fails; look at the system's log before anything else",
}


def refusal(error: OSError, path: str, doing: str) -> StoreIOError:
    """Return *error* as one that tells the place, the operation that failed, and what to do."""
    place = os.fspath(error.filename) if isinstance(error.filename, (str, os.PathLike)) else path
    cure = _CURES.get(error.errno or 0, "see the operating system's message")
    reason = error.strerror or str(error)
    return StoreIOError(error.errno, f"{doing}: {reason}; {cure}", place)


@contextmanager
def refusals(path: str, doing: str) -> Generator[None]:
    """Raise an error of the operating system within the block as a `StoreIOError` of *path*."""
    try:
        yield
    except StoreIOError:
        raise
    except OSError as error:
        raise refusal(error, path, doing) from error
