"""The three streams that Papyra 0.3.0 kept of a system, read as one: a source to import from."""

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
#: The one field of 0.3.0's entries.
_FIELD: Final = b"data"


class _Stream(Keys):
    """The key of one of the streams, where a store of papyra's has its own."""

    def __init__(self, prefix: str, name: str, stream: str) -> None:
        super().__init__(prefix, name)
        self.records = f"{prefix}:{name}:{stream}"


class OriginalStreams(PersistenceBackend):
    """
    What 0.3.0 wrote to Redis, in the order in which the server took it; nothing in it is changed.

    Args:
        url: As that of a `RedisBackend`.
        name: The system's id.
        prefix: What 0.3.0 was told to begin its keys with.
        timeout: Seconds after which an exchange with the server is not tried again.
        options: Others of a `RedisBackend`; *must_exist* is always so.

    Raises:
        ValueError: for an argument that makes no sense.
        StoreIOError: if the server is not to be reached, or refuses this user.
        StoreNotFoundError: if no stream is there.
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
        **options: Any,  # noqa: ANN401  as a RedisBackend has them
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
            raise StoreNotFoundError(f"{self.source}:events", "Papyra 0.3.0 wrote none there")

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        # Of equal ids the streams' own order decides, in both directions.
        links = reversed(self._links) if newest_first else self._links
        streams = [lines(link, newest_first=newest_first, field=_FIELD) for link in links]
        merged = merge(*streams, key=_moment, reverse=newest_first)
        with closing(merged):
            yield from merged

    def _refuse(self) -> NoReturn:
        raise UnsupportedError(
            f"{self.source}: 0.3.0's streams are only read; import them into a store"
        )

    def _append(self, lines: Sequence[bytes], *, deadline: float) -> list[Anomaly]:  # noqa: ARG002
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
    """Return the id of the line's entry as numbers: the server's time, and a number."""
    milliseconds, _, number = str(line[0][1]).partition("-")
    return int(milliseconds), int(number)
