"""
Marks in `PATH.lock` of programs that append and whose counters no other process can see.

Each is a lock on one byte, far beyond the end of the file, of the program's own choice: it changes
nothing in the file, every program that may append may take it, and it ends with the program, however
that ends. The locks belong to the open file (Linux), not to the process, so that closing another
descriptor of the same file does not drop them. Where there are none, nothing is marked.
"""

import os
from typing import Final

from papyra.system.descriptors import Descriptors
from papyra.system.locks import find_range_lock, lock_range

#: The marks' bytes: from here, so many.
_FIRST: Final = 1 << 61
_COUNT: Final = 1 << 48


class Mark:
    """One store object's mark."""

    __slots__ = ("_byte",)

    def __init__(self) -> None:
        self._byte = _FIRST + int.from_bytes(os.urandom(6), "little")

    def put(self, descriptor: int) -> None:
        """Leave the mark by *descriptor* of the lock file; it lasts until that is closed."""
        lock_range(descriptor, self._byte, 1, held=True)

    def remove(self, descriptor: int) -> None:
        """Take the mark away again; *descriptor* may be -1."""
        if descriptor >= 0:
            lock_range(descriptor, self._byte, 1, held=False)


def count_marks(path: str) -> int:
    """Return how many store objects left their mark in the lock file at *path*; 0 if that cannot be known."""
    with Descriptors() as opened:
        try:
            descriptor = opened.open(path, os.O_RDONLY)
        except OSError:  # not there, or not to be read by this user: no counts depend on it
            return 0
        found, ranges = 0, [(_FIRST, _FIRST + _COUNT)]
        while ranges:
            start, stop = ranges.pop()
            lock = find_range_lock(descriptor, start, stop - start) if start < stop else None
            if lock is None:
                continue
            at, count = lock
            if (
                count == 1
            ):  # otherwise it is not a mark: a stranger locked the whole file, or most of it
                found += 1
            # The system tells any one of them.
            ranges += [(start, at), (at + count if count else stop, stop)]
        return found
