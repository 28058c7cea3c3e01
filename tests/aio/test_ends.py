"""Loops that end, are several, are the wrong one; forks, interrupts, and what is left behind."""

import asyncio
import ctypes
import gc
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aio.gated import Gated, Run, turns, until
from children import run_program
from stores import KINDS, Kind, counts, event, numbers

from papyra.aio import AsyncBackend, open_store
from papyra.aio.loop_writer import Writer

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def test_loops_and_threads_share_a_store(loop_factory: LoopFactory, kind: Kind) -> None:
    store = kind.open(**kind.busy)

    async def main(first: int) -> None:
        wrapped = AsyncBackend(store)
        calls = [wrapped.append(event(n)) for n in range(first, first + 300)]
        await asyncio.gather(*calls)
        assert wrapped._lane is not None  # closing would close the store for the others
        if (writer := wrapped._lane.dismiss()) is not None:
            await asyncio.to_thread(writer.join)

    def loop(first: int) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main(first))

    def plain() -> None:
        for n in range(900, 1000):
            store.append(event(n))

    threads = [threading.Thread(target=loop, args=(n,)) for n in (0, 300, 600)]
    threads.append(threading.Thread(target=plain))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(store.read())) == list(range(1000))
    assert store.metrics.snapshot() == counts(records_written=1000, records_read=1000)
    store.close()


def test_another_loop_is_refused_and_counted(run: Run, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with open_store("memory:") as store:
            await store.append(event(0))

            async def misuse() -> None:
                with pytest.raises(RuntimeError, match="used by another event loop"):
                    await store.append(event(1))
                with pytest.raises(RuntimeError, match="used by another event loop"):
                    await store.aclose()
                assert numbers(await store.read()) == [0]

            def elsewhere() -> None:
                with asyncio.Runner(loop_factory=loop_factory) as runner:
                    runner.run(misuse())

            await asyncio.to_thread(elsewhere)
            await store.append(event(2))
            assert store.metrics.snapshot() == counts(
                records_written=2, write_errors=1, records_read=1
            )

    run(main())


def test_a_loop_that_is_closed_with_work_outstanding_leaves_the_store_to_the_next(
    loop_factory: LoopFactory,
) -> None:
    gated = Gated()
    store = AsyncBackend(gated)

    async def leave() -> None:
        asyncio.create_task(store.append(event(0)))  # noqa: RUF006  left, on purpose
        await gated.taken()
        asyncio.create_task(store.append(event(1)))  # noqa: RUF006  it is not taken
        await turns()

    async def go_on() -> None:
        gated.let(2)
        assert await store.append(event(2))
        await store.aclose()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(leave())  # which cancels both when it ends
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(go_on())
    assert gated.batches == [1, 1]
    assert gated.metrics.snapshot() == counts(records_written=2)


def test_a_loop_that_is_torn_down_leaves_no_thread_waiting(loop_factory: LoopFactory) -> None:
    """Closed, without the cancelling that asyncio.run does."""
    gated = Gated()
    store = AsyncBackend(gated)
    loop = loop_factory()
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending!"
    task = loop.create_task(store.append(event(0)))
    loop.run_until_complete(gated.taken())
    lane = store._lane
    assert lane is not None
    writer = lane._writer
    assert writer is not None
    loop.close()
    gated.let()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(store.aclose())
    writer.join()
    assert not task.done()
    assert gated.metrics.snapshot() == counts(records_written=1)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own word for it
    del task


def test_one_that_is_dropped_without_being_closed_warns_and_ends_its_thread(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        gated.let()
        store = AsyncBackend(gated)
        await store.append(event(0))
        assert store._lane is not None
        writer = store._lane._writer
        assert writer is not None
        assert store._lane._look is not None
        store._lane._look.cancel()  # it would keep the lane for a twentieth of a second
        store._lane._look = None
        await turns()
        dropped = [store]
        del store
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            dropped.clear()
            await until(lambda: bool(caught))  # once the thread has let go of it, too
        (warning,) = caught
        assert warning.category is ResourceWarning
        assert str(warning.message) == "unclosed AsyncBackend of memory"
        await asyncio.to_thread(writer.join)

    run(main())


def test_one_that_needed_no_thread_needs_no_closing(run: Run) -> None:
    async def main() -> None:
        store = open_store("memory:")
        await store.append(event(0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del store
            gc.collect()

    run(main())


def test_where_no_thread_can_be_started_the_loop_writes_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has no more, or the interpreter ends: since Python 3.12 it starts none then."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        gated.let(3)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            calls = [store.append(event(n)) for n in range(3)]
            await asyncio.gather(*calls)
            gated.fault = OSError(5, "input/output error")
            with pytest.raises(OSError, match="input/output error"):
                await store.append(event(3))
            await store.append(event(4))
            assert numbers(await store.read()) == [0, 1, 2, 4]
            assert numbers([record async for record in store.records()]) == [0, 1, 2, 4]
            assert (await store.scan()).clean
            await store.aclose()
        assert store.closed
        assert gated.batches == [3, 1]
        assert store.metrics.snapshot() == counts(
            records_written=4, write_errors=1, records_read=8, scan_operations=1
        )

    run(main())


class Interrupted(BaseException):
    """What strikes a thread."""


def interrupt(thread: threading.Thread) -> None:
    """Raise `Interrupted` in *thread*, as a debugger or a watchdog does."""
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(Interrupted))


def test_a_thread_that_is_interrupted_fails_one_call_and_another_writes_the_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer._LOOK_AGAIN", 0.01)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:
            tasks = [asyncio.create_task(store.append(event(n))) for n in range(5)]
            await gated.taken()
            gated.fault = Interrupted()
            gated.let(2)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Interrupted, str, str, str, str]
            assert gated.batches == [4]
            assert numbers(gated.read()) == [1, 2, 3, 4]
            assert store.metrics.snapshot() == counts(
                records_written=4, write_errors=1, records_read=4
            )

    run(main())


@pytest.mark.faults
# A thread that is struck after its work is done has nobody to tell.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
# No Redis: redis-py would never come to the end of connecting. Its interrupts are tried line by
# line in tests/redis_store/test_interrupts.py.
@pytest.mark.parametrize("kind", [*KINDS], indirect=True)
def test_a_storm_of_interrupts_in_the_thread_loses_no_call_and_counts_each_once(
    run: Run, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer._LOOK_AGAIN", 0.001)
    monkeypatch.setattr("papyra.writing.group_commit._LOOK_AGAIN", 0.001)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    is_over = threading.Event()
    struck = 0
    at_work: list[Writer] = []
    work = Writer.run

    def noted(writer: Writer) -> None:
        # Not before: threading itself would wait for ever for a thread that is struck as it starts.
        at_work.append(writer)
        try:
            work(writer)
        finally:
            at_work.remove(writer)

    monkeypatch.setattr(Writer, "run", noted)

    def strike() -> None:
        nonlocal struck
        while not is_over.is_set():
            for thread in at_work.copy():
                interrupt(thread)
                struck += 1
            time.sleep(0.0005)  # between two blows; nothing waits for it

    async def main() -> None:
        opened = kind.open(**kind.busy)
        opened._always_waits = True
        store = AsyncBackend(opened)
        await store.append(event(-1))
        failed: set[int] = set()

        async def caller(number: int) -> None:
            for n in range(number, 1000, 25):
                try:
                    await store.append(event(n))
                except Interrupted:
                    failed.add(n)

        striker = threading.Thread(target=strike)
        striker.start()
        await asyncio.gather(*map(caller, range(25)))
        is_over.set()
        striker.join()
        monkeypatch.setattr("papyra.aio.loop_writer._LOOK_AGAIN", 0.001)
        stored = opened.metrics.totals()["records_written"]
        records = numbers(opened.read())
        assert len(records) == len(set(records)) == stored
        assert set(range(-1, 1000)) - failed <= set(records)
        assert opened.metrics.totals()["write_errors"] <= len(failed)
        assert struck > 20
        assert opened.scan().clean
        await store.aclose()

    run(main())


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("options", ["", "?sync=always"])
@pytest.mark.parametrize("way", ["tidy", "raw"])
@pytest.mark.parametrize("size", [1, 100])
def test_an_interrupted_loop_leaves_the_number_stored_in_records_written(
    tmp_path: Path, options: str, way: str, size: int
) -> None:
    seed = os.environ.get("PAPYRA_SEED") or os.urandom(4).hex()
    print(f"PAPYRA_SEED={seed} tries the same")  # noqa: T201  shown where it fails
    url = f"json:{tmp_path}/store.ndjson{options}"
    done = run_program("interrupted_loop", url, way, seed, 60, size)
    result = json.loads(done.stdout)

    assert result["interrupts"] == 60
    assert result["found"] == 0
    assert result["stored"] == result["distinct"] == result["totals"]["records_written"] > 0
    assert result["stored"] % size == 0  # each call whole, or not at all
    assert result["stored"] + size * result["totals"]["write_errors"] <= result["calls"]


def test_a_program_that_forgets_to_close_comes_to_its_end(tmp_path: Path) -> None:
    url = f"json:{tmp_path}/store.ndjson?sync=always"
    done = run_program("forgetful_loop", url)
    assert done.stdout.strip().endswith("-1")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("options", ["", "?sync=always"])
def test_a_child_has_a_store_in_memory_and_must_open_one_of_files(
    tmp_path: Path, options: str
) -> None:
    def run(url: str) -> list[Any]:
        done = run_program("forked_loop", url, options=("-W", "always::ResourceWarning"))
        assert "unclosed AsyncBackend" not in done.stderr  # the thread is the parent's to end
        return [json.loads(line) for line in done.stdout.splitlines()]

    child, parent = run("memory:")
    assert child == [["stored"] * 3, counts(records_written=3)]
    assert parent == counts(records_written=2)

    child, parent = run(f"json:{tmp_path}/store.ndjson{options}")
    assert child == [["ForkedStoreError"] * 3, counts(write_errors=3)]
    assert parent == counts(records_written=2)
