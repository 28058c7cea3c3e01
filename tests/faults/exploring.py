"""Every state that a crash can leave of what was done to stores, each looked at once."""

import random
import sys
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

from faults import workloads
from faults.check_crash_state import WrongError, examine
from faults.disk import Disk
from faults.expected_state import Expected, ExpectedState
from faults.inodes import Tree
from faults.outcome import Outcome
from faults.trace import Call, Note, record

#: A file system in memory, where there is one: a hundred thousand directories are made.
_FAST: Final = Path("/dev/shm")
#: Wrong states that are printed; the others are only counted.
_MOST_SHOWN: Final = 10


class Explorer(ABC):
    """
    Goes through a recording, and into every state that a crash at each moment may leave.

    Args:
        place: A directory to lay the states out in.
        long: Try all of them; else a sample.
        until_wrong: Try no more after the first that is wrong.

    Attributes:
        tried: States, however alike.
        wrongs: What was wrong, by its sort.
    """

    fault: ClassVar[str]

    def __init__(self, place: Path, *, long: bool, until_wrong: bool = False) -> None:
        self.tried: Counter[str] = Counter()
        self.wrongs: Counter[str] = Counter()
        self.long = long
        self._place = place
        self._until_wrong = until_wrong
        self._random = random.Random(1)
        self._looked: set[int] = set()

    @abstractmethod
    def states(self, disk: Disk, call: Call | None) -> Iterator[Tree]:
        """Yield what a crash before the end of *call* leaves; None is between two calls."""

    @abstractmethod
    def expected(self, expected_state: ExpectedState, highest: int, *, sync: str) -> Expected:
        """Return what must hold of them."""

    @abstractmethod
    def _is_kill(self) -> bool: ...

    def explore(self, recording: Iterable[Call | Note]) -> None:
        """Go through *recording*."""
        disk, expected_state, task = Disk("/nowhere"), ExpectedState(), ""
        for event in recording:
            if self._until_wrong and self.wrongs:
                return
            if isinstance(event, Call):
                if expected_state.running and disk.is_changed_by(event):
                    self._crash(disk, event, expected_state, task)
                disk.apply(event)
            elif "task" in event.said:
                task = event.said["task"]
                disk, expected_state = Disk(event.said["place"]), ExpectedState()
            elif "poke" in event.said:
                disk.poke(event.said["poke"], event.said["at"], event.said["value"])
            else:
                expected_state.take(event.said)
                if "start" in event.said:
                    disk.sync()
                if expected_state.running and expected_state.settled:
                    self._crash(disk, None, expected_state, task)

    def _crash(
        self, disk: Disk, call: Call | None, expected_state: ExpectedState, task: str
    ) -> None:
        _, kind, sync = task.split(":")
        expected = self.expected(expected_state, disk.highest, sync=sync)
        for tree in self.states(disk, call):
            if self._until_wrong and self.wrongs:
                return
            self.tried[task] += 1
            key = hash((kind, expected, frozenset(tree.items())))
            if key in self._looked:
                continue
            self._looked.add(key)
            place = self._place / str(len(self._looked))
            try:
                examine(place, tree, expected, kind, killed=self._is_kill())
            except WrongError as wrong:
                self.wrongs[wrong.what] += 1
                self._print_wrong(f"{task}, before {call}: {wrong}", tree)

    def _print_wrong(self, wrong: str, tree: Tree) -> None:
        """Print what was wrong and the state that it was seen in."""
        if self.wrongs.total() <= _MOST_SHOWN:
            reported = {name: tree[name] for name in sorted(tree) if ".metrics" not in name}
            print(wrong, reported, sep="; ", file=sys.stderr)

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        tried = f"{self.tried.total():,} crash states of {len(self.tried)} workloads"
        return Outcome(self.fault, tried, **self.wrongs)


def recorded(place: Path, tasks: Sequence[str], *, mutant: str = "") -> Iterator[Call | Note]:
    """Do *tasks* in the directory *place*, and yield its system calls and notes."""
    (place / "stores").mkdir()
    program = Path(workloads.__file__)
    return record(program, [str(place / "stores"), mutant, *tasks], place)


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """Return a directory that is fast to make files in, and removed at the end."""
    return tempfile.TemporaryDirectory(dir=_FAST if _FAST.is_dir() else None)
