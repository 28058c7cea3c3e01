"""Closing: it always comes to its end, writes what was started before it, and leaves no thread."""

import asyncio
import gc
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aio.gated import Gated, Run, turns
from children import run_program
from stores import Kind, counts, event, numbers

from papyra import StoreClosedError
from papyra.aio.backend import AsyncBackend
from papyra.aio.thread_pool import MOST_THREADS


def threads() -> list[str]:
    """Return the names of asyncio's threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name == "papyra-aio"]


@pytest.mark.parametrize("executor", ["shut down", "busy"])
def test_the_application_s_executor_is_not_needed(run: Run, kind: Kind, executor: str) -> None:
    async def main() -> None:
        go_on = threading.Event()
        pool = ThreadPoolExecutor(max_workers=1)
        asyncio.get_running_loop().set_default_executor(pool)
        if executor == "busy":
            pool.submit(go_on.wait)
        else:
            pool.shutdown()
        store = AsyncBackend(kind.open())
        await store.append(event(0))
        assert numbers(await store.read()) == [0]
        assert numbers([record async for record in store.records()]) == [0]
        assert (await store.scan()).clean
        assert (await store.recover()).clean
        await store.compact()
        await store.aclose()
        assert store.closed
        assert threads() == []
        assert store.metrics.snapshot() == counts(
            records_written=1,
            records_read=2,
            scan_operations=2,
            recovery_attempts=1,
            compactions_triggered=1 if "compactions_triggered" in store.metrics.supported else 0,
        )
        go_on.set()

    run(main())


def test_what_was_started_before_is_stored_and_what_comes_later_is_refused(run: Run) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)
        gated = Gated()
        store = AsyncBackend(gated)
        tasks = [asyncio.create_task(store.append(event(n))) for n in range(5000)]
        await gated.taken()
        closing = asyncio.create_task(store.aclose())
        await turns()
        with pytest.raises(StoreClosedError):
            await store.append(event(5000))
        with pytest.raises(StoreClosedError):
            await store.append_many([event(5001)])
        assert not closing.done()
        gated.let(100)
        await closing
        assert all(isinstance(answer, str) for answer in await asyncio.gather(*tasks))
        assert sum(gated.batches) == 5000
        assert store.metrics.snapshot() == counts(records_written=5000, write_errors=2)
        assert threads() == []

    run(main())


def test_who_goes_on_appending_leaves_no_thread_and_no_warning(run: Run, kind: Kind) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)
        store = AsyncBackend(kind.open(**kind.busy))
        stored = 0

        async def producer(store: AsyncBackend) -> None:
            nonlocal stored
            while True:
                try:
                    await store.append(event(0))
                except StoreClosedError:
                    return
                stored += 1
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(producer(store)) for _ in range(50)]
        await turns(50)
        await store.aclose()
        await asyncio.gather(*tasks)
        assert threads() == []
        assert store.metrics.snapshot() == counts(records_written=stored, write_errors=50)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tasks.clear()
            del store
            gc.collect()

    run(main())


def test_a_close_that_is_cancelled_takes_calls_again(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        first = asyncio.create_task(store.append(event(0)))
        await gated.taken()
        closing = asyncio.create_task(store.aclose())
        await turns()
        closing.cancel()
        await asyncio.wait([closing])
        gated.let(2)
        await first
        await store.append(event(1))
        await asyncio.gather(store.aclose(), store.aclose())
        assert store.metrics.snapshot() == counts(records_written=2)
        assert threads() == []

    run(main())


def test_reads_at_once_share_a_bounded_number_of_threads_that_end(run: Run) -> None:
    async def main() -> None:
        store = AsyncBackend(Gated())
        await asyncio.gather(*(store.read() for _ in range(100)))
        assert 0 < len(threads()) <= MOST_THREADS
        idle = store._pool._threads.copy()
        store = AsyncBackend(Gated())  # dropped without being closed
        gc.collect()
        for thread in idle:
            await asyncio.to_thread(thread.join)
        await store.aclose()

    run(main())


@pytest.mark.parametrize("where", ["atexit", "after the main thread"])
@pytest.mark.parametrize("options", ["", "?sync=always"])
def test_a_program_that_ends_can_use_and_close_a_store(
    tmp_path: Path, where: str, options: str
) -> None:
    done = run_program("asyncio_at_the_end", f"json:{tmp_path}/store.ndjson{options}", where)
    assert done.stdout == "[true, 100]\n", done.stderr


def test_an_empty_batch_is_stored_by_a_closed_store_too_and_counts_nothing(
    run: Run, kind: Kind
) -> None:
    async def main() -> None:
        store = AsyncBackend(kind.open())
        await store.append(event(1))
        await store.aclose()
        assert await store.append_many([]) == []
        with pytest.raises(StoreClosedError):
            await store.append_many([event(2)])
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=1)

    run(main())
