"""
Find records without an id that a set of 0.3.0's files holds more than once.

The repairs and compactions of Papyra 0.3.0 wrote the records of a set of files anew. If one was killed, or made
fewer files than before, old files stayed beside the new ones. Views mark the lines of such a set, and
`seen_ids` knows their records by fingerprints.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableSequence
from heapq import merge
from itertools import chain, islice
from typing import Final, TypeVar

#: Fingerprints that are collected before they are sorted and put away.
_RUN: Final = 65_536
#: A longer run is not merged, because merging holds it twice for a while.
_LONG: Final = 1_000_000

_Address = TypeVar("_Address")


class Shared(bytes):
    """A line of a set of files that 0.3.0 wrote: another of them may hold its record, too."""

    __slots__ = ()


class First(Shared):
    """The first such line of a file: if its record equals the last one of the file before, it is a copy."""

    __slots__ = ()


class Marker:
    """
    Mark the lines of such a set, one file after the other.

    A burst of equal records may go on in the next file. A file may also begin with a copy of the last record
    of the file before. The two files tell: in a burst, one of them has two equal records in a row.
    """

    def __init__(self) -> None:
        self._in_burst = False

    def marked(
        self, lines: Iterable[tuple[_Address, bytes | int]]
    ) -> Iterator[tuple[_Address, bytes | int]]:
        """Return the *lines* of the next file, marked."""
        rest = iter(lines)
        start = list(islice(rest, 2))
        begins_burst = bool(start[1:]) and start[0][1] == start[1][1]
        mark = Shared if self._in_burst or begins_burst else First
        before: bytes | int | None = None
        last: bytes | int | None = None
        for at, line in chain(start, rest):
            before, last = last, line
            yield at, mark(line) if isinstance(line, bytes) else line
            mark = Shared
        if last is not None:
            self._in_burst = last == before


class Copies:
    """
    Remember the records met so far, as fingerprints.

    A record that equals the one right before it shares its fate. A burst of equal records looks like that, and
    all of them are real. A repair never repeats a record like that.
    """

    __slots__ = ("_last", "_last_was_new", "_recent", "_runs")

    def __init__(self) -> None:
        self._recent: set[int] = set()
        # Sorted, each less than half as long as the one before, or both long.
        self._runs: list[MutableSequence[int]] = []
        self._last = -1
        self._last_was_new = False

    def add(self, print_: int) -> bool:
        """Take a fingerprint in; False if it was there."""
        if print_ != self._last:
            self._last = print_
            self._last_was_new = print_ not in self
            if self._last_was_new:
                self._recent.add(print_)
            if len(self._recent) >= _RUN:
                self._put_away()
        return self._last_was_new

    def interrupt(self) -> None:
        """Note that the next record does not come right behind the last one."""
        self._last = -1

    def __contains__(self, print_: int) -> bool:
        """Tell whether a fingerprint was taken in."""
        if print_ in self._recent:
            return True
        for run in self._runs:
            at = bisect_left(run, print_)
            if at < len(run) and run[at] == print_:
                return True
        return False

    def _put_away(self) -> None:
        run: MutableSequence[int] = array("Q", sorted(self._recent))
        self._recent.clear()
        while self._runs and len(self._runs[-1]) <= min(2 * len(run), _LONG):
            run = array("Q", merge(self._runs.pop(), run))
        self._runs.append(run)
