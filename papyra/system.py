"""
What the operating systems do differently: locks, syncing, kinds of files.

The only importer of fcntl. Where a facility is missing, its stand-in says what is lost: on
Windows there is neither flock nor a directory fsync, so a store there belongs to one process.
"""

import errno
import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from stat import S_ISDIR, S_ISLNK, S_ISREG
from types import ModuleType
from typing import Final

from papyra.errors import StoreBusyError, StoreIOError, StoreLockedError
from papyra.own_locks import is_held_here


def _find_fcntl() -> ModuleType | None:
    try:
        return import_module("fcntl")
    except ImportError:  # Windows
        return None


def _no_flock(descriptor: int, operation: int, /) -> None:
    """Stand in for flock where there is none: everybody has every lock."""


_fcntl: Final = _find_fcntl()

#: Whether processes exclude each other; without it one process at a time may use a store.
HAS_FLOCK: Final = _fcntl is not None
# A bare name for a C function: in a finally clause it runs even where a signal's handler raises
# at the next instruction, which a function of Python might not.
flock: Final[Callable[[int, int], None]] = _no_flock if _fcntl is None else _fcntl.flock
LOCK_SHARED: Final[int] = 0 if _fcntl is None else _fcntl.LOCK_SH | _fcntl.LOCK_NB
LOCK_EXCLUSIVE: Final[int] = 1 if _fcntl is None else _fcntl.LOCK_EX | _fcntl.LOCK_NB
LOCK_NONE: Final[int] = 2 if _fcntl is None else _fcntl.LOCK_UN

#: Flags of every open: never inherited by a program that is started, never through a link.
OPEN_FLAGS: Final = (
    getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
#: Flags that keep an open from waiting for the other end of a FIFO, and from taking a terminal.
AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def _find_clock() -> Callable[[], float]:
    # On macOS `time.monotonic` stands still while the machine sleeps.
    number = getattr(time, "CLOCK_UPTIME_RAW", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic if number is None else partial(time.clock_gettime, number)


#: `time.monotonic`, asked for by its number: what freezes the time for tests, as freezegun, replaces
#: that function in every module that has it, and waiting for a lock would end at once, or never.
monotonic: Final = _find_clock()

#: Seconds between two tries to get a lock, at first and at the most.
_FIRST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.02


def try_lock(descriptor: int, operation: int) -> bool:
    """Take *operation* (`LOCK_SHARED` or `LOCK_EXCLUSIVE`) if nobody stands against it now."""
    try:
        flock(descriptor, operation)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, operation: int, *, deadline: float, timeout: float, source: str) -> None:
    """
    Take *operation*, and wait for it until *deadline*, by the clock `monotonic`.

    *timeout* is the seconds that the user allowed; the error tells them.

    Raises:
        StoreLockedError: when the deadline has passed; it names the holder where Linux knows it.
        StoreBusyError: at once, if this very thread holds it through another descriptor.
    """
    pause = _FIRST_PAUSE
    while not try_lock(descriptor, operation):
        if pause == _FIRST_PAUSE and is_held_here(descriptor):
            raise StoreBusyError(source)
        remaining = deadline - monotonic()
        if remaining <= 0:
            raise StoreLockedError(source, timeout, _holder(descriptor))
        time.sleep(min(pause, remaining))
        pause = min(pause * 2, _LONGEST_PAUSE)


#: A `struct flock` of a 64-bit Linux: type, whence, start, length, process.
_RANGE: Final = "hhqqi0q"
_HAS_RANGES: Final = (
    hasattr(_fcntl, "F_OFD_SETLK") and sys.platform == "linux" and sys.maxsize > 2**32
)


def lock_range(descriptor: int, start: int, length: int, *, held: bool) -> None:
    """Lock bytes of the open file against other such locks, or unlock them; nothing where none are."""
    if _fcntl is not None and _HAS_RANGES:
        kind = _fcntl.F_WRLCK if held else _fcntl.F_UNLCK
        request = struct.pack(_RANGE, kind, os.SEEK_SET, start, length, 0)
        with suppress(OSError):  # a file system without such locks
            _fcntl.fcntl(descriptor, _fcntl.F_OFD_SETLK, request)


def find_range_lock(descriptor: int, start: int, length: int) -> tuple[int, int] | None:
    """
    Return where another open file has locked bytes of a range, and how many of them.

    They may begin before the range; 0 of them means all to the end of what a file can have. None if
    none is locked, or that cannot be known.
    """
    if _fcntl is None or not _HAS_RANGES:
        return None
    request = struct.pack(_RANGE, _fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        answer = _fcntl.fcntl(descriptor, _fcntl.F_OFD_GETLK, request)
    except OSError:
        return None
    kind, _, at, count, _ = struct.unpack(_RANGE, answer)
    return None if kind == _fcntl.F_UNLCK else (at, count)


def _holder(descriptor: int) -> str:
    """Return the process that holds a lock on the open file, as the kernel tells; "" if not."""
    with suppress(OSError, ValueError, IndexError):
        status = os.fstat(descriptor)
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        with open("/proc/locks", encoding="ascii") as table:
            for row in table:
                fields = row.split()
                if fields[1] == "FLOCK" and fields[5] == device:
                    return f"process {fields[4]}"
    return ""


def check_place(path: str) -> None:
    """Raise `StoreIOError` if what stands at *path* is neither a regular file nor a link."""
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


#: What a system answers that does not have, or not allow, what it is asked for.
_LACKS: Final = frozenset(
    {
        errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY,
        errno.EOPNOTSUPP, errno.EPERM,
    }
)  # fmt: skip


def lacking(do: Callable[..., object], *arguments: object) -> str:
    """
    Do what no record depends on; return "", or why the file system does not have or allow it.

    Raises:
        OSError: for any other reason, as a disk that fails.
    """
    try:
        do(*arguments)
    except OSError as error:
        if error.errno not in _LACKS:
            raise
        return error.strerror or str(error)
    return ""


def is_mounted(path: str) -> bool:
    """Tell whether a mount ends at *path* itself, as that of a single file; False where that is unknown."""
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
    Let those who may use *model* also use what this user just made at *path*.

    What root made gets the owner and the group of *model*, what another user made gets the group if
    that may be. Beside a file it gets the file's mode as well, and so does what *is_inside* of a
    directory. Otherwise a look that root or a second user takes at a store would leave files that its
    program cannot open. Returns why owner or mode cannot be given, as in a container, or "".
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
    """Stand in for pread where there is none: the descriptor is nobody else's."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, count)


#: Read so many bytes from so far in; fewer only at the end of the file.
read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _read_at)


def write_all(descriptor: int, data: bytes) -> None:
    """Write *data*; on an error a part of it may be written, as on a disk that is almost full."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def _sync_fully(fcntl: Callable[[int, int], object], command: int, descriptor: int) -> None:
    try:
        fcntl(descriptor, command)
    except OSError as error:
        # Some file systems, as those of other machines, know no such command.
        if error.errno not in {errno.ENOTSUP, errno.ENOTTY, errno.EINVAL}:
            raise
        os.fsync(descriptor)


def _find_sync() -> Callable[[int], object]:
    command = getattr(_fcntl, "F_FULLFSYNC", None)
    if _fcntl is not None and command is not None:  # macOS: its fsync stops at the drive's cache
        return partial(_sync_fully, _fcntl.fcntl, command)
    return os.fdatasync if hasattr(os, "fdatasync") else os.fsync


#: Bring what was written to a descriptor onto the disk itself.
sync_data: Final = _find_sync()


def sync_directory(path: str) -> str:
    """Bring the names in the directory *path* onto the disk; return "", or why that is impossible."""
    if not hasattr(os, "O_DIRECTORY"):
        return ""  # Windows: a directory has no descriptor, which README says
    return lacking(_sync_directory, path)


def _sync_directory(path: str) -> None:
    opened: list[int] = []
    try:
        # One call of C: no interrupt comes between opening it and noting its descriptor.
        opened.extend(map(os.open, (path,), (os.O_RDONLY | os.O_DIRECTORY | OPEN_FLAGS,)))
        os.fsync(opened[0])
    finally:
        for descriptor in opened:
            os.close(descriptor)
