"""Store records in a Redis stream: `RedisBackend`, which `papyra.open_store` returns for redis://."""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple

from papyra.backend import PersistenceBackend
from papyra.backends.redis.address import Keys, address_of
from papyra.backends.redis.client import Link, Message
from papyra.backends.redis.forgetting import forget
from papyra.backends.redis.import_lease import Claim
from papyra.backends.redis.quarantine import NO_WAY_BACK, saved
from papyra.backends.redis.rewrite import rewrite
from papyra.backends.redis.scripts.append import APPEND, HAD, STORED, TAKEN_IN
from papyra.backends.redis.shared_counters import CounterReports, Report
from papyra.backends.redis.startup_check import look
from papyra.backends.redis.stream import Entries, lines
from papyra.errors import (
    PapyraError,
    RecordError,
    StoreIOError,
    UnsupportedError,
    WriteOutcomeUnknownError,
)
from papyra.metrics.persistence import WRITTEN
from papyra.primitives import Sync
from papyra.reading.keep import RewriteFilter
from papyra.reading.scanner import Line, View
from papyra.reports import Anomaly, Quarantined, Rewritten
from papyra.retention import Retention
from papyra.system.log import warn

#: Seconds after which a compaction forgets a writer. A batch of that writer could then be stored twice.
_FORGOTTEN: Final = 7 * 86400
#: Seconds after which a batch cannot be sent again: a day less, because clocks differ.
_TOO_OLD: Final = 6 * 86400
#: The most bytes of a batch; a server closes a connection that sends a gigabyte.
_MOST: Final = 256 * 1024 * 1024
#: The most records of a batch; Redis 6.2 takes 1,048,576 words in a command.
_MOST_RECORDS: Final = 1_000_000


#: Writer ids that are tried for one batch.
_MOST_BEGUN: Final = 3


class _Flight(NamedTuple):
    """A batch under way: its message, the value of `_stored` once it is stored, and its report."""

    message: Message
    stored: int
    writer: str
    first: int
    lines: Sequence[bytes]
    report: Report


class RedisBackend(PersistenceBackend):
    """
    Keep records in one stream, for any number of processes and hosts.

    Its key is ``PREFIX:{NAME}:records``; each entry holds one line in the field ``line``. One script writes
    a batch, whole or not at all. A batch whose reply is lost is sent again. The server remembers the last
    number of each writer, so it stores nothing twice.

    Args:
        url: redis://USER:PASSWORD@HOST:PORT/DB, rediss:// (TLS) or unix:///PATH/TO/SOCKET; for a
            cluster, as many nodes as are known: redis://HOST:PORT,HOST:PORT.
        name: The name of the store among those on the server.
        prefix: The text with which the keys of all stores begin.
        db: The database, for unix:// alone.
        ca: For rediss://, the file of the certificates that vouch for the server; by default the
            system's.
        cert: For rediss://, the file of a certificate that the server wants to see.
        key: The file of its key, unless *cert* holds the key too.
        retention: What is kept; by default everything.
        sync: The server alone decides how safe an acknowledged record is (``appendfsync``). So "always"
            is refused, because this side could not keep it.
        lock_timeout: Seconds that a call waits for other threads.
        timeout: Seconds after which an exchange with the server is not tried again. One try waits a
            third of them for a connection, and a third for a reply.
        must_exist: Refuse a store that does not exist yet.

    Raises:
        ValueError: if an argument is not valid.
        StoreIOError: if the server cannot be reached, refuses this user or is too old, or if one of the
            keys holds something else.
        StoreNotFoundError: if *must_exist* is true and the store does not exist.
    """

    __module__ = "papyra.backends.redis"

    kind = "redis"
    survives_fork = False

    def __init__(  # noqa: PLR0913  each is an option of the URL
        self,
        url: str,
        *,
        name: str = "local",
        prefix: str = "papyra",
        db: int | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
        timeout: float = 5.0,
        must_exist: bool = False,
    ) -> None:
        super().__init__(retention=retention, sync=sync, lock_timeout=lock_timeout)
        if sync == "always":
            raise ValueError(
                "sync must be 'none' or 'interval', got 'always': a Redis server syncs as its appendfsync"
                " says; set that instead"
            )
        keys = Keys(prefix, name)
        self.name = name
        self.source: str = keys.records
        self._reports = CounterReports(self.metrics)
        self._link = Link(address_of(url, db=db, ca=ca, cert=cert, key=key), keys, timeout=timeout)
        for warning in look(self._link, must_exist=must_exist):
            warn("%s: %s", self.source, warning)

    # How many writer ids were given up one after the other.
    _begun = 0

    # The batch whose outcome is not known yet.
    _in_air: _Flight | None = None

    def _append(
        self,
        lines: Sequence[bytes],
        *,
        deadline: float,  # noqa: ARG002  no other process can hold it
        may_wait: bool,  # noqa: ARG002  it always waits for the server
    ) -> list[Anomaly]:
        size = sum(map(len, lines))
        if size > _MOST:
            raise RecordError(
                "records",
                f"a batch must have at most {_MOST:,} bytes, got {size:,}; append fewer at once",
            )
        if len(lines) > _MOST_RECORDS:
            raise RecordError(
                "records",
                f"a batch must have at most {_MOST_RECORDS:,} records, got {len(lines):,};"
                " append fewer at once",
            )
        flight = self._flight(self._queue.writer, self._stored + 1, lines)
        self._in_air = flight
        self._land(flight)
        return []

    def _flight(self, writer: str, first: int, lines: Sequence[bytes]) -> _Flight:
        report, count = self._reports.report(), len(lines)
        bare = [line[:-1] for line in lines]
        last = first + count - 1
        message = self._link.message(APPEND, writer, last, report.object, report.text, *bare)
        return _Flight(message, self._stored + count, writer, first, lines, report)

    def _land(self, flight: _Flight) -> None:
        """
        Store the batch that is under way.

        If the numbers of the batch belong to other records, nothing is stored, and this writer ends. Then a
        second image of the process writes under the same id, such as a snapshot that was started twice.

        Raises:
            StoreIOError: if the batch was not stored.
            WriteOutcomeUnknownError: if it is not known whether the batch was stored.
        """
        try:
            outcome = self._link.deliver(flight.message)
        except StoreIOError as error:
            if flight.message.doubtful:
                raise self._lost(flight, error) from error
            self._in_air = None
            raise
        # If the batch was never sent before, the records that the server has are another's.
        if not outcome & (STORED | HAD if flight.message.was_doubtful else STORED):
            self._begin_anew()
            return
        self._stored = flight.stored
        self._in_air = None
        self._begun = 0
        if outcome & TAKEN_IN:
            self._reports.note(flight.report)

    def _begin_anew(self) -> None:
        """
        Take another writer id, because the numbers of this one belong to other records.

        Raises:
            StoreIOError: if new ids did not help, although no other writer has them.
        """
        self._queue.writer = os.urandom(8).hex()
        self._reports.rename()
        self._in_air = None
        self._begun += 1
        if self._begun > _MOST_BEGUN:
            self._begun = 0
            raise StoreIOError(
                None,
                f"{self._link.address.shown}: the server says that it has records that were never sent"
                " before; nothing was stored; check which program answers at this address",
                self.source,
            )

    def _resolve(self) -> int:
        # An interrupt (Ctrl-C) may have left a batch under way. Sent once more, it is stored once.
        flight = self._in_air
        if flight is not None and not flight.message.doubtful:
            self._in_air = None
        elif flight is not None:
            try:
                self._land(flight)
            except PapyraError as error:
                self._queue.blame(error)
        return self._stored

    def _lost(self, flight: _Flight, error: StoreIOError) -> WriteOutcomeUnknownError:
        """Give *flight* up, and end this writer, because the numbers must not be used again."""
        self._queue.writer = os.urandom(8).hex()
        self._in_air = None
        return WriteOutcomeUnknownError(
            self.source,
            str(error.strerror),
            flight.writer,
            flight.first,
            tuple(flight.lines),
            time.time(),
        )

    def _send_again(self, error: WriteOutcomeUnknownError) -> None:
        # Under its old numbers, because the server passes over those that it has.
        if time.time() - error.time > _TOO_OLD:
            raise UnsupportedError(
                f"{self.source}: the batch is too old to be sent again: the server may have"
                " forgotten its writer; look for its ids, and append what is missing"
            )
        flight = self._flight(error.writer, error.first, error.lines)
        try:
            outcome = self._link.deliver(flight.message)
        except StoreIOError as refused:
            raise error from refused  # The same error again: a second one for a batch would be counted again.
        if not outcome & (STORED | HAD):
            raise UnsupportedError(
                f"{self.source}: the batch was not stored, and its ids belong to other records, because a"
                " second image of its process wrote under the same writer; append its records anew"
            )
        if outcome & TAKEN_IN:
            self._reports.note(flight.report)
        if not error.resent:
            stored, cells = flight.stored, self.metrics._cells
            # No call comes between these, so an interrupt strikes before all or after all, and so does a second one.
            error.resent = True
            self._stored = stored
            cells[WRITTEN] = stored

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        return lines(self._link, newest_first=newest_first)

    def _view(self) -> AbstractContextManager[View]:
        return nullcontext(Entries(self._link))

    def _check(self) -> tuple[()]:
        return ()

    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten:
        return rewrite(self._link, rewrite_filter)

    def _trim(self, excess: Collection[str]) -> dict[str, int]:  # noqa: ARG002  a stream has no such bound
        forget(self._link, _FORGOTTEN)
        return {}

    def _maintained(self) -> AbstractContextManager[Callable[[], None]]:
        return Claim(self._link)

    def _is_same(self, other: object) -> bool:
        return (
            isinstance(other, RedisBackend)
            and other.source == self.source
            and set(other._link.address.nodes) & set(self._link.address.nodes) != set()
            and other._link.address[2:4] == self._link.address[2:4]
        )

    def _quarantined(self) -> Iterator[Quarantined]:
        return saved(self._link)

    def _undo(self, id_: str, *, dry_run: bool) -> int:  # noqa: ARG002  none can be undone
        raise UnsupportedError(
            f"{self.source}: {NO_WAY_BACK.format(key=self._link.keys.quarantine)}"
        )

    def _share_counts(self) -> None:
        if not self._closed and not self._forked:
            self._reports.send(self._link)

    def _close(self) -> None:
        if not self._forked:
            self._reports.send(self._link)
            self._link.close()

    def _let_go_in_child(self) -> None:
        self._in_air = None
        # It is missing in a store whose constructor failed, or was still running.
        link: Link | None = getattr(self, "_link", None)
        if link is not None:
            link.abandon()
