"""
Records without an id that stand in a store more than once.

The repairs and compactions of Papyra 0.3.0 wrote the records of a set of files anew; where one
was killed, or fewer files came of it, the old files stayed beside the new ones.
"""

from array import array
from bisect import bisect_left
from collections.abc import MutableSequence
from hashlib import blake2b
from heapq import merge
from typing import Final

from papyra.record import Record

#: Fingerprints that are collected before they are sorted and put away.
_RUN: Final = 65_536


class Shared(bytes):
    """A line of a set of files that 0.3.0 wrote: its record may stand in another of them, too."""

    __slots__ = ()


class Copies:
    """
    The records met so far, as fingerprints of eight bytes.

    A record that is like the one right before it shares its fate: that is how a burst of equal
    records looks, which are all of them real, and never how a repair repeats one.
    """

    __slots__ = ("_last", "_last_was_new", "_recent", "_runs")

    def __init__(self) -> None:
        self._recent: set[int] = set()
        # Sorted, each less than half as long as the one before.
        self._runs: list[MutableSequence[int]] = []
        self._last = -1
        self._last_was_new = False

    def add(self, record: Record) -> bool:
        """Take *record* in; False if it was there."""
        content = repr((record.kind, record.timestamp, record.data))
        fingerprint = int.from_bytes(
            blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        )
        if fingerprint != self._last:
            self._last = fingerprint
            self._last_was_new = not self._holds(fingerprint)
            self._recent.add(fingerprint)
            if len(self._recent) >= _RUN:
                self._put_away()
        return self._last_was_new

    def interrupt(self) -> None:
        """Say that the next record does not stand right behind the last one."""
        self._last = -1

    def _holds(self, fingerprint: int) -> bool:
        if fingerprint in self._recent:
            return True
        for run in self._runs:
            at = bisect_left(run, fingerprint)
            if at < len(run) and run[at] == fingerprint:
                return True
        return False

    def _put_away(self) -> None:
        run: MutableSequence[int] = array("Q", sorted(self._recent))
        self._recent.clear()
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = array("Q", merge(self._runs.pop(), run))
        self._runs.append(run)
