"""Find out which store is at a path that an operator gave without a scheme: one file, or rotated segments."""

import os
import re
from contextlib import suppress
from typing import Final

from papyra.backends.files.paths import Layout
from papyra.errors import StoreURLError
from papyra.suggestions import scheme_at
from papyra.system.os_errors import refusals

#: The files beside a store's own that are not stores: see `Layout`.
_SIDE: Final = re.compile(
    r"(.+)\.(?:[0-9]{12}|lock|maint\.lock|quarantine|metrics|tmp\.[0-9a-f]{8})"
)


def is_there(path: str) -> bool:
    """Tell whether there is a store at *path*, or anything else."""
    return os.path.lexists(path) or bool(Layout(path).siblings())


def url_at(path: str) -> str:
    """
    Return the URL of the store at *path*; if nothing is there, that of a single file.

    Raises:
        StoreURLError: if *path* is a segment or a side file of a store.
        StoreIOError: if it is a directory, or not a regular file.
        NotAStoreError: if it is a file that is not a papyra store.
    """
    layout = Layout(path)
    side = _SIDE.fullmatch(layout.path)
    # With a lock of its own it is a store that was named like a part of another.
    is_part = side is not None and not os.path.lexists(layout.lock)
    if side and is_part and (os.path.lexists(side[1]) or os.path.lexists(side[1] + ".lock")):
        raise StoreURLError(f"{layout.path}: it is a part of the store {side[1]}; name that one")
    if layout.stat() is not None and not os.path.exists(layout.lock):  # with which it is papyra's
        # Here, since it costs a command on published counters a sixth of all that it does.
        from papyra.backends.files.store_check import check_ownership  # noqa: PLC0415

        # A file that cannot be read is left to the command to complain of.
        with refusals(layout.path, "the store cannot be looked at"), suppress(PermissionError):
            check_ownership(layout)
    path = re.sub("^//+", "/", path)  # A URL refuses it, because json://x is seldom meant as /x.
    return f"{scheme_at(path)}:{path.replace('%', '%25').replace('?', '%3F')}"
