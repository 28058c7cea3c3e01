"""
Open the store, or the counters, that a URL names, as in `open_store("json:actors.ndjson?max_records=1000")`.

A server's URL may hold a password, by mistake anywhere in it. So a message repeats nothing of it until all of it
is understood, and then only scheme, host and database.
"""

import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from papyra.backends.files.paths import Layout
from papyra.backends.redis import load
from papyra.errors import NotPublishedError, StoreNotFoundError, StoreURLError
from papyra.metrics.multiprocess import LOCK_TIMEOUT, PublishedCounters
from papyra.suggestions import is_server_address, near_store, unknown_scheme
from papyra.units import duration, number_from_1, size, whole_number
from papyra.url_options import Reader, options_of, sync_mode, value_of

if TYPE_CHECKING:  # Otherwise a command on published counters would take longer.
    from papyra.backend import PersistenceBackend
    from papyra.metrics.exportable import CounterSource
    from papyra.primitives import Sync
    from papyra.retention import Retention


_RETENTION: Final[dict[str, Reader]] = {
    "max_records": whole_number,
    "max_age": duration,
    "max_total_bytes": size,
}
_COMMON: Final[dict[str, Reader]] = {
    "sync": sync_mode,
    "lock_timeout": duration,
    **_RETENTION,
}


class _Kind(NamedTuple):
    """A scheme: its class by module and name, what follows the colon, and its options beside the common ones."""

    module: str
    store: str
    place: Literal["", "path", "server"]
    options: dict[str, Reader]


_REDIS: Final = _Kind(
    "papyra.backends.redis",
    "RedisBackend",
    "server",
    {"name": str, "prefix": str, "timeout": duration, "layout": str},
)
_TLS: Final = ("ca", "cert", "key")
# By name, because a caller who only wants counters need not load the stores.
_KINDS: Final = {
    "memory": _Kind("papyra.backends.memory", "MemoryBackend", "", {}),
    "json": _Kind("papyra.backends.files.json_file", "JsonBackend", "path", {}),
    "rotating": _Kind(
        "papyra.backends.files.rotating",
        "RotatingBackend",
        "path",
        {"max_bytes": size, "max_files": number_from_1},
    ),
    "redis": _REDIS,
    "rediss": _REDIS._replace(options={**_REDIS.options, **dict.fromkeys(_TLS, str)}),
    "unix": _REDIS._replace(options={**_REDIS.options, "db": whole_number}),
}


#: The schemes, which come before the colon.
SCHEMES: Final = tuple(_KINDS)


def open_store(
    url: str,
    *,
    retention: "Retention | None" = None,
    sync: "Sync | None" = None,
    lock_timeout: float | str | None = None,
    must_exist: bool = False,
) -> "PersistenceBackend":
    """
    Open the store that *url* names; its first append makes a store of files.

    These are the URLs, with the options that each takes beside the common ones:

    - ``memory:`` keeps records in this process alone.
    - ``json:PATH`` is one NDJSON file, as in ``json:actors.ndjson``.
    - ``rotating:PATH`` is a set of NDJSON files: *max_bytes* bounds each, *max_files* their number.
    - ``redis://HOST:PORT/DB`` is a stream in a Redis server; ``rediss://`` speaks TLS, with *ca*,
      *cert*, *key*; ``unix:///SOCKET`` takes *db*. ``redis://HOST:PORT,HOST:PORT`` is a cluster. *name*
      and *prefix* say which stream, *timeout* how long to try. User and password go before the host.
      ``layout=0.3.0`` reads the streams of Papyra 0.3.0.

    Options follow a ``?``, joined by ``&``: ``json:actors.ndjson?max_age=7d&sync=always``. All stores take:

    - *max_records*, *max_age* and *max_total_bytes*: what the retention keeps;
    - *sync*: ``none``, ``interval`` or ``always``;
    - *lock_timeout*: how long a call waits for others.

    Times are in seconds, or have a unit (``500ms``, ``30m``, ``7d``); sizes are in bytes, or have a unit (``500MB``,
    ``2GiB``). In a path, ``%3F`` is a ``?`` and ``%25`` a ``%``.

    Args:
        url: The store, and its options.
        retention: What is kept, if the URL does not say; by default everything.
        sync: "none", "interval" or "always", if the URL does not say; by default "interval".
        lock_timeout: Seconds that a call waits for others, or a duration such as "500ms", if the
            URL does not say; by default 5.
        must_exist: Refuse a store that does not exist yet.

    Raises:
        StoreURLError: if the scheme or an option is unknown, or a value is invalid or given twice.
        StoreNotFoundError: if *must_exist* is true and the store does not exist.
        StoreIOError: if the path is a directory or not a regular file, or the server cannot be
            reached or used.
        ModuleNotFoundError: if this kind of store needs an extra that is not installed.
    """
    kind, path, options, shown = _parse(url)
    for name, value in (("sync", sync), ("lock_timeout", _seconds(shown, lock_timeout))):
        if value is not None:
            if name in options:
                raise _given_twice(shown, name)
            options[name] = value
    limits = {name: options.pop(name) for name in _RETENTION if name in options}
    if limits and retention is not None:
        raise _given_twice(shown, "a retention")
    if kind.place == "server":
        options["must_exist"] = must_exist
    elif must_exist:
        _check_there(kind, path, shown)
    if "layout" in options:
        kind = _of_layout(kind, shown, options.pop("layout"))
    store = getattr(import_module(kind.module), kind.store)
    place = (path,) if kind.place else ()
    try:
        opened: PersistenceBackend = store(
            *place, retention=_retention(limits) if limits else retention, **options
        )
    except ValueError as error:
        if isinstance(error, StoreURLError):
            raise
        raise StoreURLError(f"{shown}: {error}") from None
    return opened


def is_in_memory(url: str) -> bool:
    """Tell whether *url* names a store that ends with its program."""
    scheme, colon, _ = url.partition(":")
    return bool(colon) and scheme in _KINDS and not _KINDS[scheme].place


def _given_twice(shown: str, name: str) -> StoreURLError:
    return StoreURLError(f"{shown}: {name} is given in the URL and as an argument; give it once")


def _retention(limits: dict[str, Any]) -> "Retention":
    from papyra.retention import Retention  # noqa: PLC0415  counters do without it

    return Retention(**limits)


def _seconds(shown: str, lock_timeout: float | str | None) -> float | None:
    """Return *lock_timeout* in seconds."""
    if not isinstance(lock_timeout, str):
        return lock_timeout
    seconds: float = value_of(shown, "lock_timeout", duration, lock_timeout)
    return seconds


def _of_layout(kind: _Kind, shown: str, layout: str) -> _Kind:
    """Return the kind of store that has *layout*, which is not papyra's own: that one has no name."""
    if layout != "0.3.0":
        raise StoreURLError(
            f"{shown}: layout must be 0.3.0, or be left out for a store of this version"
        )
    load("legacy_streams")  # Its error names the extra, if that is not installed.
    return kind._replace(module="papyra.backends.redis.legacy_streams", store="OriginalStreams")


def _check_there(kind: _Kind, path: str, shown: str) -> None:
    if not kind.place:
        raise StoreNotFoundError(
            shown.removesuffix(":"),
            "a store in memory exists only in its own process; name a store of files or of Redis",
        )
    layout = Layout(path)
    if not layout.exists():
        raise _not_found(layout)


def _not_found(layout: Layout) -> StoreNotFoundError:
    if os.path.isdir(layout.directory):
        near = near_store(layout)
        if not near:
            return StoreNotFoundError(layout.path)
        return StoreNotFoundError(
            layout.path,
            f"no such store; did you mean {near!r}? Otherwise start the program: its first append makes the store",
        )
    return StoreNotFoundError(
        layout.path, "no such store, and no directory for one; correct the path"
    )


def open_counters(url: str) -> "CounterSource":
    """
    Return the counters of the store that *url* names, which its programs publish.

    Args:
        url: As for `open_store`; an option that the counters do not need is checked and not used.

    Raises:
        StoreURLError: as `open_store`.
        StoreNotFoundError: if neither the store nor published counters of it exist.
        NotPublishedError: if this kind of store publishes no counters.
        ModuleNotFoundError: if this kind of store needs an extra that is not installed.
    """
    kind, path, options, shown = _parse(url)
    if "layout" in options:
        raise NotPublishedError(
            f"{shown}: Papyra 0.3.0 published no counters; import its streams into a store that does"
        )
    if kind.place == "server":
        return _shared_counters(shown, path, options)
    if not kind.place:
        raise NotPublishedError(
            f"{shown} a store in memory has its counters only in its own process;"
            " print store.metrics.snapshot() there"
        )
    layout = Layout(path)
    if not layout.exists() and not os.path.isdir(layout.metrics):
        raise _not_found(layout)
    timeout = options.get("lock_timeout", LOCK_TIMEOUT)
    return PublishedCounters(
        layout.path,
        layout.metrics,
        kind=url.partition(":")[0],
        name=layout.name,
        timeout=timeout,
    )


def _shared_counters(shown: str, path: str, options: dict[str, Any]) -> "CounterSource":
    from papyra.backends.redis.address import Keys, address_of  # noqa: PLC0415  for a server alone

    try:
        keys = Keys(options.get("prefix", "papyra"), options.get("name", "local"))
        files = {name: options.get(name) for name in _TLS}
        address = address_of(path, db=options.get("db"), **files)
        timeout = options.get("timeout", LOCK_TIMEOUT)
        link = load("client").Link(address, keys, timeout=timeout)
    except ValueError as error:
        raise StoreURLError(f"{shown}: {error}") from None
    counters: CounterSource = load("shared_counters").SharedCounters(link)
    return counters


class _Parsed(NamedTuple):
    """A parsed URL: its scheme, what follows it, its options, and what messages show of it."""

    kind: _Kind
    path: str
    options: dict[str, Any]
    shown: str


def _parse(url: str) -> _Parsed:
    """Parse *url*; no message repeats anything of it as long as there may be a password in it."""
    if not isinstance(url, str):
        given = type(url).__name__  # The value may be bytes with a password in it.
        raise StoreURLError(
            f"a store URL must be a string, such as 'json:actors.ndjson', got an object of {given}"
        )
    scheme, colon, rest = url.partition(":")
    kind = _KINDS.get(scheme)
    if not colon or kind is None:
        raise StoreURLError(
            unknown_scheme(url, {name: kind.place for name, kind in _KINDS.items()})
        )
    path, _, query = rest.partition("?")
    if kind.place == "server":
        if "\0" in url:
            raise StoreURLError(f"{scheme}: the URL must not have a NUL character in it")
        return _server(kind, scheme, path, query)
    if is_server_address(rest, _unescape(path)):
        raise StoreURLError(
            f"{scheme}: a path must follow, not the address of a server; begin the URL of a Redis store with"
            " redis://, rediss:// or unix://; write ./ before the name of a new file with : and @ in it"
        )
    if "\0" in url:
        raise StoreURLError(f"{url!r:.80}: the URL must not have a NUL character in it")
    if re.match("//[^/]", path):
        raise StoreURLError(
            f"{scheme}:{path:.80}: a path must follow the colon, not //; write {scheme}:{path[2:]:.80} for a file in the"
            f" working directory, or {scheme}:{path[1:]:.80} for one in the root directory"
        )
    if kind.place and not path:
        raise StoreURLError(f"{scheme}: a path must follow, as in {scheme}:actors.ndjson")
    if not kind.place and path:
        raise StoreURLError(f"{scheme}: a path must not follow; leave out the text after the colon")
    shown = f"{scheme}:{path}"
    options = _options(shown, kind, query, secretly="@" in query)
    return _Parsed(kind, _unescape(path), options, shown)


def _server(kind: _Kind, scheme: str, path: str, query: str) -> _Parsed:
    """Parse the URL of a server; its address may be shown only once it is parsed."""
    if "@" in query:  # Most likely the password has a "?" in it.
        raise StoreURLError(
            f"{scheme}: there is an @ after the ?; in a user name or password write ? as %3F, and @ as %40"
        )
    from papyra.backends.redis.address import address_of  # noqa: PLC0415  for a server alone

    options = _options(scheme, kind, query, secretly=True)
    try:
        shown = address_of(f"{scheme}:{path}").shown
    except ValueError as error:
        raise StoreURLError(f"{scheme}: {error}") from None
    return _Parsed(kind, f"{scheme}:{path}", options, shown)


def _options(shown: str, kind: _Kind, query: str, *, secretly: bool = False) -> dict[str, Any]:
    """Return the options of *query*; if *secretly*, no message repeats anything of it."""
    elsewhere = {f"{scheme}:": other.options for scheme, other in _KINDS.items()}
    hint = "; user and password go before the host" if kind.place == "server" else ""
    readers = {**_COMMON, **kind.options}
    return options_of(query, shown, readers, elsewhere, hint=hint, secretly=secretly)


def _unescape(path: str) -> str:
    # In one pass: %253F is the text "%3F".
    pieces = path.replace("%3f", "%3F").split("%25")
    return "%".join(piece.replace("%3F", "?") for piece in pieces)
