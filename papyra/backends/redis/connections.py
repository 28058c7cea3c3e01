"""Connections to the servers of a store, and which of these has it."""

from collections import deque
from contextlib import suppress
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from papyra.backends.redis.address import Address, Node

#: The share of the time allowed that one try waits for a connection, and for a reply.
_TRY: Final = 1 / 3
_CLASSES: Final[dict[str, Any]] = {
    "redis": redis.Connection,
    "rediss": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}


def _driver() -> dict[str, Any]:
    """Return what redis-py tells a server of itself, so that it does not look it up again."""
    try:
        from redis.driver_info import DriverInfo  # noqa: PLC0415  older ones have none
    except ImportError:  # they read their version once
        return {}
    return {"driver_info": DriverInfo()}


#: Otherwise redis-py parses its package's metadata for each connection: four fifths of what one costs.
_DRIVER: Final = _driver()


class Nodes:
    """
    Connections for any number of threads: one that is in use is in nobody else's hands.

    No pool counts them, since an interrupt between taking one and giving it back would make it
    count wrong for ever; one that is lost that way is closed by the garbage collector.

    Args:
        address: Its nodes are where the store is looked for; all of a cluster lead to the one.
        timeout: Seconds allowed for an exchange.

    Attributes:
        home: The node that is thought to have the store.
    """

    def __init__(self, address: Address, *, timeout: float) -> None:
        self._class = _CLASSES[address.scheme]
        # No URL: redis-py's parser repeats what it does not like.
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
        if address.scheme == "rediss":  # redis-py 5 would take anybody's certificate
            self._arguments["ssl_check_hostname"] = True
        if address.path:
            self._arguments["path"] = address.path
        self._others = deque(address.nodes)
        self.home = self._others[0]
        self._idle: dict[Node, deque[Any]] = {}

    def leave(self, node: Node) -> None:
        """Look for the store elsewhere: *node* did not answer, or takes no writes."""
        if self.home == node:  # else another thread has left it before
            self._others.rotate(-1)
            self.home = self._others[0]

    def take(self, node: Node) -> Any:  # noqa: ANN401  one of redis-py's kinds
        """Return a connection to *node* that nobody else uses, and that the server has not closed."""
        idle = self._idle.setdefault(node, deque())
        while idle:
            with suppress(IndexError, RedisError):  # another thread was faster
                connection = idle.pop()
                if not connection.can_read():  # nor left a reply in it
                    return connection
                connection.disconnect()
        where = {} if node is None else {"host": node[0], "port": node[1]}
        connection = self._class(**self._arguments | where)
        connection.connect()
        return connection

    def give(self, node: Node, connection: Any) -> None:  # noqa: ANN401  likewise
        """Put a connection back whose last reply was read."""
        self._idle[node].append(connection)

    def close(self) -> None:
        """Let go of all connections that nobody uses now."""
        for idle in self._idle.values():
            while idle:
                with suppress(IndexError):
                    idle.pop().disconnect()

    def abandon(self) -> None:
        """Forget the connections in a child process; the parent's stay as they are."""
        self._idle = {}
