"""Let one import at a time write into a store, on any host."""

import os
from contextlib import suppress
from typing import Final, Self

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.import_lease import CLAIM, LEAVE
from papyra.errors import StoreIOError, StoreLockedError

#: Seconds without a renewal after which an import counts as dead.
_DEAD: Final = 60


class Claim:
    """
    Hold the lease during a `with` block, and so keep other imports out; call it before each batch to renew it.

    `__exit__` may run twice. It is a function of Python, so an interrupt may skip all of it, and
    `import_store` calls it once more behind the block.

    Raises:
        StoreLockedError: on entry, if another import is under way. At a call, if another import took
            the lease because this one had not renewed it for a minute.
    """

    __slots__ = ("_is_held", "_link", "_token")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._token = os.urandom(8).hex()
        self._is_held = False

    def __call__(self) -> None:
        """Take or renew the lease."""
        # Set before the lease is taken, because an interrupt may swallow the reply.
        self._is_held = True
        if not self._link.run(CLAIM, self._token, _DEAD):
            self._is_held = False
            raise StoreLockedError(self._link.keys.records, 0, "another import")

    def __enter__(self) -> Self:
        try:
            self()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._leave()
        except BaseException:  # After an interrupt the server may still hold the lease.
            self._leave()
            raise

    def _leave(self) -> None:
        if not self._is_held:
            return
        with suppress(StoreIOError):  # Without this the lease ends in a minute.
            self._link.run(LEAVE, self._token, patient=False)
        self._is_held = False
