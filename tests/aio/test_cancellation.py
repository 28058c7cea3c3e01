"""A call that is cancelled is not stored and not counted, or both."""

import asyncio
import os
import random
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from aio.gated import Gated, Run, turns, until
from stores import FILE_KINDS, KINDS, Kind, counts, event, led_by_another_thread, numbers

from papyra import Anomaly
from papyra.aio.backend import AsyncBackend
from papyra.aio.loop_writer import Lane


async def cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_no_batch_has_taken_is_neither_stored_nor_counted(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:
            tasks = [asyncio.create_task(store.append(event(0)))]
            await gated.taken()
            tasks += [asyncio.create_task(store.append(event(n))) for n in (1, 2, 3)]
            await turns()
            await cancelled(tasks[2])

            gated.let(2)
            await asyncio.gather(tasks[0], tasks[1], tasks[3])
            assert gated.batches == [1, 2]
            assert numbers(gated.read()) == [0, 1, 3]
            assert store.metrics.snapshot() == counts(records_written=3, records_read=3)

    run(main())


def test_what_the_thread_has_and_no_batch_yet_is_neither_stored_nor_counted(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:
            with led_by_another_thread(gated):
                tasks = [asyncio.create_task(store.append(event(n))) for n in range(3)]
                await until(lambda: len(gated._queue._pending) == 3)
                await cancelled(tasks[0])
                assert len(gated._queue._pending) == 2
            gated._queue._wake_next()
            gated.let()
            await asyncio.gather(*tasks[1:])
            assert numbers(gated.read()) == [1, 2]
            assert store.metrics.snapshot() == counts(records_written=2, records_read=2)

    run(main())


def test_what_a_batch_has_taken_is_stored_and_counted(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        task = asyncio.create_task(store.append(event(0)))
        await gated.taken()
        await cancelled(task)
        gated.let()
        await store.aclose()  # which waits for it
        assert store.metrics.snapshot() == counts(records_written=1)

    run(main())


def test_what_a_batch_has_taken_and_cannot_write_is_a_write_error(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        task = asyncio.create_task(store.append(event(0)))
        await gated.taken()
        await cancelled(task)
        gated.fault = OSError(5, "input/output error")
        gated.let()
        await store.aclose()
        assert store.metrics.snapshot() == counts(write_errors=1)

    run(main())


def test_who_waits_for_room_and_is_cancelled_leaves_it_to_the_next(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 1)

    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:
            tasks = [asyncio.create_task(store.append(event(n))) for n in range(4)]
            await gated.taken()
            await cancelled(tasks[1])  # in line

            admit = Lane._admit

            def admitted(lane: Lane) -> None:
                admit(lane)
                tasks[2].cancel()  # it has room, and was not there to take it yet

            monkeypatch.setattr(Lane, "_admit", admitted)
            gated.let(2)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            kinds = [type(outcome).__name__ for outcome in outcomes]
            assert kinds == ["str", "CancelledError", "CancelledError", "str"]
            assert numbers(gated.read()) == [0, 3]
            assert store.metrics.snapshot() == counts(records_written=2, records_read=2)

    run(main())


def test_a_cancelled_close_can_be_done_again(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        task = asyncio.create_task(store.append(event(0)))
        await gated.taken()
        closing = asyncio.create_task(store.aclose())
        await turns()
        await cancelled(closing)
        assert not store.closed
        gated.let()
        await store.aclose()
        await task
        assert store.closed

    run(main())


def test_a_cancelled_stream_counts_what_was_taken(run: Run, kind: Kind) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open()) as store:
            await store.append_many(event(n) for n in range(20))
            taken: list[int] = []

            async def look() -> None:
                async for record in store.records():
                    taken.append(record.data["n"])
                    if len(taken) == 7:
                        await asyncio.Event().wait()

            task = asyncio.create_task(look())
            await until(lambda: len(taken) == 7)
            await cancelled(task)
            await until(lambda: store.metrics.totals()["records_read"] == 7)
            assert store.metrics.snapshot() == counts(records_written=20, records_read=7)

    run(main())


STORM = 3200


class Storm:
    """
    Callers of which a quarter is cancelled, at moments of the loop's or of the thread's.

    The former are after some turns, whatever has become of the call by then; the latter while a
    batch is being written, which has taken the call, or has not.
    """

    def __init__(self, store: AsyncBackend, chance: random.Random) -> None:
        self.acked: set[int] = set()
        self.refused: set[int] = set()
        self._store = store
        self._chance = chance
        self._waiting: dict[int, asyncio.Task[Any]] = {}
        self._loop, self._loops = asyncio.get_running_loop(), threading.current_thread()
        self._append = store.store._append
        store.store._append = self._strike  # type: ignore[method-assign]  # for this store alone

    def _strike(self, lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:
        if threading.current_thread() is not self._loops:
            struck = threading.Event()
            self._loop.call_soon_threadsafe(self._cancel, struck)
            struck.wait()
        return self._append(lines, deadline=deadline, may_wait=may_wait)

    def _cancel(self, struck: threading.Event) -> None:
        for task in self._waiting.values():
            if self._chance.random() < 0.5:
                task.cancel()
        struck.set()

    async def caller(self, number: int) -> None:
        """Append, and be cancelled perhaps."""
        append, append_many = self._store.append, self._store.append_many
        call = append_many([event(number)]) if number % 50 == 0 else append(event(number))
        task = asyncio.create_task(call)
        if self._chance.random() < 0.25:
            self.refused.add(number)
            if self._chance.random() < 0.5:
                self._waiting[number] = task
            else:
                for _ in range(self._chance.randrange(20)):
                    await asyncio.sleep(0)
                task.cancel()
        try:
            await task
            self.acked.add(number)
        except asyncio.CancelledError:
            assert number in self.refused
        finally:
            self._waiting.pop(number, None)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "options"),
    [(name, {}) for name in [*KINDS, "redis"]]
    + [(name, {"sync": "always"}) for name in FILE_KINDS],
    indirect=["kind"],
)
def test_a_storm_of_cancellations_leaves_the_number_stored_in_records_written(
    run: Run, kind: Kind, options: dict[str, Any]
) -> None:
    seed = os.environ.get("PAPYRA_SEED") or os.urandom(4).hex()
    print(f"PAPYRA_SEED={seed} tries the same")  # noqa: T201  shown where it fails
    chance = random.Random(seed)

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)
        opened = kind.open(**kind.busy, **options)
        if not kind.may_wait:
            opened._always_waits = True  # else nothing would be cancelled while it waits
        store = AsyncBackend(opened)
        storm = Storm(store, chance)
        async with asyncio.TaskGroup() as group:
            for number in range(STORM):
                group.create_task(storm.caller(number))
                if number % 40 == 0:
                    await asyncio.sleep(0)
        await until(lambda: store._lane is not None and store._lane.is_free)
        stored = numbers(opened.read())
        assert len(stored) == len(set(stored))
        assert opened.metrics.snapshot() == counts(
            records_written=len(stored), records_read=len(stored)
        )
        assert storm.acked <= set(stored)
        assert set(stored) - storm.acked <= storm.refused
        assert STORM / 5 < len(storm.refused) < STORM / 3
        assert len(stored) < STORM  # some were taken back, and some had been taken
        if opened._always_waits:  # else what is taken is mostly stored before the loop goes on
            assert set(stored) - storm.acked
        assert opened.scan().clean
        await store.aclose()

    run(main())
