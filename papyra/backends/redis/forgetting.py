"""Forget the writers that the server no longer needs to remember."""

import re
from typing import Final

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.rewrite import FORGET

_PAGE: Final = 500
_SECONDS: Final = re.compile(rb"\d+")


def forget(link: Link, age: float) -> None:
    """
    Forget the writers, and the store objects that reported counts, whose last sign of life is *age* seconds old.

    It works page by page, because a store that many short programs write to has very many of them.
    """
    oldest = int(link.ask("TIME")[0]) - age
    cursor = b"0"
    while True:
        cursor, flat = link.ask("HSCAN", link.keys.writers, cursor, "COUNT", _PAGE)
        old: list[bytes] = []
        for writer, seen in zip(flat[::2], flat[1::2], strict=True):
            seconds = _SECONDS.match(seen)
            # Otherwise another program made the field.
            if seconds is not None and int(seconds[0]) < oldest:
                old += [writer, seen]
        if old:
            link.run(FORGET, *old)
        if cursor == b"0":
            return
