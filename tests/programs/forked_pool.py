"""Fork beside the threads that read for asyncio; the child reads, scans and closes, the parent goes on."""

import asyncio
import json
import os
import sys
import threading
from typing import Any, NoReturn

from papyra import PapyraError, Record
from papyra.aio import open_store


def alive() -> int:
    return sum(thread.name == "papyra-aio" for thread in threading.enumerate())


async def child() -> list[Any]:
    answers: list[Any] = [alive()]
    for operation in (store.read, store.scan, store.aclose):
        try:
            await asyncio.wait_for(operation(), 30)
            answers.append("done")
        except PapyraError as error:
            answers.append(type(error).__name__)
    return [*answers, alive()]


async def reads() -> int:
    await asyncio.gather(*(store.read() for _ in range(20)))
    return alive()


def show(answer: Any) -> NoReturn:
    print(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)


store = open_store(sys.argv[1])
runner = asyncio.Runner()
runner.run(store.append(Record("event")))
before = runner.run(reads())
pid = os.fork()
if pid == 0:
    show(asyncio.run(child()))
os.waitpid(pid, 0)
runner.run(reads())
runner.run(store.aclose())
show([before > 0, alive(), store.metrics.totals()["records_read"]])
