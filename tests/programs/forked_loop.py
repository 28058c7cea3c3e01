"""Fork with an asyncio store open; the child appends in a loop of its own, the parent goes on."""

import asyncio
import json
import os
import sys
from typing import Any, NoReturn

from papyra import PapyraError, Record
from papyra.aio import open_store


async def child() -> list[str]:
    answers = []
    for _ in range(3):
        try:
            await store.append(Record("event", data={"of": "child"}))
            answers.append("stored")
        except PapyraError as error:
            answers.append(type(error).__name__)
    return answers


def show(answer: Any) -> NoReturn:
    print(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # the loop that is open is not closed: in the child, it is its parent's


store = open_store(sys.argv[1])
runner = asyncio.Runner()
runner.run(store.append(Record("event")))
# Until the loop looks no more whether its thread lives, and keeps nothing of it.
runner.run(asyncio.sleep(0.1))
pid = os.fork()
if pid == 0:
    show([asyncio.run(child()), store.metrics.totals()])
os.waitpid(pid, 0)
runner.run(store.append(Record("event")))
runner.run(store.aclose())
show(store.metrics.totals())
