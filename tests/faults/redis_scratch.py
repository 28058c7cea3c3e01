"""Redis servers to do harm to, and writers that do not give up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import redis
from faults.outcome import UnavailableError
from faults.outcome_log import OutcomeLog, made

from papyra import StoreIOError, WriteOutcomeUnknownError, open_counters
from papyra.backends.redis import RedisBackend
from servers import REDIS_SERVERS, Server, running_redis, wait_until

_SOURCE: Final = "debian"


@contextmanager
def server(directory: Path, *options: str, port: int = 0, keep: bool = False) -> Iterator[Server]:
    """Run a server, as `running_redis` does."""
    if REDIS_SERVERS[_SOURCE]() is None:
        raise UnavailableError("no redis-server: apt-get install redis-server")
    with running_redis(_SOURCE, directory, *options, port=port, keep=keep) as running:
        yield running


def admin(running: Server) -> Any:
    """Return a client that tells a server what to do; its replies have no useful types."""
    return redis.Redis(port=running.port, protocol=2)


class Insistent:
    """
    Threads that append to one store until all is stored, whatever comes in between.

    Attributes:
        acknowledged: Ids of records that are stored.
        refused: Calls that raised because nothing was stored.
        unknown: Calls that raised because nobody could say.
        calls: Calls that ended well.
    """

    def __init__(self, store: RedisBackend, threads: int = 3) -> None:
        self.acknowledged: set[str] = set()
        self.refused = self.unknown = self.calls = 0
        self._store = store
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(f"{store.name}.{n}",)) for n in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def advance(self, calls: int) -> None:
        """Return once so many *calls* more ended well."""
        enough = self.calls + calls
        wait_until(lambda: self.calls >= enough, 60)

    def _work(self, who: str) -> None:
        number = 0
        while not self._ending.is_set():
            records = [made(who, number + n) for n in range(2)]
            number += 2
            ids = self._insist(lambda records=records: self._store.append_many(records))  # type: ignore[misc]
            with self._lock:
                self.acknowledged.update(ids)
                self.calls += 1

    def _insist(self, do: Callable[[], list[str]]) -> list[str]:
        while True:
            try:
                return do()
            except WriteOutcomeUnknownError as error:
                with self._lock:
                    self.unknown += 1
                do = lambda error=error: self._store.resend(error)  # type: ignore[misc]  # noqa: E731
            except StoreIOError:
                with self._lock:
                    self.refused += 1

    def check(self, outcome_log: OutcomeLog) -> int:
        """Compare what is there with what was acknowledged; return the number of the latter."""
        store, acknowledged = self._store, len(self.acknowledged)
        outcome_log.check_records(store.read(strict=True), self.acknowledged)
        found = store.scan()
        outcome_log.expect("broken", f"{found}", holds=found.clean)
        mine = store.metrics.totals()
        shared = open_counters(f"{store._link.address.shown}?name={store.name}").read().snapshot()
        reported = f"{acknowledged}, {found.records}, {mine}, {shared}"
        counts = {mine["records_written"], shared["records_written"], found.records}
        outcome_log.expect("miscounted", reported, holds=counts == {acknowledged})
        errors = self.refused + self.unknown
        outcome_log.expect("miscounted", reported, holds=mine["write_errors"] == errors)
        return acknowledged
