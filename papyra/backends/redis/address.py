"""
Where a Redis store is: the server's address, and the keys that make up the store.

Nothing here connects, or needs redis-py. An address holds credentials; only `shown` is for people.
"""

import os
from typing import Final, NamedTuple

#: The schemes of an address.
SCHEMES: Final = ("redis", "rediss", "unix")
_PORT: Final = 6379
_FORM: Final = (
    "an address is redis://USER:PASSWORD@HOST:PORT/DB, with all nodes of a cluster as"
    " HOST:PORT,HOST:PORT, or unix:///PATH/TO/SOCKET; write what is no letter or digit in a user name"
    " or password as %XX"
)

#: A server's host and port; None is the one at a socket.
Node = tuple[str, int] | None


class Address(NamedTuple):
    """
    A server, or the nodes of a cluster, and one of the databases there.

    Attributes:
        url: For redis-py, of the first node, credentials included.
        nodes: Each of them; one unless it is a cluster.
        db: The database's number.
        shown: Without credentials.
        tls: Files of a TLS connection, by redis-py's names for them.
    """

    url: str
    nodes: tuple[Node, ...]
    db: int
    shown: str
    tls: dict[str, str]

    def __repr__(self) -> str:
        """Return what may be shown: a traceback with local variables shows this."""
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
    Return the address that *url* is.

    Args:
        url: Without a query: redis://, rediss:// (TLS) or unix://.
        db: The database, for unix:// alone, whose path is the socket's.
        ca: File of the certificates that vouch for the server; by default the system's.
        cert: File of a certificate that the server wants to see.
        key: File of its key, unless *cert* holds it, too.

    Raises:
        ValueError: if it is none. What stands in *url* is not repeated: it may be a password.
    """
    scheme, _, rest = url.partition("://")
    tls = _tls({"ca": ca, "cert": cert, "key": key}, scheme)
    credentials, at, place = rest.rpartition("@")
    if scheme not in SCHEMES or set(url) & set("?#") or set(credentials) & set("/@"):
        raise ValueError(_FORM)
    if scheme == "unix":
        if not place.startswith("/") or len(place) == 1:
            raise ValueError(_FORM)
        return Address(url, (None,), db or 0, f"unix://{place}", tls)
    hosts, _, number = place.partition("/")
    if number and not (number.isascii() and number.isdecimal()):
        raise ValueError(_FORM)
    if db is not None:
        raise ValueError(f"db is for unix: alone; write {scheme}://HOST:PORT/{db}")
    named = hosts.split(",")
    nodes = tuple(map(_node, named))
    shown = ",".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nodes
    )
    first = f"{scheme}://{credentials}{at}{named[0]}/{number}"
    return Address(first, nodes, int(number or 0), f"{scheme}://{shown}/{int(number or 0)}", tls)


def _node(text: str) -> tuple[str, int]:
    """Return the host and the port that *text* names."""
    try:
        # Here, since it costs a command on a store of files what all the rest of this does.
        from urllib.parse import urlsplit  # noqa: PLC0415

        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if not host or not host.isprintable() or " " in host:
        raise ValueError(_FORM)
    return host, _PORT if port is None else port


def _tls(files: dict[str, str | None], scheme: str) -> dict[str, str]:
    """Return the *files* that are given, by redis-py's names for them."""
    given = {name: path for name, path in files.items() if path is not None}
    if not given:
        return {}
    if scheme != "rediss":
        raise ValueError(f"{', '.join(given)}: for rediss:// alone, which is TLS")
    for name, path in given.items():
        if not os.path.isfile(path):
            raise ValueError(f"{name} is {path!r}: no such file")
    names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    return {names[name]: path for name, path in given.items()}


def without_credentials(url: str) -> str:
    """Return *url*, an address or an attempt at one, with nothing in it that may be secret."""
    before, at, rest = url.rpartition("@")
    scheme = before.partition(":")[0] + "://" if at else ""
    return scheme + rest.partition("?")[0]


def without_userinfo(url: str) -> str:
    """Return the URL of any store; the user name and password that a server's may have are not told."""
    place, mark, options = url.partition("?")
    scheme, slashes, rest = place.partition("://")
    userinfo, at, hosts = rest.rpartition("@")
    hidden = "USER:PASSWORD" if userinfo else ""
    return scheme + slashes + hidden + at + hosts + mark + options if slashes else url


class Keys:
    """
    The keys of one store. All have its NAME in braces, and so lie in one slot of a cluster.

    Attributes:
        prefix: What comes before NAME.
        name: NAME, which is also what exporters call the store.
        records: The stream.
        writers: A hash: the last number of each writer, and the counts that each object told.
        counters: A hash: the ten counters of all, and their baseline.
        quarantine: A stream: the entries that recoveries and compactions moved away.

    Raises:
        ValueError: for a *prefix* or *name* that is empty, or has a brace, a blank or a control
            character in it.
    """

    def __init__(self, prefix: str, name: str) -> None:
        for what, text in (("prefix", prefix), ("name", name)):
            fits = isinstance(text, str) and text.isprintable() and not set(text) & set("{} ")
            if not fits or not text:
                raise ValueError(
                    f"{what} is {text!r}: a text without blanks, braces and control characters is needed"
                )
        stem = f"{prefix}:{{{name}}}"
        self.prefix = prefix
        self.name = name
        self.records: str = f"{stem}:records"
        self.writers: str = f"{stem}:writers"
        self.counters: str = f"{stem}:counters"
        self.quarantine: str = f"{stem}:quarantine"
