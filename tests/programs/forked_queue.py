"""Fork while one operation waits for the only thread of asyncio's pool; print what each process did of it."""

import asyncio
import json
import os
import signal
import sys
import threading

import papyra.aio.thread_pool
from papyra import MemoryBackend
from papyra.aio import AsyncBackend

papyra.aio.thread_pool.MOST_THREADS = 1  # type: ignore[misc]
store, go_on = AsyncBackend(MemoryBackend()), threading.Event()
done: list[str] = []
tasks: list[asyncio.Future[object]] = []


async def start() -> None:
    tasks.append(asyncio.ensure_future(store._pool.run(go_on.wait)))
    tasks.append(asyncio.ensure_future(store._pool.run(lambda: done.append("what waited"))))
    await asyncio.sleep(0)


async def end() -> None:
    go_on.set()
    await asyncio.wait(tasks)
    await store.aclose()


runner = asyncio.Runner()
runner.run(start())
pid = os.fork()
if pid == 0:
    signal.alarm(10)  # Otherwise a child that waits for ever would outlive its test.
    asyncio.run(store.read())
else:
    os.waitpid(pid, 0)
    runner.run(end())
print(json.dumps(done))
sys.stdout.flush()
os._exit(0)
