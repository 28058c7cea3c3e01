"""The page of store URLs, from the tables that parse them and the signatures of the stores."""

import inspect
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final

from papyra import store_url, units, url_options
from reference import markdown

#: The text that follows each scheme, and the kind of store that it names.
_SCHEMES: Final = {
    "memory": ("memory:", "records in the memory of this process"),
    "json": ("json:PATH", "one NDJSON file"),
    "rotating": ("rotating:PATH", "a set of NDJSON files"),
    "redis": (
        "redis://USER:PASSWORD@HOST:PORT/DB",
        "a stream in a Redis server; HOST:PORT,HOST:PORT names the nodes of a cluster",
    ),
    "rediss": ("rediss://USER:PASSWORD@HOST:PORT/DB", "the same over TLS"),
    "unix": ("unix:///PATH/TO/SOCKET", "the same at a socket of this machine"),
}
#: The effect of each option.
_MEANINGS: Final = {
    "sync": "When written records are brought to the disk: `none` leaves it to the operating system, `interval`"
    " does it once a second, `always` before a write is acknowledged. A Redis store refuses `always`, because"
    " the server's `appendfsync` decides; in memory the option changes nothing.",
    "lock_timeout": "How long a call waits for other threads and processes.",
    "max_records": "Keep the newest records, at most this many. 0 keeps none.",
    "max_age": "Keep records up to this age. It leaves records alone whose timestamps are below 1,000,000,000, which"
    " are not wall-clock times.",
    "max_total_bytes": "Keep the newest records whose lines together have at most this size.",
    "max_bytes": "The size of a file at which the next batch begins a new one; from 1 on. A batch that is larger"
    " gets a file of its own.",
    "max_files": "How many files the set may have, the active one included; from 1 on. Beyond that number the oldest"
    " file is dropped.",
    "name": "Which store it is, among those on the server.",
    "prefix": "The first part of the keys of all stores.",
    "timeout": "After what time an exchange with the server is not tried again. One try waits a third of it for a"
    " connection, and a third for a reply.",
    "layout": "`0.3.0` reads the streams that Papyra 0.3.0 wrote. This is its only value.",
    "ca": "The file of the certificates that vouch for the server.",
    "cert": "The file of a certificate that the server asks for.",
    "key": "The file of that certificate's key, unless `cert` holds the key, too.",
    "db": "The number of the database; the other two schemes have it in the URL's path.",
}
#: The default of an option that the constructor's signature does not say.
_DEFAULTS: Final = {
    "max_records": "all",
    "max_age": "any age",
    "max_total_bytes": "any size",
    "max_files": "any number",
    "layout": "papyra's own",
    "ca": "the system's",
    "cert": "does not send one",
    "key": "in `cert`",
    "db": "0",
}
_INTRODUCTION = """\
`papyra.open_store(url)`, `papyra.open_counters(url)` and the command line take a store as a URL. Options follow a
`?` and are joined by `&`, as in `json:actors.ndjson?max_age=7d&sync=always`. An unknown scheme or option, a bad
value, and an option that is given twice raise [`StoreURLError`](errors.md#storeurlerror)."""
_PATHS = """\
The text after `json:` or `rotating:` is a path and is taken as it is. `json://x` is refused: write `json:x` or
`json:/x`. In a path `%3F` is a `?` and `%25` is a `%`.
The command line also takes a bare path, with options behind it. Papyra looks whether a
file or a rotated set is there, and refuses anything that is not a store.

In a user name or password, write every character but letters, digits and `-._~` as `%XX` (`%40` is `@`). Messages
never show a password. [The Redis store](../redis.md) tells more about servers."""
_OPTIONS = """\
`open_store` also takes `sync=`, `lock_timeout=` and `retention=papyra.Retention(...)` as arguments. Say each thing
once, in the URL or beside it. `open_counters` checks the options that it does not need, and does not use them."""
_UNITS = """\
A unit follows its number without a blank. Units of time are lower case; the case of units of size does not matter.
A time may have a fraction, and so may a size in a unit above `B`: `1.5h`, `1.5GiB`. A part of a byte is dropped."""


def make() -> str:
    """Return the page."""
    _check("scheme", "_SCHEMES", _SCHEMES, store_url._KINDS)
    options = [store_url._COMMON, *(kind.options for kind in store_url._KINDS.values())]
    _check("option", "_MEANINGS", _MEANINGS, {name for names in options for name in names})
    schemes = [
        [f"`{_SCHEMES[scheme][0]}`", _SCHEMES[scheme][1], _names(kind.options)]
        for scheme, kind in store_url._KINDS.items()
    ]
    common = [_row(name, read, "memory") for name, read in store_url._COMMON.items()]
    return markdown.page(
        "Store URLs",
        "papyra/store_url.py and tests/reference/urls.py",
        _INTRODUCTION,
        "## Schemes",
        markdown.table(["URL", "store", "options of its own"], schemes),
        _PATHS,
        "## Options of every store",
        _OPTIONS,
        markdown.table(["option", "value", "default", "meaning"], common),
        "## Options of some stores",
        markdown.table(["option", "of", "value", "default", "meaning"], _own_options()),
        "## Values",
        _UNITS,
        markdown.table(["value", "what it is"], _values()),
        markdown.table(["unit of time", "seconds"], _times()),
        markdown.table(["unit of size", "bytes"], _sizes()),
    )


def _check(what: str, table: str, explained: Iterable[str], known: Iterable[str]) -> None:
    """Raise an error that names the *table* of this file to change, if papyra knows others than it explains."""
    if differing := sorted({*explained} ^ {*known}):
        raise ValueError(
            f"{table} in tests/reference/urls.py must explain each {what} of papyra/store_url.py and no other,"
            f" differs in {', '.join(differing)}"
        )


def _names(options: dict[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in options) or "-"


def _own_options() -> list[list[str]]:
    """Return a row for each option that not every store takes."""
    takers: dict[str, list[str]] = {}
    for scheme, kind in store_url._KINDS.items():
        for name in kind.options:
            takers.setdefault(name, []).append(scheme)
    rows = []
    for name, schemes in takers.items():
        read = store_url._KINDS[schemes[0]].options[name]
        first, *others = _row(name, read, schemes[0])
        rows.append([first, ", ".join(f"`{scheme}:`" for scheme in schemes), *others])
    return rows


def _row(name: str, read: Callable[[str], Any], scheme: str) -> list[str]:
    return [f"`{name}`", _KINDS_OF_VALUES[read], _default(name, scheme), _MEANINGS[name]]


def _default(name: str, scheme: str) -> str:
    """Return what the store of *scheme* takes without the option *name*."""
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    kind = store_url._KINDS[scheme]
    store = getattr(import_module(kind.module), kind.store)
    value = inspect.signature(store).parameters[name].default
    if name == "max_bytes":
        return f"`{value // 2**20}MiB`"
    return f"`{value:g}s`" if isinstance(value, float) else f"`{value}`"


#: The entry in the table of values for the function that reads a value.
_KINDS_OF_VALUES: Final[dict[Callable[[str], Any], str]] = {
    units.duration: "a time",
    units.size: "a size",
    units.whole_number: "a number",
    units.number_from_1: "a number",
    url_options.sync_mode: " ".join(f"`{word}`" for word in url_options.SYNCS),
    str: "text",
}


def _values() -> list[list[str]]:
    return [
        ["a time", units.DURATION],
        ["a size", units.SIZE],
        ["a number", units.WHOLE_NUMBER],
        ["text", "the characters as they are; `&` ends the value"],
    ]


def _times() -> list[list[str]]:
    return [[f"`{unit}`", f"{scale / 1000:,g}"] for unit, scale in units._TIMES.items()]


def _sizes() -> list[list[str]]:
    return [[f"`{unit}`", f"{scale:,}"] for unit, scale in units._SIZES.items()]
