"""
How does a program on asyncio use a store?

`backend` has the operations as coroutines: the same calls, bytes and counters. `opening` opens a store by its URL.
`inline_write` decides whether an append is written on the event loop. Otherwise `ordered_writes` and `loop_writer`
lead it (a `queued_call`) into the store's queue in its order, and `cancellation` takes it back. `prefetch` reads ahead
for streams; `thread_pool` runs the other operations.
"""

from papyra.aio.backend import AsyncBackend
from papyra.aio.opening import open_store

__all__ = ["AsyncBackend", "open_store"]
