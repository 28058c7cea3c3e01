"""Which store stands at a path that has no scheme before it."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from papyra.backends.files.paths import Layout
from papyra.errors import PapyraError, StoreURLError
from papyra.system.os_errors import refusals

#: What stands beside a store's file and is not a store: see `Layout`.
_SIDE: Final = re.compile(
    r"(.+)\.(?:[0-9]{12}|lock|maint\.lock|quarantine|metrics|tmp\.[0-9a-f]{8})"
)
#: User and password before an "@", as a server's address has them; a drive's letter is not a user.
_USERINFO: Final = re.compile(r"(?![A-Za-z]:[\\/])/?[^/]*:.*@", re.DOTALL)


def may_have_password(rest: str, path: str) -> bool:
    """
    Tell whether what follows a scheme is more likely USER:PASSWORD@HOST than the name of a file.

    Args:
        rest: It, options included.
        path: The file that it names if it does.
    """
    if not _USERINFO.match(rest):
        return False
    return "@" in rest.partition("?")[2] or not os.path.lexists(path)


def is_there(path: str) -> bool:
    """Tell whether a store, or anything else, stands at *path*."""
    return os.path.lexists(path) or bool(Layout(path).siblings())


def scheme_at(path: str) -> str:
    """Return "rotating" if segments stand beside *path*, else "json"; it raises nothing."""
    try:
        return "rotating" if Layout(path).newest_numbered() else "json"
    except (PapyraError, ValueError):
        return "json"


def url_meant_by(text: str, places: Mapping[str, str]) -> str:
    """
    Return the URL that *text* without a colon may stand for: of its store, and of a scheme of that name.

    Args:
        text: A path, or a scheme whose colon was forgotten.
        places: By scheme, what follows the colon: "", "path" or "server".
    """
    file = f"{scheme_at(text)}:{text}"
    scheme = text.lower()
    if scheme not in places:
        return file
    rest = {"": "", "path": "PATH", "server": "//HOST:PORT"}[places[scheme]]
    return f"{scheme}:{'///SOCKET' if scheme == 'unix' else rest}, or {file}"


def url_at(path: str) -> str:
    """
    Return the URL of the store at *path*; where nothing stands, that of a single file.

    Raises:
        StoreURLError: if a segment or a side file of a store stands there.
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
    return f"{scheme_at(path)}:{path.replace('%', '%25').replace('?', '%3F')}"
