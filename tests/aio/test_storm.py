"""Everything at once: short and long calls, cancelled, closed, dropped, late, bad, and beside `aclose`."""

import asyncio
import os
import random
from collections.abc import Coroutine
from itertools import count
from typing import Any

import pytest
from aio.gated import Run
from stores import FILE_KINDS, KINDS, Kind, counts, event, numbers

from papyra import PapyraError, PersistenceBackend
from papyra.aio.backend import AsyncBackend
from papyra.system.clock import monotonic

CALLS = 1500


class Caller:
    """
    What starts calls and keeps what became of each.

    A call's numbers are given as it starts, so their order is that of the starts.

    Attributes:
        acked: The numbers of the calls that returned.
        left: Those of calls that were cancelled, closed or dropped: each is stored whole, or not.
        refused: How many calls raised an error of papyra's.
        started: How many calls began.
    """

    def __init__(self, store: AsyncBackend, chance: random.Random) -> None:
        self.acked: list[range] = []
        self.left: list[range] = []
        self.refused = self.started = 0
        self._store = store
        self._chance = chance
        self._next = count()

    async def call(self) -> None:
        """Append one record, or many."""
        self.started += 1
        size = self._chance.choice([1, 1, 1, 1, 1, 2, 64, 150])
        first = next(self._next)
        own = range(first, first + size)
        for _ in own[1:]:
            next(self._next)
        records = [event(n) for n in own]
        if self._chance.random() < 0.02:
            records[-1] = event(first, bad={2})
        try:
            if size == 1 and self._chance.random() < 0.9:
                await self._store.append(records[0])
            else:
                await self._store.append_many(records)
        except PapyraError:
            self.refused += 1
        except BaseException:
            self.left.append(own)
            raise
        else:
            self.acked.append(own)

    async def cancelled_perhaps(self) -> None:
        """Call, and be cancelled in one case of three, after some turns of the loop."""
        task = asyncio.create_task(self.call())
        if self._chance.random() < 1 / 3:
            for _ in range(self._chance.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    def closed_or_dropped(self) -> Coroutine[Any, Any, None] | None:
        """Start a call, and close it at once, or return it, for it to be dropped later."""
        call = self.call()
        try:
            call.send(None)
        except StopIteration:  # it needed no waiting
            return None
        if self._chance.random() < 0.5:
            call.close()
            return None
        return call


def remembered(store: PersistenceBackend) -> list[bytes]:
    """Return a list that has the lines of *store* once it is closed, for one that ends with its object."""
    lines: list[bytes] = []
    close = store._close

    def remembering() -> None:
        lines.extend(
            line for _, line in store._lines(newest_first=False) if isinstance(line, bytes)
        )
        close()

    store._close = remembering  # type: ignore[method-assign]  # for this store alone
    return lines


def stored_in(kind: Kind, lines: list[bytes]) -> list[int]:
    """Return the numbers that the closed store of *kind* has; it had *lines* if it ended with its object."""
    with kind.open(**kind.busy) as again:
        if not kind.outlives_object:
            kind.put(again, b"".join(lines))
        assert again.scan().clean
        return numbers(again.read())


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "options"),
    [(name, {}) for name in [*KINDS, "redis"]]
    + [(name, {"sync": "always"}) for name in FILE_KINDS],
    indirect=["kind"],
)
def test_a_storm_leaves_what_was_acknowledged_stored_once_and_in_the_order_of_the_starts(
    run: Run, kind: Kind, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = os.environ.get("PAPYRA_SEED") or os.urandom(4).hex()
    print(f"PAPYRA_SEED={seed} tries the same")  # noqa: T201  shown where it fails
    chance = random.Random(seed)
    clock = random.Random(seed)
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 50)
    callers: list[Caller] = []

    def jumping() -> float:
        """Tell the time; now and then a batch seems to have taken so long that all behind it are late."""
        # One such jump may end every call that waits: not before enough were stored to be compared.
        is_enough = callers and len(callers[0].acked) > CALLS / 20
        return monotonic() + (1e6 if is_enough and clock.random() < 0.05 else 0)

    monkeypatch.setattr("papyra.aio.loop_writer.monotonic", jumping)

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)
        opened = kind.open(**kind.busy, **options)
        lines = [] if kind.outlives_object else remembered(opened)
        if chance.random() < 0.8:
            opened._always_waits = True  # else little waits
        store = AsyncBackend(opened)
        caller = Caller(store, chance)
        callers.append(caller)
        closing: asyncio.Task[None] | None = None
        dropped: list[Any] = []
        async with asyncio.TaskGroup() as group:
            for number in range(CALLS):
                if chance.random() < 0.1:
                    dropped.append(caller.closed_or_dropped())
                else:
                    group.create_task(caller.cancelled_perhaps())
                if number % 40 == 0:
                    await asyncio.sleep(0)
                    dropped.clear()
                if number == CALLS - 100:
                    dropped.clear()  # closing waits for what is started
                    closing = asyncio.create_task(store.aclose())
        assert closing is not None
        dropped.clear()
        await closing

        snapshot = store.metrics.snapshot()
        stored = stored_in(kind, lines)
        assert stored == sorted(set(stored))
        assert snapshot == counts(records_written=len(stored), write_errors=caller.refused)
        held = set(stored)
        acked = {n for own in caller.acked for n in own}
        left = {n for own in caller.left for n in own if n in held}
        assert acked <= held
        assert held == acked | left
        assert all(len(held.intersection(own)) in {0, len(own)} for own in caller.left)
        # How many end in which way is the clock's and the threads' to decide; none ends in two, or none.
        assert caller.started == len(caller.acked) + len(caller.left) + caller.refused > CALLS / 2
        assert len(caller.acked) > CALLS / 20
        assert caller.refused >= 50  # those after aclose, at least
        assert caller.left

    run(main())
