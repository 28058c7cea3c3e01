"""Read the three streams that Papyra 0.3.0 kept of a system as one store, to import from."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from heapq import merge
from typing import Any, Final, NoReturn

from papyra.backend import PersistenceBackend
from papyra.backends.redis.address import Keys, address_of
from papyra.backends.redis.client import Link
from papyra.backends.redis.startup_check import check_nodes
from papyra.backends.redis.stream import lines
from papyra.errors import StoreNotFoundError, UnsupportedError
from papyra.reading.keep import RewriteFilter
from papyra.reading.scanner import Line
from papyra.reports import Anomaly
from papyra.retention import Retention

_STREAMS: Final = ("events", "audits", "dead_letters")
#: The only field of 0.3.0's entries.
_FIELD: Final = b"data"


class _Stream(Keys):
    """The keys of a store, with one of 0.3.0's streams in place of the records."""

    def __init__(self, prefix: str, name: str, stream: str) -> None:
        super().__init__(prefix, name)
        self.records = f"{prefix}:{name}:{stream}"


class OriginalStreams(PersistenceBackend):
    """
    Read the records that 0.3.0 wrote to Redis, in the order in which the server took them; change nothing.

    Args:
        url: The URL, as for `RedisBackend`.
        name: The system's id.
        prefix: The prefix of the keys that 0.3.0 was given.
        timeout: Seconds after which an exchange with the server is not tried again.
        options: The other options of a `RedisBackend`; *must_exist* is always true.

    Raises:
        ValueError: if an argument is not valid.
        StoreIOError: if the server cannot be reached, or refuses this user.
        StoreNotFoundError: if none of the streams exists.
    """

    kind = "redis"
    survives_fork = False

    def __init__(
        self,
        url: str,
        *,
        name: str = "local",
        prefix: str = "papyra",
        retention: Retention | None = None,
        timeout: float = 5.0,
        **options: Any,  # noqa: ANN401  those of a RedisBackend
    ) -> None:
        options.pop("must_exist", None)
        files = {option: options.pop(option, None) for option in ("db", "ca", "cert", "key")}
        super().__init__(retention=retention, **options)
        address = address_of(url, **files)
        self._prepared = False
        self.name = name
        self.source: str = f"{prefix}:{name}"
        self._links = [
            Link(address, _Stream(prefix, name, stream), timeout=timeout) for stream in _STREAMS
        ]
        check_nodes(self._links[0])
        if not any(link.ask("EXISTS", link.keys.records, patient=False) for link in self._links):
            raise StoreNotFoundError(
                f"{self.source}:events",
                "Papyra 0.3.0 wrote no stream there; correct name= or prefix=",
            )

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        # If two ids are equal, the order of the streams decides, in both directions.
        links = reversed(self._links) if newest_first else self._links
        streams = [lines(link, newest_first=newest_first, field=_FIELD) for link in links]
        merged = merge(*streams, key=_moment, reverse=newest_first)
        with closing(merged):
            yield from merged

    def _refuse(self) -> NoReturn:
        raise UnsupportedError(
            f"{self.source}: the streams of 0.3.0 cannot be written; import them into a store"
        )

    def _append(self, lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:  # noqa: ARG002
        self._refuse()

    def _rewrite(self, rewrite_filter: RewriteFilter) -> NoReturn:  # noqa: ARG002
        self._refuse()

    def _prepare(self) -> None:
        self._refuse()

    def _check(self) -> tuple[()]:
        return ()

    def _close(self) -> None:
        for link in self._links:
            if self._forked:
                link.abandon()
            else:
                link.close()


def _moment(line: Line) -> tuple[int, int]:
    """Return the id of the line's entry as two numbers: the server's time, and a counter."""
    milliseconds, _, number = str(line[0][1]).partition("-")
    return int(milliseconds), int(number)
