"""A process that is killed anywhere: after every system call, and after every byte of a write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from faults.disk import Disk
from faults.expected_state import Expected, ExpectedState
from faults.exploring import Explorer, recorded, scratch
from faults.inodes import Tree, changed, tree_of
from faults.outcome import Outcome
from faults.trace import Call
from faults.workloads import tasks

#: Of a write of so many bytes, as of a new page of counters, not every one is tried.
_WHOLE: Final = 4096
#: Bytes of a write that the short form tries, besides the first and the last.
_SAMPLE: Final = 6


class CrashPoints(Explorer):
    """What is left where the kernel goes on: all that was written, in order."""

    fault = "killed at every byte"

    def states(self, disk: Disk, call: Call | None) -> Iterator[Tree]:
        """Yield what is there before *call*, and what after each byte that it writes."""
        yield disk.tree()
        found = disk.write_of(call) if call is not None else None
        if found is None:
            return
        file, (offset, data) = found
        assert data is not None
        for length in self._lengths(len(data)):
            torn = changed(file.content, (offset, data[:length]))
            yield tree_of(disk.top, {}, {id(file): torn})

    def _lengths(self, size: int) -> list[int]:
        """Return how much of a write of *size* bytes is done."""
        every = range(1, size)
        if self.long and size < _WHOLE:
            return list(every)
        count = 100 if self.long else _SAMPLE
        edges = {1, size - 1, *range(_WHOLE, size, _WHOLE)}
        return sorted(
            edges.intersection(every).union(self._random.sample(every, min(count, len(every))))
        )

    def expected(self, expected_state: ExpectedState, highest: int, *, sync: str) -> Expected:
        """Return what must hold: no byte that was written is lost, synced or not."""
        return expected_state.after_kill(highest)

    def _is_kill(self) -> bool:
        return True


def run(*, long: bool) -> Outcome:
    """Kill a program that does everything to both kinds of store, at every moment."""
    with scratch() as place:
        explorer = CrashPoints(Path(place), long=long)
        # A kill loses nothing that the system has, synced or not.
        explorer.explore(recorded(Path(place), tasks("always")))
    return explorer.outcome
