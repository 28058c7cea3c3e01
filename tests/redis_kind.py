"""A store in a real Redis server, opened and damaged like the other kinds of `stores`."""

import os
from typing import Any

import redis
from stores import Kind

from papyra import PersistenceBackend
from papyra.backends.redis import RedisBackend
from servers import Server


class Redis(Kind):
    """A RedisBackend whose name nobody else on the server has."""

    name = "redis"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.store_name = f"t{os.urandom(4).hex()}"
        self.address = f"redis://127.0.0.1:{server.port}/0"
        # redis-py types replies for every protocol and decoding at once: unions that say nothing.
        self.client: Any = redis.Redis(port=server.port, protocol=2)

    @property
    def url(self) -> str:
        """The URL that names the store."""
        return f"{self.address}?name={self.store_name}"

    def key(self, what: str) -> str:
        """Return one of the store's keys."""
        return f"papyra:{{{self.store_name}}}:{what}"

    def open(self, **options: Any) -> RedisBackend:
        return RedisBackend(self.address, **{"name": self.store_name} | options)

    def put(self, store: PersistenceBackend, data: bytes) -> None:
        for line in data.splitlines():
            self.put_entry({"line": line})

    def put_entry(self, fields: dict[str, bytes]) -> str:
        """Add an entry of any fields, as a stranger would, and return its id."""
        words = [word for pair in fields.items() for word in pair]
        return str(self.client.execute_command("XADD", self.key("records"), "*", *words), "ascii")

    def stored(self) -> int:
        """Return the number of entries."""
        return int(self.client.xlen(self.key("records")))

    def remove(self) -> None:
        """Remove the store, and let go of the server."""
        self.client.delete(*map(self.key, ("records", "writers", "counters", "quarantine")))
        self.client.close()
