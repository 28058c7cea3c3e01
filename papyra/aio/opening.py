"""Opens a store for asyncio by its URL, for programs; `papyra.store_url` opens the store itself."""

from typing import TYPE_CHECKING

from papyra import store_url
from papyra.aio.backend import AsyncBackend

if TYPE_CHECKING:
    from papyra.primitives import Sync
    from papyra.retention import Retention


def open_store(
    url: str,
    *,
    retention: "Retention | None" = None,
    sync: "Sync | None" = None,
    lock_timeout: float | str | None = None,
    must_exist: bool = False,
) -> AsyncBackend:
    """
    Open the store that *url* names, as `papyra.open_store` does, here and now.

    URLs, arguments and errors are the same; ``help(papyra.open_store)`` lists them. A Redis store
    asks its server something while it is opened. In a loop that must not wait for it:
    ``store = await asyncio.to_thread(papyra.aio.open_store, url)``.
    """
    return AsyncBackend(
        store_url.open_store(
            url, retention=retention, sync=sync, lock_timeout=lock_timeout, must_exist=must_exist
        )
    )
