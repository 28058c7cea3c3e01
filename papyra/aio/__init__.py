"""
How does a program on asyncio use a store?

`backend` has the operations as coroutines: the same calls, bytes and counters; `opening` opens a
store by its URL. `loop_writer` and `ordered_writes` lead appends into the store's queue in their
order, `prefetch` reads ahead for streams, `thread_pool` runs what must not keep the loop.
"""

from papyra.aio.backend import AsyncBackend
from papyra.aio.opening import open_store

__all__ = ["AsyncBackend", "open_store"]
