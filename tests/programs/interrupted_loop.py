"""
Append in loops that a signal interrupts in their own thread, and print what became of the calls.

With "tidy" asyncio.run turns interrupts into cancellations. With "raw" they are raised at any
instruction, and a loop that was interrupted is closed as it is.
"""

import asyncio
import json
import logging
import os
import random
import signal
import sys
import threading

from papyra import Record, open_store
from papyra.aio import AsyncBackend, loop_writer

url, tidy, seed = sys.argv[1], sys.argv[2] == "tidy", sys.argv[3]
rounds = int(sys.argv[4])
size = int(sys.argv[5])  # of a call
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # tasks that are left pending
chance = random.Random(seed)
store = open_store(url)
calls = interrupts = 0

if size > 1:
    loop_writer.MOST_WAITING = 8  # type: ignore[misc]  # so that others wait in line


def records(first: int) -> list[Record]:
    return [Record("event", timestamp=1.0, data={"n": n}) for n in range(first, first + size)]


async def caller(wrapped: AsyncBackend) -> None:
    global calls  # noqa: PLW0603  counted where an interrupt may end it
    while True:
        first = calls
        calls += size
        if size > 1:
            await wrapped.append_many(records(first))
        else:
            await wrapped.append(*records(first))


async def main(wrapped: AsyncBackend) -> None:
    await asyncio.gather(*(caller(wrapped) for _ in range(20)))


wrapped = AsyncBackend(store)
signal.signal(signal.SIGINT, signal.default_int_handler)
for _ in range(rounds):
    if tidy:
        timer = threading.Timer(chance.uniform(0.001, 0.03), os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            asyncio.run(main(wrapped))
        except KeyboardInterrupt:
            interrupts += 1
        timer.join()
    else:
        loop = asyncio.new_event_loop()
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            # Again and again: one that strikes in a finalizer is swallowed.
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.03), 0.5)
            loop.run_until_complete(main(wrapped))
        except KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupts += 1
        loop.close()

asyncio.run(wrapped.aclose())
totals = store.metrics.totals()
again = open_store(url)
scan = again.scan()
read = [record.data["n"] for record in again.read()]
again.close()
result = {"interrupts": interrupts, "calls": calls, "stored": scan.records, "found": scan.found}
print(json.dumps(result | {"distinct": len(set(read)), "totals": totals}))
