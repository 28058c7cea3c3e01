"""Keep the connections to the servers of a store, and remember which server has it."""

from collections import deque
from contextlib import suppress
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from papyra.backends.redis.address import Address, Node

#: The share of the timeout that one try waits for a connection, and again for a reply.
_TRY: Final = 1 / 3
_CLASSES: Final[dict[str, Any]] = {
    "redis": redis.Connection,
    "rediss": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}


def _driver() -> dict[str, Any]:
    """Return the information about itself that redis-py sends to a server."""
    try:
        from redis.driver_info import DriverInfo  # noqa: PLC0415  older versions do not have it
    except ImportError:  # Such a version reads its own version number once.
        return {}
    return {"driver_info": DriverInfo()}


#: Otherwise redis-py parses its package's metadata for each connection, which takes four fifths of its time.
_DRIVER: Final = _driver()


class Nodes:
    """
    Connections for any number of threads; one thread at a time uses a connection.

    No pool counts them, because an interrupt between taking one and giving it back would make the count
    wrong for good. The garbage collector closes a connection that is lost that way.

    Args:
        address: The nodes among which the store is found; each node of a cluster leads to it.
        timeout: Seconds allowed for an exchange.

    Attributes:
        home: The node that has the store, as far as is known.
    """

    def __init__(self, address: Address, *, timeout: float) -> None:
        self._class = _CLASSES[address.scheme]
        # No URL is given to redis-py, because its parser would repeat a part that it rejects.
        self._arguments: dict[str, Any] = {
            "db": address.db,
            "username": address.credentials.username,
            "password": address.credentials.password,
            "protocol": 2,
            "decode_responses": False,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": timeout * _TRY,
            "socket_connect_timeout": timeout * _TRY,
            **_DRIVER,
            **address.tls,
        }
        # Otherwise redis-py 5 would accept the certificate of any host.
        if address.scheme == "rediss":
            self._arguments["ssl_check_hostname"] = True
        if address.path:
            self._arguments["path"] = address.path
        self._others = deque(address.nodes)
        self.home = self._others[0]
        self._idle: dict[Node, deque[Any]] = {}

    def leave(self, node: Node) -> None:
        """Try another node next, because *node* did not answer, or takes no writes."""
        if self.home == node:  # Otherwise another thread left it before.
            self._others.rotate(-1)
            self.home = self._others[0]

    def take(self, node: Node) -> Any:  # noqa: ANN401  one of redis-py's kinds
        """Return a connection to *node* that no other thread uses, and that the server has not closed."""
        idle = self._idle.setdefault(node, deque())
        while idle:
            with suppress(IndexError, RedisError):  # Another thread took it.
                connection = idle.pop()
                if not connection.can_read():  # It is not closed, and holds no late reply.
                    return connection
                connection.disconnect()
        where = {} if node is None else {"host": node[0], "port": node[1]}
        connection = self._class(**self._arguments | where)
        connection.connect()
        return connection

    def give(self, node: Node, connection: Any) -> None:  # noqa: ANN401  the same
        """Put back a connection whose last reply was read."""
        self._idle[node].append(connection)

    def close(self) -> None:
        """Close all connections that are not in use."""
        for idle in self._idle.values():
            while idle:
                with suppress(IndexError):
                    idle.pop().disconnect()

    def abandon(self) -> None:
        """Forget the connections in a child process; those of the parent stay open."""
        self._idle = {}
