"""
Stores named by a URL, as in `open_store("json:actors.ndjson?max_records=1000")`: see `open_store`.

A server's URL may hold a password, wherever it was put by mistake: no message repeats any of it but, once all
of it is understood, scheme, host and database.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from papyra.backends.files.paths import Layout
from papyra.backends.redis import load
from papyra.errors import NotPublishedError, StoreNotFoundError, StoreURLError
from papyra.metrics.multiprocess import LOCK_TIMEOUT, PublishedCounters
from papyra.suggestions import did_you_mean, is_server_address, unknown_scheme
from papyra.units import duration, size, whole_number

if TYPE_CHECKING:  # a command on published counters is done sooner without these
    from papyra.backend import PersistenceBackend
    from papyra.metrics.exportable import CounterSource
    from papyra.primitives import Sync
    from papyra.retention import Retention

_SYNCS: Final = ("none", "interval", "always")


def _sync(text: str) -> str:
    if text not in _SYNCS:
        raise ValueError(f"must be one of {', '.join(_SYNCS)}")
    return text


_RETENTION: Final[dict[str, Callable[[str], Any]]] = {
    "max_records": whole_number,
    "max_age": duration,
    "max_total_bytes": size,
}
_COMMON: Final[dict[str, Callable[[str], Any]]] = {
    "sync": _sync,
    "lock_timeout": duration,
    **_RETENTION,
}


class _Kind(NamedTuple):
    """A scheme: where its class is, what follows the colon, and options beside the common ones."""

    module: str
    store: str
    place: Literal["", "path", "server"]
    options: dict[str, Callable[[str], Any]]


_REDIS: Final = _Kind(
    "papyra.backends.redis",
    "RedisBackend",
    "server",
    {"name": str, "prefix": str, "timeout": duration, "layout": str},
)
_TLS: Final = ("ca", "cert", "key")
# By name: who only wants counters need not load the stores.
_KINDS: Final = {
    "memory": _Kind("papyra.backends.memory", "MemoryBackend", "", {}),
    "json": _Kind("papyra.backends.files.json_file", "JsonBackend", "path", {}),
    "rotating": _Kind(
        "papyra.backends.files.rotating",
        "RotatingBackend",
        "path",
        {"max_bytes": size, "max_files": whole_number},
    ),
    "redis": _REDIS,
    "rediss": _REDIS._replace(options={**_REDIS.options, **dict.fromkeys(_TLS, str)}),
    "unix": _REDIS._replace(options={**_REDIS.options, "db": whole_number}),
}


#: What a store URL may begin with, before the colon.
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
    Open the store that *url* names; a store of files is made by its first append.

    These are the URLs, with the options that each takes beside the common ones:

    - ``memory:`` keeps records in this process alone.
    - ``json:PATH`` is one NDJSON file, as in ``json:actors.ndjson``.
    - ``rotating:PATH`` is a set of NDJSON files: *max_bytes* bounds each, *max_files* their number.
    - ``redis://HOST:PORT/DB`` is a stream in a Redis server (``rediss://`` with TLS and *ca*, *cert*,
      *key*; ``unix:///SOCKET`` with *db*) or in a cluster (``redis://HOST:PORT,HOST:PORT``): *name* and
      *prefix* say which stream, *timeout* how long to try. User and password stand before the host.
      ``layout=0.3.0`` reads the streams of Papyra 0.3.0.

    Options follow a ``?``, joined by ``&``: ``json:actors.ndjson?max_age=7d&sync=always``. All stores take

    - *max_records*, *max_age* and *max_total_bytes*: what the retention keeps;
    - *sync*: ``none``, ``interval`` or ``always``;
    - *lock_timeout*: how long a call waits for others.

    Times are seconds, or have a unit (``500ms``, ``30m``, ``7d``); sizes are bytes, or have one (``500MB``,
    ``2GiB``). In a path, ``%3F`` is a ``?`` and ``%25`` a ``%``.

    Args:
        url: Which store, and its options.
        retention: What is kept, if the URL does not say; by default everything.
        sync: "none", "interval" or "always", if the URL does not say; by default "interval".
        lock_timeout: Seconds that a call waits for others, or a duration such as "500ms", if the
            URL does not say; by default 5.
        must_exist: Refuse a store that is not there yet.

    Raises:
        StoreURLError: for an unknown scheme or option, a bad value, or one given twice.
        StoreNotFoundError: if the store *must_exist* and does not.
        StoreIOError: if the path is a directory or not a regular file, or the server cannot be
            reached or used.
        ModuleNotFoundError: if this kind of store needs an extra that is not installed.
    """
    kind, path, options, shown = _parse(url)
    for name, value in (("sync", sync), ("lock_timeout", _seconds(shown, lock_timeout))):
        if value is not None:
            if name in options:
                raise StoreURLError(
                    f"{shown}: {name} is given in the URL and beside it; say it once"
                )
            options[name] = value
    limits = {name: options.pop(name) for name in _RETENTION if name in options}
    if limits and retention is not None:
        raise StoreURLError(f"{shown}: a retention is given in the URL and beside it; say it once")
    if kind.place == "server":
        options["must_exist"] = must_exist
    elif must_exist:
        _check_there(kind, path)
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


def _retention(limits: dict[str, Any]) -> "Retention":
    from papyra.retention import Retention  # noqa: PLC0415  who only wants counters has none

    return Retention(**limits)


def _seconds(shown: str, lock_timeout: float | str | None) -> float | None:
    """Return *lock_timeout* in seconds."""
    if not isinstance(lock_timeout, str):
        return lock_timeout
    seconds: float = _value(shown, "lock_timeout", duration, lock_timeout)
    return seconds


def _of_layout(kind: _Kind, shown: str, layout: str) -> _Kind:
    """Return the kind of store that has *layout*: papyra's own is never named."""
    if layout != "0.3.0":
        raise StoreURLError(f"{shown}: layout must be 0.3.0, the only other one")
    load("legacy_streams")  # which says what is missing, if it is
    return kind._replace(module="papyra.backends.redis.legacy_streams", store="OriginalStreams")


def _check_there(kind: _Kind, path: str) -> None:
    if not kind.place:
        raise StoreNotFoundError("memory:", "a store in memory lives in its own process alone")
    layout = Layout(path)
    if not layout.exists():
        raise _not_found(layout)


def _not_found(layout: Layout) -> StoreNotFoundError:
    if os.path.isdir(layout.directory):
        return StoreNotFoundError(layout.path)
    return StoreNotFoundError(
        layout.path, "no such store, and no directory for one; correct the path"
    )


def open_counters(url: str) -> "CounterSource":
    """
    Return the counters of the store that *url* names, as its programs publish them.

    Args:
        url: As for `open_store`; an option that the counters do not need is checked and not used.

    Raises:
        StoreURLError: as `open_store`.
        StoreNotFoundError: if neither the store nor published counters of it are there.
        NotPublishedError: if this kind of store publishes none.
        ModuleNotFoundError: if this kind of store needs an extra that is not installed.
    """
    kind, path, options, shown = _parse(url)
    if "layout" in options:
        raise NotPublishedError(f"{shown}: Papyra 0.3.0 published no counters")
    if kind.place == "server":
        return _shared_counters(shown, path, options)
    if not kind.place:
        raise NotPublishedError(
            f"{url}: a store in memory has its counters in its own process alone;"
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
    """What a URL is: its scheme, what follows it, its options, and what messages repeat of it."""

    kind: _Kind
    path: str
    options: dict[str, Any]
    shown: str


def _parse(url: str) -> _Parsed:
    """Return what *url* is; nothing of it is repeated as long as a password may stand anywhere in it."""
    if not isinstance(url, str):
        raise StoreURLError(f"a store URL is a string, as 'json:actors.ndjson'; got {type(url)}")
    scheme, colon, rest = url.partition(":")
    kind = _KINDS.get(scheme)
    if not colon or kind is None:
        raise StoreURLError(
            unknown_scheme(url, {name: kind.place for name, kind in _KINDS.items()})
        )
    path, _, query = rest.partition("?")
    if kind.place == "server":
        if "\0" in url:
            raise StoreURLError(f"{scheme}: a store URL has no NUL in it")
        return _server(kind, scheme, path, query)
    if is_server_address(rest, _unescape(path)):
        raise StoreURLError(
            f"{scheme}: a path follows it, not the address of a server; a Redis store's URL begins with"
            " redis://, rediss:// or unix://; write ./ before the name of a new file that has : and @ in it"
        )
    if "\0" in url:
        raise StoreURLError(f"{url!r}: a store URL has no NUL in it")
    if kind.place and not path:
        raise StoreURLError(f"{url}: a path is missing after {scheme}:")
    if not kind.place and path:
        raise StoreURLError(f"{scheme}: it has no path; leave out what follows the colon")
    shown = f"{scheme}:{path}"
    options = _options(shown, kind, query, secretly="@" in query)
    return _Parsed(kind, _unescape(path), options, shown)


def _server(kind: _Kind, scheme: str, path: str, query: str) -> _Parsed:
    """Return what a server's URL is; its address is parsed first, since only then it may be shown."""
    if "@" in query:  # a password with a "?" in it, most likely
        raise StoreURLError(f"{scheme}: write ? as %3F, and @ as %40")
    from papyra.backends.redis.address import address_of  # noqa: PLC0415  for a server alone

    options = _options(scheme, kind, query, secretly=True)
    try:
        shown = address_of(f"{scheme}:{path}").shown
    except ValueError as error:
        raise StoreURLError(f"{scheme}: {error}") from None
    return _Parsed(kind, f"{scheme}:{path}", options, shown)


def _options(shown: str, kind: _Kind, query: str, *, secretly: bool = False) -> dict[str, Any]:
    """Return the options of *query*; *secretly*, no message repeats what stands there."""
    known = {**_COMMON, **kind.options}
    options: dict[str, Any] = {}
    for item in query.split("&") if query else ():
        name, equals, value = item.partition("=")
        if name not in known:
            raise StoreURLError(f"{shown}: {_unknown_option(kind, name, secretly=secretly)}")
        if name in options:
            raise StoreURLError(f"{shown}: {name} is given twice")
        text = value if equals else ""
        options[name] = _value(shown, name, known[name], text, secretly=secretly)
    return options


def _unknown_option(kind: _Kind, name: str, *, secretly: bool) -> str:
    """Say what is wrong with an option *name* that *kind* does not have, and suggest one that it has."""
    known = {**_COMMON, **kind.options}
    others = [f"{scheme}:" for scheme, other in _KINDS.items() if name in other.options]
    if others:
        what = f"{name} is an option of {', '.join(others)} alone"
    else:
        what = "one of its options is not known" if secretly else f"{name!r:.80} is not an option"
    where = "; user and password stand before the host" if kind.place == "server" else ""
    hint = "" if others else did_you_mean(name, known)
    return f"{what}{where}; the options are {', '.join(known)}{hint}"


def _value(
    shown: str, name: str, read: Callable[[str], Any], text: str, *, secretly: bool = False
) -> Any:  # noqa: ANN401  of the option's type
    try:
        return read(text)
    except ValueError as error:
        got = "" if secretly else f", got {text!r:.80}"
        hint = _value_meant(read, text)
        raise StoreURLError(f"{shown}: {name} {error}{got}{hint}") from None


def _value_meant(read: Callable[[str], Any], text: str) -> str:
    """Suggest the value that *text* may stand for; "" if none is near."""
    return did_you_mean(text, _SYNCS) if read is _sync else ""


def _unescape(path: str) -> str:
    # In one pass: %253F is the text "%3F".
    pieces = path.replace("%3f", "%3F").split("%25")
    return "%".join(piece.replace("%3F", "?") for piece in pieces)
