"""
Recover and compact a stream, as a rewrite filter says.

Redis cannot change an entry, or put one between others, so the entries that stay are left where they are. Until
the rewrite filter has seen every line, the changes are only noted; then they are made.
"""

import os
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.rewrite import DROP, MOVE
from papyra.backends.redis.stream import Entries
from papyra.reading.keep import RewriteFilter, Verdict
from papyra.reports import Rewritten

#: Entries that are dropped in one step. The server answers other clients between two steps.
_STEP: Final = 1000


class _Move(NamedTuple):
    """An entry to move: its damage, and the intact lines in it, which are appended at the end."""

    id: str
    anomaly: str
    damaged: int
    kept: tuple[bytes, ...]


class _Plan:
    """The changes to make, as they are found while the entries are filtered one after the other."""

    def __init__(self) -> None:
        self.moves: list[_Move] = []
        # Runs of entries to drop: the first and the last id of each, as four numbers.
        self._runs = array("Q")
        self._in_run = False

    def keep(self) -> None:
        """Leave an entry as it is."""
        self._in_run = False

    def move(self, move: _Move) -> None:
        """Take an entry out of the stream."""
        self._in_run = False
        self.moves.append(move)

    def drop(self, id_: str) -> None:
        """Drop an entry for good."""
        numbers = [int(number) for number in id_.split("-")]
        if self._in_run:
            self._runs[-2:] = array("Q", numbers)
        else:
            self._runs.extend((*numbers, *numbers))
        self._in_run = True

    @property
    def runs(self) -> list[tuple[str, str]]:
        """First and last id of each run to drop."""
        numbers = self._runs
        return [
            (f"{numbers[n]}-{numbers[n + 1]}", f"{numbers[n + 2]}-{numbers[n + 3]}")
            for n in range(0, len(numbers), 4)
        ]


def rewrite(link: Link, rewrite_filter: RewriteFilter) -> Rewritten:
    """Show *rewrite_filter* each line, and do as it says; move each entry in a step of its own."""
    view = Entries(link)
    rewrite_filter.begin(view.lines)
    plan = _Plan()
    before = after = removed = 0
    for place, line in view.lines(newest_first=False):
        verdicts = rewrite_filter(place, line)
        size = line if isinstance(line, int) else len(line)
        before += size
        if len(verdicts) == 1 and verdicts[0] == (0, size, None):
            after += size
            plan.keep()
            continue
        damaged = sum(verdict.stop - verdict.start for verdict in verdicts if verdict.anomaly)
        removed += damaged
        id_ = str(place[1])
        if not verdicts:
            plan.drop(id_)
            continue
        kept = _kept(line, verdicts)
        after += sum(len(piece) + 1 for piece in kept)
        plan.move(_Move(id_, _wrong(verdicts), damaged, kept))
    rewrite_filter.finish(link.keys.records)
    recovery = os.urandom(4).hex()
    for move in plan.moves:
        saved = recovery if move.anomaly else ""
        link.run(MOVE, move.id, saved, move.anomaly, move.damaged, *move.kept)
    for first, last in plan.runs:
        while link.run(DROP, first, last, _STEP) == _STEP:
            pass
    return Rewritten(before, after, removed, recovery if removed else None)


def _kept(line: bytes | int, verdicts: Sequence[Verdict]) -> tuple[bytes, ...]:
    if isinstance(line, int):
        return ()
    return tuple(
        line[verdict.start : verdict.stop].removesuffix(b"\n")
        for verdict in verdicts
        if not verdict.anomaly
    )


def _wrong(verdicts: Sequence[Verdict]) -> str:
    """Return the types of the damage to save; "" if there is none."""
    types = {
        verdict.anomaly.type: None
        for verdict in verdicts
        if verdict.anomaly and verdict.start < verdict.stop
    }
    return ",".join(types)
