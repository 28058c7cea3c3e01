"""One import into a store at a time, on whatever host."""

import os
from contextlib import suppress
from typing import Final, Self

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.import_lease import CLAIM, LEAVE
from papyra.errors import StoreIOError, StoreLockedError

#: Seconds of silence after which an import counts as dead.
_DEAD: Final = 60


class Claim:
    """
    Keep other imports out during a `with` block; called before each batch, it says that it goes on.

    An interrupt may skip the whole `__exit__`, which is a function of Python, so it may be repeated:
    `import_store` calls it once more behind the block.

    Raises:
        StoreLockedError: on entry, if another import is under way; when it is called, if another
            took over after a minute of silence.
    """

    __slots__ = ("_is_held", "_link", "_token")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._token = os.urandom(8).hex()
        self._is_held = False

    def __call__(self) -> None:
        """Say that this import goes on."""
        # Before it is: an interrupt may swallow the reply.
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
        except BaseException:  # an interrupt: the server may know nothing of it yet
            self._leave()
            raise

    def _leave(self) -> None:
        if not self._is_held:
            return
        with suppress(StoreIOError):  # it counts as dead in a minute
            self._link.run(LEAVE, self._token, patient=False)
        self._is_held = False
