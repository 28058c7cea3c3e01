"""asyncio's appends: many tasks beside one where each is synced, and beside redis-py's pipeline."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import redis.asyncio

from benchmarks.elsewhere import original as running_original
from benchmarks.load import plain, record
from benchmarks.side_by_side import Timings, each
from benchmarks.table import Row
from papyra.aio import AsyncBackend, open_store
from servers import running_redis

_PIPELINE: Final = 500


def synced_rows(*, long: bool) -> list[Row]:
    """Return how many appends of tasks share a sync, by the time that they take."""
    turns = 20 if long else 2
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory(dir=".") as place:
        store = open_store(f"json:{place}/store.ndjson?sync=always")

        def contender(tasks: int) -> Callable[[], float]:
            return lambda: each(
                tasks * turns, lambda: runner.run(_from_tasks(store, tasks, tasks * turns))
            )

        sizes = (64, 256) if long else (4, 8)
        timings = Timings(
            {str(tasks): contender(tasks) for tasks in (1, *sizes)}, rounds=15 if long else 2
        )
        runner.run(store.aclose())
    return [
        Row(
            f'sync="always", {tasks} tasks append',
            "one task",
            wanted,
            timings.faster(str(tasks), "1"),
        )
        for tasks, wanted in zip(sizes, (20, 30), strict=True)
    ]


def redis_rows(original: str, *, long: bool) -> list[Row]:
    """Return what tasks append to Redis; *original* is an interpreter with 0.3.0, or ""."""
    tasks = 64 if long else 4
    count = tasks * (100 if long else 2)
    with (
        asyncio.Runner() as runner,
        tempfile.TemporaryDirectory() as place,
        running_redis("debian", Path(place)) as server,
        running_original(original, "redis", server.port, callers=tasks, count=count) as old,
    ):
        client: Any = redis.asyncio.Redis(port=server.port)
        store = open_store(f"redis://127.0.0.1:{server.port}?name=tasks")
        contenders: dict[str, Callable[[], float]] = {
            "tasks": lambda: each(count, lambda: runner.run(_from_tasks(store, tasks, count))),
            "pipeline": lambda: each(_PIPELINE, lambda: runner.run(_pipelined(client))),
            **old,
        }
        timings = Timings(contenders, rounds=15 if long else 2)
        runner.run(client.aclose())
        runner.run(store.aclose())
    what = f"{tasks} tasks append"
    rows = [
        Row(
            what,
            f"redis.asyncio's pipeline of {_PIPELINE} XADDs",
            1.3,
            timings.faster("tasks", "pipeline"),
        )
    ]
    if original:
        rows.append(Row(what, "0.3.0, 64 tasks", 15, timings.faster("tasks", "0.3.0 redis")))
    return rows


def _from_tasks(store: AsyncBackend, tasks: int, count: int) -> Coroutine[Any, Any, object]:
    async def caller() -> None:
        for n in range(count // tasks):
            await store.append(record(n))

    async def all_of_them() -> None:
        await asyncio.gather(*(caller() for _ in range(tasks)))

    return all_of_them()


async def _pipelined(client: Any) -> None:
    pipeline = client.pipeline(transaction=False)
    for n in range(_PIPELINE):
        pipeline.xadd("pipeline", {"data": plain(n)})
    await pipeline.execute()
