"""The threads of reads: across a fork, from a second loop, and where the loop of a stream has ended."""

import asyncio
import gc
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aio.gated import Run
from children import run_program
from stores import Kind, counts, event, numbers

from papyra.aio.backend import AsyncBackend

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def threads() -> list[str]:
    """Return the names of asyncio's threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name == "papyra-aio"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_has_no_threads_of_its_parent_s_pool_and_waits_for_none(tmp_path: Path) -> None:
    def run(url: str) -> list[Any]:
        done = run_program("forked_pool", url)
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert run("memory:") == [[0, "done", "done", "done", 0], [True, 0, 40]]
    refused = "ForkedStoreError"
    child, parent = run(f"json:{tmp_path}/store.ndjson")
    assert child == [0, refused, refused, "done", 0]
    assert parent == [True, 0, 40]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_nothing_that_waited_for_a_thread_of_its_parent() -> None:
    done = run_program("forked_queue")
    child_and_parent = [json.loads(line) for line in done.stdout.splitlines()]
    assert child_and_parent == [[], ["what waited"]]


def test_two_loops_read_at_once_and_one_closes(
    run: Run, loop_factory: LoopFactory, kind: Kind
) -> None:
    async def main() -> None:
        store = AsyncBackend(kind.open())
        await store.append_many(event(n) for n in range(30))

        async def read() -> None:
            lists = await asyncio.gather(*(store.read() for _ in range(20)))
            assert [numbers(records) for records in lists] == [list(range(30))] * 20
            assert numbers([record async for record in store.records()]) == list(range(30))
            assert (await store.scan()).clean

        def elsewhere() -> None:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(read())

        await asyncio.gather(asyncio.to_thread(elsewhere), read())
        await store.aclose()
        assert threads() == []
        assert store.metrics.snapshot() == counts(
            records_written=30, records_read=2 * 21 * 30, scan_operations=2
        )

    run(main())


def test_a_stream_whose_loop_has_ended_counts_what_was_taken_and_blocks_no_closing(
    loop_factory: LoopFactory, kind: Kind
) -> None:
    store = AsyncBackend(kind.open())
    streams = []

    async def begin() -> None:
        await store.append_many(event(n) for n in range(20))
        streams.append(store.records())
        assert numbers([await anext(streams[0]) for _ in range(3)]) == [0, 1, 2]

    loop = loop_factory()
    loop.run_until_complete(begin())
    loop.close()  # without the end that asyncio.run gives its streams
    streams.clear()
    gc.collect()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(store.aclose())
    assert threads() == []
    assert store.metrics.snapshot() == counts(records_written=20, records_read=3)
