"""
A power cut anywhere: what was not synced is kept, lost, torn, or NUL bytes, each file for itself.

So for the names: of those that came and went since the directory was synced, any may have reached
the disk. POSIX promises no more, though most file systems do better.
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from faults.disk import Disk
from faults.expected_state import Expected, ExpectedState
from faults.exploring import Explorer, recorded, scratch
from faults.inodes import Change, Directory, Entries, File, Tree, changed, renamed, tree_of
from faults.outcome import Outcome
from faults.trace import Call
from faults.workloads import tasks

#: So many pending names are tried in every combination; of more, only so many from the first on.
_MOST_COMBINED: Final = 5
#: The last so many pending writes of a file are torn.
_MOST_TORN: Final = 12
#: Bytes that a file system keeps or loses together.
_BLOCK: Final = 4096
#: States of one moment that are tried, in the long form and in the short one.
_MOST_LONG: Final = 120
_MOST_SHORT: Final = 4


class PowerCuts(Explorer):
    """What is left where the kernel does not go on."""

    fault = "power cut at every call"

    def states(self, disk: Disk, call: Call | None) -> Iterator[Tree]:
        """Yield what may be on the disk before *call* is done; its own bytes may be there, too."""
        if (found := disk.write_of(call) if call is not None else None) is not None:
            file, change = found
            file.pending.append(change)
            yield from self._sampled(disk)
            file.pending.pop()
        else:
            yield from self._sampled(disk)

    def _sampled(self, disk: Disk) -> Iterator[Tree]:
        """Yield what is left if all is kept, if all is lost, and a sample of all combinations."""
        names: dict[int, list[Entries]] = {}
        contents: dict[int, list[bytes]] = {}
        for thing in disk.things():
            if isinstance(thing, Directory):
                names[id(thing)] = _names(thing)
            else:
                # Of equal ones the last: nothing kept is to stay the last option.
                found = reversed(list(_contents(thing, self._random)))
                contents[id(thing)] = list(dict.fromkeys(found))[::-1]
        sizes = [*map(len, names.values()), *map(len, contents.values())]
        for choice in self._choices(sizes):
            chosen = iter(choice)
            yield tree_of(
                disk.top,
                {place: options[next(chosen)] for place, options in names.items()},
                {place: options[next(chosen)] for place, options in contents.items()},
            )

    def _choices(self, sizes: list[int]) -> Iterable[tuple[int, ...]]:
        """Return which of its options each takes: the first keeps all, and the last nothing."""
        most = _MOST_LONG if self.long else _MOST_SHORT
        total = 1
        for size in sizes:
            total *= size
        if total <= most:
            return itertools.product(*map(range, sizes))
        extremes = [tuple(0 for _ in sizes), tuple(size - 1 for size in sizes)]
        alone = [
            tuple(index if other == place else edge[other] for other in range(len(sizes)))
            for edge in extremes
            for place in range(len(sizes))
            for index in range(sizes[place])
        ]
        mixed = [tuple(self._random.randrange(size) for size in sizes) for _ in range(most // 4)]
        room = most - len(extremes) - len(mixed)
        return [*extremes, *self._random.sample(alone, min(room, len(alone))), *mixed]

    def expected(self, expected_state: ExpectedState, highest: int, *, sync: str) -> Expected:
        """Return what must hold: what was synced before it was acknowledged is there."""
        return expected_state.after_power_cut(highest, sync=sync)

    def _is_kill(self) -> bool:
        return False


def _names(directory: Directory) -> list[Entries]:
    """Return what may stand in *directory*: everything first, and last what was synced."""
    pending = directory.pending
    if len(pending) <= _MOST_COMBINED:
        kept = [
            subset
            for count in range(len(pending), -1, -1)
            for subset in itertools.combinations(pending, count)
        ]
    else:
        kept = [tuple(pending[:count]) for count in range(len(pending), -1, -1)]
    found = []
    for changes in kept:
        entries = directory.durable
        for change in changes:
            entries = renamed(entries, change)
        found.append(entries)
    return found


def _contents(file: File, chance: random.Random) -> Iterator[bytes]:
    """Yield what *file* may hold: everything first, and last what was synced."""
    pending = file.pending
    whole = _done(file.durable, pending)
    yield whole
    if not pending:
        return
    size = len(file.durable)
    # The file was stretched, and its new blocks never written; all of them, or the first, or some.
    blocks = range(size - size % _BLOCK, len(whole), _BLOCK)
    for lost in [set(blocks), set(blocks[:1]), set(chance.sample(blocks, len(blocks) // 2))]:
        yield _with_nuls(whole, size, lost, _BLOCK)
    for index in range(max(0, len(pending) - _MOST_TORN), len(pending)):
        offset, data = pending[index]
        done = _done(file.durable, pending[:index])
        if data is None:
            yield done
            continue
        stop = changed(done, (offset, data))
        # Its bytes never came, those of what was written after it did; or it is the last that came.
        yield _with_nuls(whole, size, {offset}, len(data))
        yield stop
        for cut in {1, len(data) // 2, len(data) - 1, *_some(chance, len(data))}:
            yield changed(done, (offset, data[:cut]))
            yield _with_nuls(stop, size, {offset + cut}, len(data) - cut)
    yield file.durable


def _done(content: bytes, changes: Iterable[Change]) -> bytes:
    for change in changes:
        content = changed(content, change)
    return content


def _with_nuls(content: bytes, durable: int, lost: set[int], length: int) -> bytes:
    """Return *content* with NULs where bytes behind the *durable* ones are lost."""
    for start in lost:
        begin, end = max(start, durable), min(start + length, len(content))
        if begin < end:
            content = content[:begin] + bytes(end - begin) + content[end:]
    return content


def _some(chance: random.Random, size: int) -> list[int]:
    return [chance.randrange(1, size) for _ in range(4)] if size > 1 else []


def run(*, long: bool) -> Outcome:
    """Cut the power of a program that does everything to both kinds of store, at every moment."""
    with scratch() as place:
        explorer = PowerCuts(Path(place), long=long)
        todo = [task for sync in ("always", "interval", "none") for task in tasks(sync)]
        explorer.explore(recorded(Path(place), todo))
    return explorer.outcome
