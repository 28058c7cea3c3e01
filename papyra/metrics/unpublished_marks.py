"""
Count the programs that append and whose counters no other process can see, by marks in `PATH.lock`.

A mark is a lock on one byte that the program chooses, far beyond the end of the file. It changes
nothing in the file, every program that may append may take it, and it ends with the program, however
the program ends. The locks belong to the open file (Linux), not to the process, so that closing another
descriptor of the same file does not drop them. On a system without such locks nothing is marked.

A file store leaves and removes its mark; `papyra.metrics.multiprocess` counts them.
"""

import os
from typing import Final

from papyra.system.descriptors import Descriptors
from papyra.system.locks import find_range_lock, lock_range

#: The first byte that a mark may lock, and the number of such bytes.
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
    """Return the number of store objects that left a mark in the lock file at *path*; 0 if it cannot be known."""
    with Descriptors() as opened:
        try:
            descriptor = opened.open(path, os.O_RDONLY)
        except OSError:  # it is missing, or this user may not read it: no counts depend on it
            return 0
        found, ranges = 0, [(_FIRST, _FIRST + _COUNT)]
        while ranges:
            start, stop = ranges.pop()
            lock = find_range_lock(descriptor, start, stop - start) if start < stop else None
            if lock is None:
                continue
            at, count = lock
            # A longer one is not a mark: another program locked the whole file, or most of it.
            if count == 1:
                found += 1
            # The system tells one of them, of its own choice.
            ranges += [(start, at), (at + count if count else stop, stop)]
        return found
