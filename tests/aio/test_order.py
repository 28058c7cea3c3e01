"""A write call's place: taken at its start, given up without a trace, and for no longer than it may wait."""

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aio.gated import Gated, Run, turns, until
from stores import Kind, counts, event, led_by_another_thread, numbers

from papyra import Record, RecordError, StoreLockedError
from papyra.aio.backend import AsyncBackend
from papyra.aio.loop_writer import MOST_WAITING, Lane
from papyra.aio.queued_call import QueuedCall
from papyra.format.codec import encode


def many(first: int, count: int = 65) -> list[Record]:
    """Return more records than are encoded at once."""
    return [event(n) for n in range(first, first + count)]


async def held(gated: Gated, store: AsyncBackend) -> "asyncio.Task[str]":
    """Return a call whose batch is under way until it is let."""
    task = asyncio.create_task(store.append(event(0)))
    await gated.taken()
    return task


async def outcomes(*tasks: "asyncio.Task[Any]") -> list[str]:
    """Return what kind of thing each of the tasks returned or raised."""
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(outcome).__name__ for outcome in done]


def test_many_records_take_their_place_before_they_are_encoded(run: Run, kind: Kind) -> None:
    async def main() -> None:
        store = AsyncBackend(kind.open(**kind.busy))
        await store.append(event(0))
        async with asyncio.TaskGroup() as group:
            group.create_task(store.append_many(many(1, 300)))
            group.create_task(store.append(event(301)))
            group.create_task(store.append_many(many(302, 200)))
            group.create_task(store.append_many([event(502)]))
        assert numbers(await store.read()) == list(range(503))
        assert store.metrics.snapshot() == counts(records_written=503, records_read=503)
        await store.aclose()

    run(main())


@pytest.mark.parametrize("way", ["error", "cancel", "close", "throw"])
def test_a_place_that_is_given_up_while_encoding_blocks_no_others(run: Run, way: str) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        first = await held(gated, store)
        records: list[Any] = many(1, 640)
        if way == "error":
            records[200] = event(1, bad={2})
        call = store.append_many(records)
        encoding: asyncio.Task[list[str]] | None = None
        if way in {"error", "cancel"}:
            encoding = asyncio.create_task(call)
        else:
            call.send(None)  # it has a place, and gave the loop away
        after = asyncio.create_task(store.append(event(1000)))
        await turns(1)
        if way == "cancel" and encoding is not None:
            encoding.cancel()
        elif way == "close":
            call.close()
        elif way == "throw":
            with pytest.raises(ZeroDivisionError):
                call.throw(ZeroDivisionError())
        if encoding is not None:
            with pytest.raises(RecordError if way == "error" else asyncio.CancelledError):
                await encoding
        gated.let(2)
        await asyncio.gather(first, after)
        assert numbers(gated.read()) == [0, 1000]
        assert store.metrics.snapshot() == counts(
            records_written=2, records_read=2, write_errors=1 if way == "error" else 0
        )
        await store.aclose()

    run(main())


def test_who_encodes_is_counted_by_the_bound(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = 0

    def noted(record: Record) -> bytes:
        nonlocal encoded
        encoded += 1
        return encode(record)

    monkeypatch.setattr("papyra.backend.encode", noted)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        async with asyncio.TaskGroup() as group:
            for n in range(MOST_WAITING + 200):
                group.create_task(store.append_many(many(64 * n, 64)))
            await gated.taken()
            await turns(20)
            assert encoded == 64 * MOST_WAITING
            gated.let(1000)
        assert numbers(gated.read()) == list(range(64 * (MOST_WAITING + 200)))
        await store.aclose()

    run(main())


def test_the_bytes_that_wait_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_BYTES", 5000)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        first = await held(gated, store)
        tasks = [asyncio.create_task(store.append(event(n, text="x" * 2000))) for n in range(1, 9)]
        await turns()
        lane = store._lane
        assert lane is not None
        assert (len(lane._order), len(lane._line)) == (3, 5)
        gated.let()
        await first
        await gated.taken()
        assert (len(lane._sent), len(lane._line)) == (3, 5)  # what was written made no room
        gated.let(10)
        await asyncio.gather(*tasks)
        assert (lane._bytes, lane.is_free) == (0, True)
        assert numbers(gated.read()) == list(range(9))
        await store.aclose()

    run(main())


@pytest.mark.parametrize("room", [1, MOST_WAITING])
def test_who_is_late_when_a_batch_comes_back_is_told_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", room)

    async def main() -> None:
        gated = Gated(lock_timeout=0.0)
        store = AsyncBackend(gated)
        first = await held(gated, store)
        tasks = [asyncio.create_task(store.append(event(n))) for n in range(1, 4)]
        tasks.append(asyncio.create_task(store.append_many(many(10))))  # type: ignore[arg-type]
        await turns()
        gated.let()
        assert await outcomes(first, *tasks) == ["str"] + ["StoreLockedError"] * 4
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=4)
        gated.let()
        await store.append(event(5))  # nothing of them is left
        assert gated.batches == [1, 1]
        with pytest.raises(StoreLockedError, match="held by earlier appends of its event loop"):
            raise tasks[0].exception() or AssertionError
        await store.aclose()

    run(main())


def test_who_is_late_behind_a_batch_that_does_not_come_back_is_told_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer._LOOK_AGAIN", 0.01)
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 3)

    async def main() -> None:
        gated = Gated(lock_timeout=0.05)
        store = AsyncBackend(gated)
        first = await held(gated, store)
        tasks = [asyncio.create_task(store.append(event(n))) for n in range(1, 9)]
        assert await outcomes(*tasks) == ["StoreLockedError"] * 8
        assert not first.done()
        gated.let()
        await first
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=8)
        await store.aclose()

    run(main())


def test_a_call_that_is_not_gone_on_with_blocks_others_only_as_long_as_it_may_wait(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer._LOOK_AGAIN", 0.01)
    monkeypatch.setattr("papyra.aio.ordered_writes._STUCK", 0.05)

    async def main() -> None:
        gated = Gated(lock_timeout=0.05)
        gated.let(5)
        store = AsyncBackend(gated)
        call = store.append_many(many(1))
        call.send(None)
        behind = asyncio.create_task(store.append(event(100)))
        assert await outcomes(behind) in (["StoreLockedError"], ["str"])
        await until(lambda: store._lane is not None and store._lane.is_free)
        await store.append(event(101))
        with pytest.raises(StoreLockedError):
            call.send(None)
        await store.aclose()

    run(main())


def test_cancelling_forty_thousand_callers_compares_no_places(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search through the line for each of them would be 800 million comparisons."""
    compared = 0

    def equal(place: QueuedCall, other: object) -> bool:
        nonlocal compared
        compared += 1
        return place is other

    monkeypatch.setattr(QueuedCall, "__eq__", equal)
    monkeypatch.setattr(QueuedCall, "__hash__", object.__hash__)

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)
        gated = Gated()
        store = AsyncBackend(gated)
        first = await held(gated, store)
        tasks = {asyncio.create_task(store.append(event(n))) for n in range(1, 40_001)}
        await turns()
        for task in tasks:  # a set, so in no order
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        lane = store._lane
        assert lane is not None
        assert (len(lane._line), len(lane._order)) == (0, 0)
        assert compared < 1000
        gated.let(2)
        await first
        await store.append(event(1))
        assert store.metrics.snapshot() == counts(records_written=2)
        await store.aclose()

    run(main())


@pytest.mark.parametrize("way", ["close", "drop"])
@pytest.mark.parametrize("where", ["line", "order", "sent"])
def test_a_coroutine_that_is_closed_leaves_no_place_behind(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: str, where: str
) -> None:
    if where == "line":
        monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 1)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        calls = []
        if where == "sent":
            with led_by_another_thread(gated):
                call: Any = store.append(event(7))
                call.send(None)
                await until(lambda: len(gated._queue._pending) == 1)
                call.close()
                await turns()
            gated._queue._wake_next()
        else:
            first = await held(gated, store)
            call = store.append(event(7))
            call.send(None)
            calls = [call]
            del call
            if way == "close":
                calls[0].close()
            calls.clear()
            gc.collect()
            gated.let()
            await first
        lane = store._lane
        assert lane is not None
        await until(lambda: lane.is_free)
        gated.let()
        await store.append(event(1))
        assert numbers(gated.read())[-1] == 1
        assert 7 not in numbers(gated.read())
        lane._look_again()
        assert lane._look is None  # the timer stops
        await store.aclose()

    run(main())


def test_a_place_that_a_finalizer_gives_up_in_the_middle_of_anything_is_tidied_later(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since Python 3.12 the collector runs between any two bytecodes: also while places are walked."""

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        first = await held(gated, store)
        calls: list[Any] = [store.append(event(n)) for n in range(1, 5)]
        for call in calls:
            call.send(None)

        def deadline(place: QueuedCall) -> float:
            while calls:
                calls.pop().close()
            return float(place.__dict__["deadline"])

        def note(place: QueuedCall, value: float) -> None:
            place.__dict__["deadline"] = value

        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        gated.let(2)
        with monkeypatch.context() as patch:
            patch.setattr(QueuedCall, "deadline", property(deadline, note), raising=False)
            await first
        assert calls == []
        assert errors == []
        await store.append(event(9))
        assert numbers(gated.read()) == [0, 9]
        await store.aclose()

    run(main())


def test_a_call_whose_encoding_ends_the_only_other_is_not_overtaken(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer that runs while records are encoded may throw into a coroutine that waits."""

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        other: Any = store.append(event(0))
        other.send(None)
        encoded = gated._encode

        def ending(records: Any) -> list[bytes]:
            monkeypatch.setattr(gated, "_encode", encoded)
            with pytest.raises(ZeroDivisionError):
                other.throw(ZeroDivisionError())
            return encoded(records)

        monkeypatch.setattr(gated, "_encode", ending)
        task = asyncio.create_task(store.append(event(1)))
        await turns(1)
        assert store._lane is not None
        assert not store._lane.is_free
        gated.let()
        await task
        assert gated.metrics.snapshot() == counts(records_written=1)
        await store.aclose()

    run(main())


def test_places_of_a_loop_that_is_gone_stand_in_nobody_s_way(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 2)
    gated = Gated()
    store = AsyncBackend(gated)
    loop = loop_factory()
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending!"
    tasks = [loop.create_task(store.append(event(n))) for n in range(5)]
    loop.run_until_complete(gated.taken())
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own word for it
    gated.let(2)

    async def go_on() -> None:
        await store.append(event(9))
        await store.aclose()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(go_on())
    del task
    tasks.clear()
    gc.collect()
    assert gated.metrics.totals()["records_written"] == sum(gated.batches)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_keep_the_order_too(run: Run, kind: Kind) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        eager: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009  3.11 has none
        # uvloop passes an option that the factory of Python 3.13.0 does not know yet.
        loop.set_task_factory(
            lambda loop, coro, eager_start=True, **options: eager(loop, coro, **options)
        )
        store = AsyncBackend(kind.open(**kind.busy))
        async with asyncio.TaskGroup() as group:
            for n in range(0, 1000, 100):
                group.create_task(store.append(event(n)))
                group.create_task(store.append_many(many(n + 1, 99)))
        loop.set_task_factory(None)
        assert numbers(await store.read()) == list(range(1000))
        await store.aclose()

    run(main())


def test_a_timeout_takes_a_call_out_of_the_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 1)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        first = await held(gated, store)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await store.append(event(1))
        gated.let(1)
        await first
        assert isinstance(store._lane, Lane)
        assert store._lane.is_free
        assert store.metrics.snapshot() == counts(records_written=1)
        await store.aclose()

    run(main())


def test_records_that_a_generator_makes_are_taken_as_they_are_encoded(run: Run) -> None:
    def records() -> Iterator[Record]:
        yield from many(0, 130)

    async def main() -> None:
        gated = Gated()
        gated.let(2)
        store = AsyncBackend(gated)
        assert len(await store.append_many(records())) == 130
        assert gated.batches == [130]
        await store.aclose()

    run(main())
