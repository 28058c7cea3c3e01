"""The threads beside the loop: as many as are needed, ended when they are waited for, and never for nothing."""

import asyncio
import gc
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from aio.gated import Gated, Run, turns
from stores import event

from papyra import MemoryBackend
from papyra.aio.backend import AsyncBackend
from papyra.aio.loop_writer import Writer
from papyra.aio.thread_pool import JobThread, ThreadPool, run_alone

#: Long enough for any machine; whoever needs it has failed.
_PATIENCE = 10


class Reluctant(JobThread):
    """A thread that comes to its end only once somebody waits for that."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.awaited = threading.Event()

    def run(self) -> None:
        super().run()
        self.awaited.wait(_PATIENCE)

    def join(self, timeout: float | None = None) -> None:
        self.awaited.set()
        super().join(timeout)


class ReluctantWriter(Reluctant, Writer):
    pass


def test_a_pool_that_has_ended_starts_no_thread(run: Run) -> None:
    async def main() -> None:
        pool = ThreadPool()
        pool.end()
        assert await pool.run(threading.current_thread) is threading.main_thread()
        assert pool._threads == []

    run(main())


def test_a_pool_that_is_ended_has_its_threads_end(run: Run) -> None:
    async def main() -> None:
        pool = ThreadPool()
        await asyncio.gather(*(pool.run(threading.current_thread) for _ in range(3)))
        threads = pool.end()
        assert threads
        for thread in threads:
            thread.join(_PATIENCE)
            assert not thread.is_alive()
        assert pool._threads == []

    run(main())


def test_a_thread_of_writes_that_is_dismissed_ends(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        gated.let()
        store = AsyncBackend(gated)
        await store.append(event(1))
        assert store._lane is not None
        writer = store._lane.dismiss()
        assert writer is not None
        writer.join(_PATIENCE)
        assert not writer.is_alive()
        await store.aclose()

    run(main())


def test_a_pool_that_is_dropped_has_its_threads_end(run: Run) -> None:
    async def main() -> None:
        pool = ThreadPool()
        thread = await pool.run(threading.current_thread)
        del pool
        gc.collect()
        thread.join(_PATIENCE)
        assert not thread.is_alive()

    run(main())


def test_one_thread_serves_operations_that_come_one_after_the_other(run: Run) -> None:
    async def main() -> None:
        pool = ThreadPool()
        threads = {await pool.run(threading.current_thread) for _ in range(20)}
        assert len(threads) == len(pool._threads) == 1
        pool.end()
        threads.pop().join()

    run(main())


def test_threads_that_ended_are_replaced(run: Run) -> None:
    async def main() -> None:
        pool = ThreadPool()
        first = await pool.run(threading.current_thread)
        pool._jobs.put(None)  # as an interrupt ends it
        first.join()
        done = threading.Event()
        assert pool._give(done.set)
        assert done.wait(_PATIENCE)
        for thread in pool.end():
            thread.join()

    run(main())


def test_an_operation_that_was_cancelled_before_a_thread_took_it_is_not_begun(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.thread_pool.MOST_THREADS", 1)

    async def main() -> None:
        pool, go_on, begun = ThreadPool(), threading.Event(), []
        first = asyncio.create_task(pool.run(go_on.wait))
        second = asyncio.create_task(pool.run(lambda: begun.append(2)))
        third = asyncio.create_task(pool.run(lambda: begun.append(3)))
        await turns()
        second.cancel()
        go_on.set()
        await asyncio.wait([first, second, third])
        assert begun == [3]
        for thread in pool.end():
            thread.join()

    run(main())


@pytest.mark.parametrize("is_alone", [False, True])
def test_an_operation_sees_the_context_of_its_caller(run: Run, *, is_alone: bool) -> None:
    variable = ContextVar[str]("variable")

    async def main() -> None:
        pool = ThreadPool()
        variable.set("the caller's")
        how = run_alone if is_alone else pool.run
        assert await how(variable.get) == "the caller's"
        for thread in pool.end():
            thread.join()

    run(main())


def test_what_runs_alone_has_ended_by_then(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papyra.aio.thread_pool.JobThread", Reluctant)

    async def main() -> None:
        thread = await run_alone(threading.current_thread)
        assert isinstance(thread, Reluctant)
        assert not thread.is_alive()

    run(main())


def test_closing_waits_for_the_threads_of_reads(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papyra.aio.thread_pool.JobThread", Reluctant)

    async def main() -> None:
        store = AsyncBackend(MemoryBackend())
        await asyncio.gather(*(store.read() for _ in range(3)))
        threads = store._pool._threads
        assert threads
        await store.aclose()
        assert not any(thread.is_alive() for thread in threads)

    run(main())


def test_the_store_is_closed_once_the_thread_that_writes_has_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.Writer", ReluctantWriter)
    alive: list[bool] = []

    class CheckedStore(Gated):
        def _close(self) -> None:
            alive.append(any(isinstance(thread, Writer) for thread in threading.enumerate()))
            super()._close()

    async def main() -> None:
        gated = CheckedStore()
        gated.let()
        store = AsyncBackend(gated)
        await store.append(event(1))
        await store.aclose()
        assert alive == [False]

    run(main())
