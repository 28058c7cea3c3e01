"""Places that end where nobody else would notice: what is behind them goes on, and nothing of them is written."""

import asyncio
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from aio.gated import Gated, Run, turns
from stores import counts, event, numbers

from papyra import StoreLockedError
from papyra.aio.backend import AsyncBackend
from papyra.aio.loop_writer import Lane
from papyra.aio.queued_call import QueuedCall


async def begun(store: AsyncBackend) -> tuple[Any, Lane]:
    """Return a call that has a place, and whose records are not all encoded yet."""
    call: Any = store.append_many([event(n) for n in range(1, 66)])
    call.send(None)
    assert store._lane is not None
    return call, store._lane


def test_what_is_behind_a_call_that_ends_while_it_is_encoded_is_written(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        call, lane = await begun(store)
        behind = asyncio.create_task(store.append(event(100)))
        await turns()
        assert lane._sent == []
        with pytest.raises(ZeroDivisionError):
            call.throw(ZeroDivisionError())
        await turns()
        assert len(lane._sent) == 1
        gated.let()
        await behind
        assert store.metrics.snapshot() == counts(records_written=1)
        await store.aclose()

    run(main())


def test_what_the_thread_has_takes_room(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 2)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        tasks = [asyncio.create_task(store.append(event(n))) for n in range(2)]
        await gated.taken()
        last = asyncio.create_task(store.append_many([event(2)]))
        await turns()
        lane = store._lane
        assert lane is not None
        assert (len(lane._sent), len(lane._order), len(lane._line)) == (2, 0, 1)
        gated.let(2)
        await asyncio.gather(*tasks, last)
        assert numbers(gated.read()) == [0, 1, 2]
        await store.aclose()

    run(main())


def test_a_lane_is_free_again_once_its_only_call_was_given_up(run: Run) -> None:
    async def main() -> None:
        store = AsyncBackend(Gated())
        call, lane = await begun(store)
        with pytest.raises(ZeroDivisionError):
            call.throw(ZeroDivisionError())
        assert lane.is_free
        assert store.metrics.snapshot() == counts()
        await store.aclose()

    run(main())


def test_who_is_encoded_while_the_only_other_call_ends_has_a_place_that_others_see(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer that runs while a record is encoded may throw into a coroutine that waits."""

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        call, lane = await begun(store)
        encoded = gated._encode

        def ending(records: Any) -> list[bytes]:
            monkeypatch.setattr(gated, "_encode", encoded)
            with pytest.raises(ZeroDivisionError):
                call.throw(ZeroDivisionError())
            assert lane.is_free
            return encoded(records)

        monkeypatch.setattr(gated, "_encode", ending)
        task = asyncio.create_task(store.append(event(100)))
        await turns(1)
        assert not lane.is_free
        gated.let()
        await task
        assert gated.metrics.snapshot() == counts(records_written=1)
        await store.aclose()

    run(main())


def test_a_caller_is_told_once_and_not_where_it_was_cancelled(run: Run) -> None:
    async def main() -> None:
        reported, cancelled = (QueuedCall(0.0, waiter=asyncio.Future()) for _ in range(2))
        assert reported.waiter is not None
        assert cancelled.waiter is not None
        cancelled.waiter.cancel()
        for place in (reported, reported, cancelled):
            place.wake()
        await reported.waiter
        assert cancelled.waiter.cancelled()

    run(main())


def test_who_does_not_go_on_encoding_is_late_one_day(run: Run) -> None:
    async def main() -> None:
        store = AsyncBackend(Gated(lock_timeout=60.0))
        call, lane = await begun(store)
        lane._give_up_late(monotonic() + 3600.0)
        with pytest.raises(StoreLockedError):
            call.send(None)
        assert lane.is_free
        assert store.metrics.snapshot() == counts(write_errors=1)
        await store.aclose()

    run(main())


def test_a_call_that_is_dropped_in_the_turn_before_it_is_sent_is_not_written(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        call: Any = store.append(event(7))
        call.send(None)
        call.close()  # what gives the place up comes behind what sends it
        lane = store._lane
        assert lane is not None
        await turns()
        assert lane._writer is None
        assert lane.is_free
        gated.let()
        await store.append(event(1))
        assert numbers(gated.read()) == [1]
        await store.aclose()

    run(main())


def test_a_call_that_ends_after_its_loop_raises_what_ended_it(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    store = AsyncBackend(Gated())

    async def start() -> tuple[Any, Any]:
        call, _ = await begun(store)
        behind: Any = store.append(event(100))
        behind.send(None)
        await turns()
        return call, behind

    loop = loop_factory()
    call, behind = loop.run_until_complete(start())
    loop.close()
    with pytest.raises(ZeroDivisionError):
        call.throw(ZeroDivisionError())
    behind.close()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(store.aclose())
    assert store.metrics.snapshot() == counts()


def test_large_calls_keep_their_order_behind_one_that_is_encoded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer._BATCH_BYTES", 1000)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        call, lane = await begun(store)
        behind = asyncio.create_task(store.append(event(100, text="x" * 2000)))
        await turns()
        assert lane._bytes > 2000
        assert lane._sent == []
        gated.let(2)
        await asyncio.gather(asyncio.create_task(call), behind)
        assert numbers(gated.read()) == [*range(1, 66), 100]
        await store.aclose()

    run(main())


def test_late_is_who_was_late_when_the_batch_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kept the loop from hearing of it for a thousand seconds was not the store."""

    def late_on_the_loop() -> float:
        is_loop = threading.current_thread() is threading.main_thread()
        return monotonic() + 1000.0 * is_loop

    async def main() -> None:
        gated = Gated(lock_timeout=60.0)
        store = AsyncBackend(gated)
        first = asyncio.create_task(store.append(event(0)))
        await gated.taken()
        behind = asyncio.create_task(store.append(event(1)))
        await turns()
        monkeypatch.setattr("papyra.aio.loop_writer.monotonic", late_on_the_loop)
        gated.let(2)
        await asyncio.gather(first, behind)
        assert store.metrics.snapshot() == counts(records_written=2)
        await store.aclose()

    run(main())
