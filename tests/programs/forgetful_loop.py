"""Append with asyncio, and end without closing the store."""

import asyncio
import sys

from papyra import Record
from papyra.aio import AsyncBackend, open_store

kept: list[AsyncBackend] = []


async def main() -> None:
    store = open_store(sys.argv[1])
    kept.append(store)
    print(await store.append(Record("event")))


asyncio.run(main())
