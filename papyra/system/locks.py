"""
Lock files against other processes, and ranges of bytes.

Only this module imports fcntl. Windows has no flock, so a store there belongs to one process.
"""

import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Final

from papyra.errors import StoreBusyError, StoreLockedError
from papyra.system.clock import monotonic
from papyra.system.own_locks import is_held_here


def _find_fcntl() -> ModuleType | None:
    try:
        return import_module("fcntl")
    except ImportError:  # Windows
        return None


def _no_flock(descriptor: int, operation: int, /) -> None:
    """Stand in for flock where the system lacks it: every process gets every lock."""


_fcntl: Final = _find_fcntl()

#: Whether processes exclude each other; without it one process at a time may use a store.
HAS_FLOCK: Final = _fcntl is not None
# A bare name for a C function, which runs in a finally clause even where a signal's handler raises
# at the next instruction. A function of Python might not.
flock: Final[Callable[[int, int], None]] = _no_flock if _fcntl is None else _fcntl.flock
LOCK_SHARED: Final[int] = 0 if _fcntl is None else _fcntl.LOCK_SH | _fcntl.LOCK_NB
LOCK_EXCLUSIVE: Final[int] = 1 if _fcntl is None else _fcntl.LOCK_EX | _fcntl.LOCK_NB
LOCK_NONE: Final[int] = 2 if _fcntl is None else _fcntl.LOCK_UN

#: Seconds between two tries to get a lock, at first and at most.
_FIRST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.02


def try_lock(descriptor: int, operation: int) -> bool:
    """Take *operation* (`LOCK_SHARED` or `LOCK_EXCLUSIVE`) if no other process holds it; return whether it was."""
    try:
        flock(descriptor, operation)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, operation: int, *, deadline: float, timeout: float, source: str) -> None:
    """
    Take *operation*, and wait for it until *deadline*, by the clock `monotonic`.

    *timeout* is the number of seconds that the user allowed; the error tells it.

    Raises:
        StoreLockedError: when the deadline has passed; it names the holder if Linux knows it.
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
    """Lock bytes of the open file against other such locks, or unlock them; do nothing where there are no such locks."""
    if _fcntl is not None and _HAS_RANGES:
        kind = _fcntl.F_WRLCK if held else _fcntl.F_UNLCK
        request = struct.pack(_RANGE, kind, os.SEEK_SET, start, length, 0)
        with suppress(OSError):  # a file system without such locks
            _fcntl.fcntl(descriptor, _fcntl.F_OFD_SETLK, request)


def find_range_lock(descriptor: int, start: int, length: int) -> tuple[int, int] | None:
    """
    Return where another open file has locked bytes of a range, and how many of them.

    The bytes may begin before the range; 0 of them means all up to the largest offset that a file can have.
    The result is None if no byte is locked, or if that cannot be known.
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
    """Return the process that holds a lock on the open file; "" if the kernel does not tell."""
    with suppress(OSError, ValueError, IndexError):
        status = os.fstat(descriptor)
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        with open("/proc/locks", encoding="ascii") as table:
            for row in table:
                fields = row.split()
                if fields[1] == "FLOCK" and fields[5] == device:
                    return f"process {fields[4]}"
    return ""
