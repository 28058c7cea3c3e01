"""Open, use and close a store with asyncio as the program ends: in `atexit`, or after the main thread."""

import asyncio
import atexit
import json
import sys
import threading

import papyra
import papyra.aio

url, where = sys.argv[1:]


async def main() -> None:
    async with papyra.aio.open_store(url) as store:
        await asyncio.gather(*(store.append(papyra.Record("event")) for _ in range(100)))
        assert len(await store.read()) == 100
        assert len([r async for r in store.records()]) == 100
        assert (await store.scan()).clean
        assert (await store.recover()).clean
        await store.compact()
    print(json.dumps([store.closed, store.metrics.totals()["records_written"]]), flush=True)


def late() -> None:
    threading.main_thread().join()
    asyncio.run(main())


if where == "atexit":
    atexit.register(lambda: asyncio.run(main()))
else:
    threading.Thread(target=late).start()
