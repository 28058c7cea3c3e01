"""
Where a Redis store is: the server's address, and the keys that make up the store.

Nothing here connects, or needs redis-py. An address holds credentials; only `shown` is for people.
"""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

#: The schemes of an address.
SCHEMES: Final = ("redis", "rediss", "unix")
_PORT: Final = 6379
_FORM: Final = (
    "an address is redis://USER:PASSWORD@HOST:PORT/DB, or unix:///PATH/TO/SOCKET; write what is no"
    " letter or digit in a user name or password as %XX"
)


class Address(NamedTuple):
    """
    A server and one of its databases.

    Attributes:
        url: For redis-py, credentials included.
        db: The database's number.
        shown: Without credentials.
    """

    url: str
    db: int
    shown: str


def address_of(url: str, db: int | None = None) -> Address:
    """
    Return the address that *url* is.

    Args:
        url: Without a query: redis://, rediss:// (TLS) or unix://.
        db: The database, for unix:// alone, whose path is the socket's.

    Raises:
        ValueError: if it is none. What stands in *url* is not repeated: it may be a password.
    """
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    path = parts.path
    if scheme not in SCHEMES or not parts.scheme or "@" in path or "?" in url or "#" in url:
        raise ValueError(_FORM)
    if scheme == "unix":
        if len(path) <= 1 or host:
            raise ValueError(_FORM)
        return Address(url, db or 0, f"unix://{path}")
    number = path.removeprefix("/")
    if not host or (number and not (number.isascii() and number.isdecimal())):
        raise ValueError(_FORM)
    if db is not None:
        raise ValueError(f"db is for unix: alone; write {scheme}://HOST:PORT/{db}")
    shown = f"[{host}]" if ":" in host else host
    return Address(url, int(number or 0), f"{scheme}://{shown}:{port or _PORT}/{int(number or 0)}")


def without_credentials(url: str) -> str:
    """Return *url*, an address or an attempt at one, with nothing in it that may be secret."""
    before, at, rest = url.rpartition("@")
    scheme = before.partition(":")[0] + "://" if at else ""
    return scheme + rest.partition("?")[0]


class Keys:
    """
    The keys of one store. All have its NAME in braces, and so lie in one slot of a cluster.

    Attributes:
        records: The stream.
        writers: A hash: the last number of each writer, and the counts that each object told.
        counters: A hash: the ten counters of all, and their baseline.
        quarantine: A stream: the entries that recoveries and compactions moved away.

    Raises:
        ValueError: for a *prefix* or *name* with a brace, a blank or a control character in it.
    """

    def __init__(self, prefix: str, name: str) -> None:
        for what, text in (("prefix", prefix), ("name", name)):
            fits = isinstance(text, str) and text.isprintable() and not set(text) & set("{} ")
            if not fits or not text:
                raise ValueError(f"{what} is {text!r}: no blank, brace or control character in it")
        stem = f"{prefix}:{{{name}}}"
        self.prefix = prefix
        self.records = f"{stem}:records"
        self.writers = f"{stem}:writers"
        self.counters = f"{stem}:counters"
        self.quarantine = f"{stem}:quarantine"
