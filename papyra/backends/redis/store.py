"""A store in a Redis stream."""

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

#: Seconds after which a compaction forgets a writer, and with it what must not be written twice.
_FORGOTTEN: Final = 7 * 86400
#: Seconds after which a batch cannot be sent again: a day less, since clocks differ.
_TOO_OLD: Final = 6 * 86400
#: The most bytes of one batch; servers close a connection that sends a gigabyte.
_MOST: Final = 256 * 1024 * 1024
#: The most records of one batch; Redis 6.2 takes 1,048,576 words a command.
_MOST_RECORDS: Final = 1_000_000


#: Writer ids that are tried for one batch.
_MOST_BEGUN: Final = 3


class _Flight(NamedTuple):
    """A batch under way: its message, what `_stored` is once it is there, and what it tells."""

    message: Message
    stored: int
    writer: str
    first: int
    lines: Sequence[bytes]
    report: Report


class RedisBackend(PersistenceBackend):
    """
    A stream, for any number of processes and hosts.

    Its key is ``PREFIX:{NAME}:records``; each entry holds one line in the field ``line``. A batch
    is written by one script, whole or not at all, and sent again if its reply is lost: the server
    remembers each writer's last number, so nothing is stored twice.

    Args:
        url: redis://USER:PASSWORD@HOST:PORT/DB, rediss:// (TLS) or unix:///PATH/TO/SOCKET; of a
            cluster, as many nodes as are known, as redis://HOST:PORT,HOST:PORT.
        name: Which store it is, among those on the server.
        prefix: What the keys of all stores begin with.
        db: The database, for unix:// alone.
        ca: For rediss://, the file of the certificates that vouch for the server; by default the
            system's.
        cert: For rediss://, the file of a certificate that the server wants to see.
        key: The file of its key, unless *cert* holds it, too.
        retention: What is kept; by default everything.
        sync: How safe a record is that was acknowledged is the server's own to decide
            (``appendfsync``), so "always" is refused: nothing on this side could keep it.
        lock_timeout: Seconds that a call waits for other threads.
        timeout: Seconds after which an exchange with the server is not tried again; one try waits a
            third of them for a connection, and for a reply.
        must_exist: Refuse a store that is not there yet.

    Raises:
        ValueError: for an argument that makes no sense.
        StoreIOError: if the server is not to be reached, refuses this user, is too old, or has
            something else under one of the keys.
        StoreNotFoundError: if the store *must_exist* and does not.
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
                "sync is 'always': a Redis server syncs as its appendfsync says; set it there"
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

    def _append(self, lines: Sequence[bytes], *, deadline: float) -> list[Anomaly]:  # noqa: ARG002  nobody else can hold it
        size = sum(map(len, lines))
        if size > _MOST:
            raise RecordError("records", f"{size} bytes in one batch; {_MOST} are the most")
        if len(lines) > _MOST_RECORDS:
            raise RecordError(
                "records", f"{len(lines)} of them in one batch; {_MOST_RECORDS} are the most"
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
        Have what is in the air stored.

        If the numbers of the batch are those of other records, nothing is, and this writer ends: a
        second image of the process writes under the same one (a snapshot that was started twice).

        Raises:
            StoreIOError: if it was not.
            WriteOutcomeUnknownError: if nobody can say.
        """
        try:
            outcome = self._link.deliver(flight.message)
        except StoreIOError as error:
            if flight.message.doubtful:
                raise self._lost(flight, error) from error
            self._in_air = None
            raise
        # "I have it" to what was never sent before is said of another's records.
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
        Take another writer id, since the numbers of this one are those of other records.

        Raises:
            StoreIOError: if that did not help: a new id is nobody else's.
        """
        self._queue.writer = os.urandom(8).hex()
        self._reports.rename()
        self._in_air = None
        self._begun += 1
        if self._begun > _MOST_BEGUN:
            self._begun = 0
            raise StoreIOError(
                None,
                f"{self._link.address.shown}: it says of records that nobody sent before that it has"
                " them; nothing was stored; look at what answers there",
                self.source,
            )

    def _resolve(self) -> int:
        # An interrupt (Ctrl-C) may have left a batch in the air: sent once more, it is stored once.
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
        """Give *flight* up: its numbers must not come again, so this writer ends."""
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
        # Under its old numbers: the server passes over those that it has.
        if time.time() - error.time > _TOO_OLD:
            raise UnsupportedError(
                f"{self.source}: the batch is too old to be sent again: the server may have"
                " forgotten its writer; look for its ids, and append what is missing"
            )
        flight = self._flight(error.writer, error.first, error.lines)
        try:
            outcome = self._link.deliver(flight.message)
        except StoreIOError as refused:
            raise error from refused  # itself: a second error for one batch would be counted again
        if not outcome & (STORED | HAD):
            raise UnsupportedError(
                f"{self.source}: the batch was not stored, and its ids belong to other records: a"
                " second image of its process wrote under the same writer; append its records anew"
            )
        if outcome & TAKEN_IN:
            self._reports.note(flight.report)
        if not error.resent:
            stored, cells = flight.stored, self.metrics._cells
            # No call between these: an interrupt strikes before all or after all, and so does a second one.
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

    def _trim(self, excess: Collection[str]) -> dict[str, int]:  # noqa: ARG002  there is no such bound
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

    def _undo(self, id_: str, *, dry_run: bool) -> int:  # noqa: ARG002  whatever it is
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
        # Not there in a store whose constructor failed, or was still running.
        link: Link | None = getattr(self, "_link", None)
        if link is not None:
            link.abandon()
