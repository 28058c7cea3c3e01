"""One import into a store at a time, on whatever host."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

from papyra.backends.redis.link import Link
from papyra.backends.redis.scripts import CLAIM, LEAVE
from papyra.errors import StoreIOError, StoreLockedError

#: Seconds of silence after which an import counts as dead.
_DEAD: Final = 60


@contextmanager
def importing(link: Link) -> Generator[Callable[[], None]]:
    """
    Keep other imports out, and give what has to be called before each batch.

    Raises:
        StoreLockedError: if another import is under way, or took over after a minute of silence.
    """
    token = os.urandom(8).hex()

    def go_on() -> None:
        if not link.run(CLAIM, token, _DEAD):
            raise StoreLockedError(link.keys.records, 0, "another import")

    go_on()
    try:
        yield go_on
    finally:
        with suppress(StoreIOError):  # it counts as dead in a minute
            link.run(LEAVE, token, patient=False)
