"""
Open, read and write files, give them to the right users, and reject anything that is not a regular file.

Called by every module that touches a file; nothing here knows a store.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Final

from papyra.errors import StoreIOError

#: Flags of every open: never inherited by a program that is started, never through a link.
OPEN_FLAGS: Final = (
    getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
#: Flags that keep an open from waiting for the other end of a FIFO, and from taking a terminal.
AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def check_place(path: str) -> None:
    """Raise `StoreIOError` if *path* is there and is neither a regular file nor a link."""
    with suppress(FileNotFoundError):
        kind = os.lstat(path).st_mode
        if not S_ISLNK(kind):
            _check_kind(path, kind)


def check_regular(path: str, descriptor: int) -> None:
    """Raise `StoreIOError` unless the open file, which was found at *path*, is a regular one."""
    _check_kind(path, os.fstat(descriptor).st_mode)


def _check_kind(path: str, kind: int) -> None:
    if not S_ISREG(kind):
        raise _not_regular(path, errno.EISDIR if S_ISDIR(kind) else errno.EINVAL)


def check_odd(path: str, error: OSError) -> None:
    """Raise `StoreIOError` if *path* could not be opened because it is not a regular file."""
    if error.errno in {errno.EISDIR, errno.ENXIO}:
        raise _not_regular(path, error.errno or 0) from error


def _not_regular(path: str, number: int) -> StoreIOError:
    what = "a directory" if number == errno.EISDIR else "not a regular file"
    return StoreIOError(number, f"it is {what}; move it away, the store needs its place", path)


#: The answers of a system that does not have, or does not allow, an operation.
_LACKS: Final = frozenset(
    {
        errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY,
        errno.EOPNOTSUPP, errno.EPERM,
    }
)  # fmt: skip


def lacking(do: Callable[..., object], *arguments: object) -> str:
    """
    Call *do*, on which no record depends; return "", or why the file system does not have or allow it.

    Raises:
        OSError: for any other reason, such as a disk that fails.
    """
    try:
        do(*arguments)
    except OSError as error:
        if error.errno not in _LACKS:
            raise
        return error.strerror or str(error)
    return ""


def is_mounted(path: str) -> bool:
    """Tell whether *path* itself is a mount point, such as of a single file; False if that is unknown."""
    # Not os.path.ismount: it takes a file of the same file system for part of it.
    place = os.fsencode(os.path.realpath(path))
    for mark in (b"\\", b" ", b"\t", b"\n"):  # as the kernel writes them
        place = place.replace(mark, b"\\%03o" % ord(mark))
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            return any(row.split(b" ", 5)[4] == place for row in table)
    except (OSError, IndexError):
        return False


def own_like(path: str, model: str, *, is_inside: bool = False) -> str:
    """
    Let the users of *model* also use the file or directory that this user just made at *path*.

    If root made it, it gets the owner and the group of *model*. If another user made it, it gets the group where
    the system allows that. If *model* is a file, it gets the mode as well, and also if it *is_inside* of the
    directory *model*. Otherwise a scan by root or by a second user would leave files that the store's program
    cannot open. Returns why owner or mode cannot be given, as in a container, or "".
    """
    if hasattr(os, "geteuid"):
        with suppress(FileNotFoundError):
            return lacking(_become_like, path, model, is_inside)
    return ""


def _become_like(path: str, model: str, is_inside: bool) -> None:  # noqa: FBT001  lacking passes it on
    made, like = os.lstat(path), os.stat(model)
    mode = like.st_mode & 0o666
    if os.geteuid() == 0:
        if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
            os.chown(path, like.st_uid, like.st_gid, follow_symlinks=False)
    elif made.st_gid != like.st_gid:
        chown = partial(os.chown, follow_symlinks=False)
        if lacking(chown, path, -1, like.st_gid):  # the maker does not belong to that group
            mode = mode & 0o606 | (mode & 0o006) << 3
    if not is_inside and not S_ISREG(like.st_mode):
        return
    mode |= 0o600
    if S_ISDIR(made.st_mode):
        mode |= (mode | mode << 1) >> 2 & 0o111
    if mode != made.st_mode & 0o777:
        os.chmod(path, mode)


def _read_at(descriptor: int, count: int, offset: int, /) -> bytes:
    """Stand in for pread where the system lacks it: no other call uses the descriptor."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, count)


#: Read *count* bytes at *offset*; fewer only at the end of the file.
read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _read_at)


def write_all(descriptor: int, data: bytes) -> None:
    """Write *data*; after an error a part of it may be written, as on a disk that is almost full."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
