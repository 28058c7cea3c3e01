"""Every operation of a store in a Redis server, interrupted where Python delivers a signal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from faults import redis_scratch
from faults.interrupt_points import every
from faults.interrupt_world import WORLDS, World
from faults.outcome import Outcome
from faults.outcome_log import made
from faults.scratch_stores import scratch
from redis.client import Redis


class RedisWorld(World):
    """A store of its own in a server that all worlds use."""

    #: Where the server listens; it has to be set.
    port: ClassVar[int] = 0
    can_undo = False

    def __init__(self, directory: Path) -> None:
        self._name = f"w{os.urandom(4).hex()}"
        super().__init__("redis", directory)

    def _url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0?name={self._name}&lock_timeout=0"

    def _ask(self, *words: str | bytes) -> Any:
        # Typed for every protocol at once: unions that say nothing.
        with Redis(port=self.port, protocol=2) as client:
            return client.execute_command(*words)

    def _key(self, what: str) -> str:
        return f"papyra:{{{self._name}}}:{what}"

    def _put(self, damage: bytes) -> None:
        self._ask("XADD", self._key("records"), "*", "line", damage.removesuffix(b"\n"))

    @property
    def data(self) -> bytes:
        return self._fields("records")

    @property
    def removed(self) -> bytes:
        return self._fields("quarantine")

    def _fields(self, what: str) -> bytes:
        entries = self._ask("XRANGE", self._key(what), "-", "+")
        return b"".join(field + b"\n" for _, fields in entries for field in fields.values())

    def left(self) -> str:
        claim = self._ask("HGET", self._key("writers"), "import")
        return "" if claim is None else f"an import keeps others out: {claim}"


WORLDS["redis"] = RedisWorld


@contextmanager
def serving(directory: Path) -> Iterator[None]:
    """
    Run a server for the worlds.

    redis-py parses what is known of its own package for each connection, to tell the server its version:
    thousands of points where nothing of a store is. They are left out.

    Raises:
        UnavailableError: where there is none.
    """
    version = mock.patch("redis.utils.get_lib_version", return_value="0")
    with redis_scratch.server(directory) as server, version:
        RedisWorld.port = server.port
        with RedisWorld(directory).open() as store:  # so that the server knows its scripts
            store.append(made("first", 0))
        yield


def run(*, long: bool) -> Outcome:
    """Interrupt every operation at each point, and at pairs of points."""
    with scratch() as directory, serving(directory):
        outcome_log, tried = every(("redis",), step=1 if long else 120)
    return outcome_log.outcome("Redis: interrupts", tried)
