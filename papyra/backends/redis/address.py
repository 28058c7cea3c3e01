"""
Parse the address of a server, and name the keys that make up a store.

Nothing here connects, or needs redis-py. No other parser sees a URL, because it might repeat a part that it
rejects. Here no message repeats a URL that cannot be parsed, or a part of it, because a password may be anywhere
in it.
"""

import os
import re
from typing import Final, NamedTuple

from papyra.backends.redis.credentials import Credentials, decoded

#: The schemes of an address.
SCHEMES: Final = ("redis", "rediss", "unix")
_PORT: Final = 6379
_HIGHEST_PORT: Final = 65_535
_FORM: Final = (
    "an address must be redis://USER:PASSWORD@HOST:PORT/DB, with all nodes of a cluster as"
    " HOST:PORT,HOST:PORT, or unix:///PATH/TO/SOCKET"
)
_BRACKETED: Final = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\](?::([0-9]{0,5}))?")
_NAMED: Final = re.compile(r"([\w.-]+)(?::([0-9]{0,5}))?")
_DB: Final = re.compile(r"[0-9]{0,9}")
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")

#: A server's host and port; None is the one at a socket.
Node = tuple[str, int] | None


class Address(NamedTuple):
    """
    A server, or the nodes of a cluster, and one of the databases there.

    Attributes:
        scheme: redis, rediss or unix.
        nodes: Host and port of each server; there is one, unless it is a cluster.
        path: The path of the socket, or "".
        db: The number of the database.
        credentials: The user name and the password.
        shown: The address without credentials.
        tls: The files of a TLS connection, by redis-py's names for them.
    """

    scheme: str
    nodes: tuple[Node, ...]
    path: str
    db: int
    credentials: Credentials
    shown: str
    tls: dict[str, str]

    def __repr__(self) -> str:
        """Return the address without credentials, because a traceback with local variables shows this."""
        return f"<Address {self.shown}>"


def address_of(
    url: str,
    *,
    db: int | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
) -> Address:
    """
    Parse *url*, the address of a server.

    Args:
        url: redis://, rediss:// (TLS) or unix://, without a query.
        db: The database, for unix:// alone, where the URL's path is the socket's.
        ca: The file of the certificates that vouch for the server; by default the system's.
        cert: The file of a certificate that the server wants to see.
        key: The file of its key, unless *cert* holds the key too.

    Raises:
        ValueError: if *url* is not valid. The message does not repeat it, because it may hold a password.
    """
    scheme, slashes, rest = url.partition("://")
    if scheme not in SCHEMES or not slashes:
        raise ValueError(_FORM)
    tls = _tls({"ca": ca, "cert": cert, "key": key}, scheme)
    userinfo, _, place = rest.rpartition("@")
    credentials = Credentials.of(userinfo)
    if set(place) & set("?#"):
        raise ValueError(f"{_FORM}; write ? as %3F, and # as %23")
    if scheme == "unix":
        path = decoded(place)
        if not place.startswith("/") or len(place) == 1 or path is None or "\0" in path:
            raise ValueError(_FORM)
        return Address(scheme, (None,), path, db or 0, credentials, f"unix://{place}", tls)
    hosts, _, number = place.partition("/")
    if not _DB.fullmatch(number):
        raise ValueError(f"the database must be a number of at most 9 digits; {_FORM}")
    if db is not None:
        raise ValueError(f"db is an option of unix: alone; write {scheme}://HOST:PORT/{db}")
    nodes = tuple(map(_node, hosts.split(",")))
    shown = ",".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nodes
    )
    in_db = int(number or 0)
    return Address(scheme, nodes, "", in_db, credentials, f"{scheme}://{shown}/{in_db}", tls)


def _node(text: str) -> tuple[str, int]:
    """Parse HOST:PORT."""
    named = _BRACKETED.fullmatch(text)
    if named is None:
        named = _NAMED.fullmatch(text)
        is_one = named is not None and _is_host(named[1])
    else:
        is_one = _is_ipv6(named[1].partition("%")[0])
    if named is None or not is_one:
        raise ValueError(_FORM)
    if int(named[2] or 0) > _HIGHEST_PORT:
        raise ValueError(f"a port must be a number up to {_HIGHEST_PORT}; {_FORM}")
    return named[1].lower(), int(named[2]) if named[2] else _PORT


def _is_host(name: str) -> bool:
    """Tell whether *name* is one that a resolver takes."""
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return False
    return all(map(_LABEL.fullmatch, name.removesuffix(".").split(".")))


def _is_ipv6(text: str) -> bool:
    import socket  # noqa: PLC0415  a command on a store of files does without it

    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def _tls(files: dict[str, str | None], scheme: str) -> dict[str, str]:
    """Return the *files* that are given, by redis-py's names for them."""
    given = {name: path for name, path in files.items() if path is not None}
    if not given:
        return {}
    if scheme != "rediss":
        raise ValueError(
            f"{', '.join(given)}: only rediss://, which is TLS, takes such a file; leave it out"
        )
    for name, path in given.items():
        if not os.path.isfile(path):
            raise ValueError(f"{name} must be the path of a file that exists; correct the path")
    names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    return {names[name]: path for name, path in given.items()}


def without_userinfo(url: str) -> str:
    """Return *url*, of any store, with USER:PASSWORD in place of a user name and password."""
    place, mark, options = url.partition("?")
    scheme, slashes, rest = place.partition("://")
    userinfo, at, hosts = rest.rpartition("@")
    hidden = "USER:PASSWORD" if userinfo else ""
    return scheme + slashes + hidden + at + hosts + mark + options if slashes else url


class Keys:
    """
    The keys of one store. Each has its NAME in braces, so all are in one slot of a cluster.

    Attributes:
        prefix: The part before NAME.
        name: NAME, by which exporters also call the store.
        records: The stream.
        writers: A hash: the last number of each writer, and the counts that each store object reported.
        counters: A hash: the ten counters of all store objects, and their baseline.
        quarantine: A stream: the entries that recoveries and compactions moved away.

    Raises:
        ValueError: if *prefix* or *name* is empty, or has a brace, a blank or a control character in it.
    """

    def __init__(self, prefix: str, name: str) -> None:
        for what, text in (("prefix", prefix), ("name", name)):
            fits = isinstance(text, str) and text.isprintable() and not set(text) & set("{} ")
            if not fits or not text:
                # It is not repeated, because of a mistyped URL it may be a part of the password.
                raise ValueError(
                    f"{what} must be text without blanks, braces and control characters, and not empty"
                )
        stem = f"{prefix}:{{{name}}}"
        self.prefix = prefix
        self.name = name
        self.records: str = f"{stem}:records"
        self.writers: str = f"{stem}:writers"
        self.counters: str = f"{stem}:counters"
        self.quarantine: str = f"{stem}:quarantine"
