"""How late an event loop comes to a timer while tasks append, beside what might keep it."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

from benchmarks.load import record
from papyra.aio import AsyncBackend, open_store
from servers import running_redis

_TASKS: Final = 8
#: Seconds between two looks of the one that measures.
_PAUSE: Final = 0.001

_Beside = Callable[[AsyncBackend], Awaitable[object]]


class Delay(NamedTuple):
    """How late, in seconds: at the worst, and the one in a hundred; and the appends meanwhile."""

    beside: str
    worst: float
    hundredth: float
    appends: int


def markdown(delays: Iterator[Delay]) -> str:
    """Return them as a table."""
    lines = ["| beside | worst | one in 100 | appends |", "| --- | --- | --- | --- |"]
    lines += (
        f"| {d.beside} | {d.worst * 1000:.1f} ms | {d.hundredth * 1000:.1f} ms | {d.appends:,} |"
        for d in delays
    )
    return "\n".join(lines) + "\n"


def delays(*, long: bool) -> Iterator[Delay]:
    """Measure it in each case."""
    seconds, held = (2.0, 50_000) if long else (0.05, 100)

    async def nothing(_: AsyncBackend) -> None:
        await asyncio.sleep(seconds)

    async def locked(store: AsyncBackend) -> None:
        code = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX);"
        async with _python(
            f"{code} print(flush=True); time.sleep({seconds})", f"{store.store.source}.lock"
        ):
            pass

    async def cancelled(store: AsyncBackend) -> None:
        code = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX);"
        async with _python(
            f"{code} print(flush=True); time.sleep({seconds})", f"{store.store.source}.lock"
        ):
            callers = {asyncio.create_task(store.append(record(0))) for _ in range(held)}
            await asyncio.sleep(_PAUSE)
            for caller in callers:  # a set, so in no order
                caller.cancel()
            await asyncio.wait(callers)

    async def compacted_elsewhere(store: AsyncBackend) -> None:
        code = "import sys, papyra; print(flush=True); papyra.open_store(sys.argv[1]).compact()"
        async with _python(code, f"json:{store.store.source}?max_records=1000"):
            pass

    cases: list[tuple[str, str, int, _Beside]] = [
        ("an idle program: no append at all", "", 0, nothing),
        ("nothing else", "", _TASKS, nothing),
        ('sync="always"', "?sync=always", _TASKS, nothing),
        ("a store that another process has locked", "?lock_timeout=60", _TASKS, locked),
        (
            f"{held:,} callers who come to a locked store and are cancelled",
            "?lock_timeout=60",
            _TASKS,
            cancelled,
        ),
        ("a compaction in another process", "", _TASKS, compacted_elsewhere),
        ("a compaction in the same process", "", _TASKS, AsyncBackend.compact),
        ("a read of everything in the same process", "", _TASKS, AsyncBackend.read),
    ]
    with tempfile.TemporaryDirectory(dir=".") as place:
        for number, (beside, options, tasks, other) in enumerate(cases):
            url = f"json:{place}/{number}.ndjson{options}"
            yield asyncio.run(_delay(beside, url, tasks, held, other))
    yield _beside_a_stopped_redis(seconds)


def _beside_a_stopped_redis(seconds: float) -> Delay:
    with tempfile.TemporaryDirectory() as place, running_redis("debian", Path(place)) as server:

        async def stopped(_: AsyncBackend) -> None:
            os.kill(server.process.pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            os.kill(server.process.pid, signal.SIGCONT)

        url = f"redis://127.0.0.1:{server.port}"
        return asyncio.run(_delay("a Redis server that is stopped", url, _TASKS, 100, stopped))


async def _delay(beside: str, url: str, tasks: int, held: int, other: _Beside) -> Delay:
    late: list[float] = []
    appends = 0
    is_over = False

    async def look() -> None:
        while not is_over:
            start = perf_counter()
            await asyncio.sleep(_PAUSE)
            late.append(perf_counter() - start - _PAUSE)

    async def work() -> None:
        nonlocal appends
        while not is_over:
            await store.append(record(0))
            appends += 1
            await asyncio.sleep(_PAUSE / 2)

    async with open_store(url) as store:
        await store.append_many([record(0)] * held)
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(work())
            await asyncio.sleep(0.1)
            looking = group.create_task(look())
            await asyncio.sleep(_PAUSE)
            await other(store)
            is_over = True
            await looking
    late.sort()
    return Delay(beside, late[-1], late[-1 - len(late) // 100], appends)


@asynccontextmanager
async def _python(code: str, argument: str) -> AsyncGenerator[None]:
    """Run a program beside this one; enter once it says so, and leave when it is over."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, argument, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    yield
    await process.wait()
