"""
The operations of a store for asyncio: the same calls, bytes and counters.

    async with papyra.aio.open_store("json:actors.ndjson?sync=always") as store:
        await store.append(papyra.Record("event", data={"actor": "local:42"}))
        async for record in store.records(kind="event"):
            print(record)

Appends feed the queue that every write of the store passes. One that need not wait is written
where it is called; the others go to one thread, all that wait as one batch. Whatever else
reads or changes the store runs in the loop's default executor.
"""

import asyncio
from asyncio import get_running_loop, to_thread
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Self, TypeVar

from papyra import store_url
from papyra.ahead import Ahead
from papyra.backend import PersistenceBackend
from papyra.calls import Call
from papyra.errors import WriteOutcomeUnknownError
from papyra.lane import Lane, Writer
from papyra.metrics import PersistenceMetrics
from papyra.record import Record
from papyra.reports import CompactionReport, Findings, Quarantined, RecoveryReport, ScanReport
from papyra.selection import Query
from papyra.system import forget_in_child, monotonic

if TYPE_CHECKING:
    from papyra.primitives import Sync
    from papyra.retention import Retention

#: The most bytes that are written on the loop itself.
_MOST_NOW: Final = 64 * 1024
#: Seconds of a turn of the loop after which who appends lets others go on.
_TURN: Final = 0.001
#: Records that are encoded before others may go on.
_AT_ONCE: Final = 64

_Result = TypeVar("_Result")


class AsyncBackend:
    """
    A store for one event loop.

    It belongs to the loop that first appends with it, until that loop is closed. Any number of
    loops, each with an `AsyncBackend` of its own, and of threads may use one store at once.

    Cancelling a call that writes takes it back until a batch has taken it; afterwards it is
    written, and counts. A cancelled read, scan, recovery, compaction or `resend` runs to its end
    in its thread, and counts.

    Args:
        store: It may be used directly as well; `aclose` closes it.

    Attributes:
        store: The store.
    """

    def __init__(self, store: PersistenceBackend) -> None:
        if not isinstance(store, PersistenceBackend):
            raise TypeError(f"{store!r}: a papyra.PersistenceBackend is needed")
        self.store = store
        self._lane: Lane | None = None
        self._at_work = 0
        forget_in_child(self)

    @property
    def metrics(self) -> PersistenceMetrics:
        """The counters of the store."""
        return self.store.metrics

    @property
    def kind(self) -> str:
        """The kind of the store."""
        return self.store.kind

    @property
    def name(self) -> str:
        """What exporters call the store."""
        return self.store.name

    @property
    def closed(self) -> bool:
        """Whether the store is closed."""
        return self.store.closed

    def __repr__(self) -> str:
        return f"<AsyncBackend of {self.store!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def append(self, record: Record) -> str:
        """
        Store *record* and return its id.

        Raises:
            RecordError, StoreLockedError, StoreFailedError, StoreIOError, StoreClosedError: as
                `PersistenceBackend.append`.
            RuntimeError: if another loop uses it.
        """
        store, lane, now = self.store, self._lane, monotonic()
        if lane is None or lane.loop is not get_running_loop():
            lane = self._enter()
        if lane.is_full:
            await lane.line_up()
        call = Call(store._encode((record,)), now + store._lock_timeout)
        await self._write(lane, call, now)
        return f"{call.writer}-{call.first}"

    async def append_many(self, records: Iterable[Record]) -> list[str]:
        """
        Store *records* in one batch, all or none, and return their ids.

        Raises:
            RecordError, StoreLockedError, StoreFailedError, StoreIOError, StoreClosedError: as
                `PersistenceBackend.append`.
            RuntimeError: if another loop uses it.
        """
        store, lane, now = self.store, self._enter(), monotonic()
        if lane.is_full:
            await lane.line_up()
        rest = chain(records)  # which begins with them when the first is encoded
        bodies: list[bytes] = []
        while more := store._encode(islice(rest, _AT_ONCE)):
            bodies += more
            if len(more) == _AT_ONCE:
                await asyncio.sleep(0)
        if not bodies:
            return []
        call = Call(bodies, now + store._lock_timeout)
        await self._write(lane, call, now)
        return call.ids

    def append_soon(self, record: Record) -> None:
        """Do what `PersistenceBackend.append_soon` does: `aclose` writes it, if no append comes."""
        self.store.append_soon(record)

    async def resend(self, error: WriteOutcomeUnknownError) -> list[str]:
        """Do what `PersistenceBackend.resend` does."""
        return await self._in_thread(partial(self.store.resend, error))

    async def _write(self, lane: Lane, call: Call, now: float) -> None:
        """Have *call* written: here, if it need not wait, else by the lane's thread."""
        if not (lane.is_free and self._commit_now(call)):
            try:
                await lane.gather(call)
            except asyncio.CancelledError:
                self.store._queue.cancel(call)
                raise
            if call.error is not None:
                raise call.error.with_traceback(call.traceback)
        elif lane.turn_began is None:
            lane.begin_turn(now)
        elif now - lane.turn_began > _TURN:
            await asyncio.sleep(0)

    def _commit_now(self, call: Call) -> bool:
        """Write *call* if that takes no waiting."""
        store = self.store
        # Beside a thread that computes, each system call may cost the loop five milliseconds.
        can_be = store._appends_now and store._prepared and not self._at_work
        return ((can_be and call.size <= _MOST_NOW) or store.closed) and store._queue.commit_now(
            store, call
        )

    def _enter(self) -> Lane:
        """Return the lane of the running loop; if it cannot be, a write call has failed."""
        try:
            return self._here()
        except RuntimeError as error:
            self.store._turn_away(error)

    def _here(self) -> Lane:
        """Return the lane of the running loop."""
        lane, loop = self._lane, get_running_loop()
        if lane is None or lane.loop is not loop:
            if lane is not None:
                if not lane.loop.is_closed():
                    raise RuntimeError(f"{self!r}: used by another event loop; make one for each")
                lane.dismiss()
            lane = self._lane = Lane(self.store, loop)
        return lane

    async def _in_thread(self, operation: Callable[[], _Result]) -> _Result:
        self._at_work += 1
        try:
            return await to_thread(operation)
        finally:
            self._at_work -= 1

    async def read(
        self,
        *,
        kind: str | None = None,
        since: float | None = None,
        limit: int | None = None,
        strict: bool = False,
    ) -> list[Record]:
        """Return what `PersistenceBackend.read` does."""
        read = self.store.read
        return await self._in_thread(
            partial(read, kind=kind, since=since, limit=limit, strict=strict)
        )

    def records(
        self,
        *,
        kind: str | None = None,
        since: float | None = None,
        limit: int | None = None,
        strict: bool = False,
    ) -> AsyncGenerator[Record, None]:
        """
        Yield what `read` returns, without holding it all.

        It counts once, when it ends, what was handed over: what was read ahead is not.
        """
        return self._stream(self.store._query(kind, since, limit, strict=strict))

    async def _stream(self, query: Query) -> AsyncGenerator[Record, None]:
        findings = Findings()
        ahead = Ahead(partial(self.store._find, query, findings))
        counted = self.store._handed_over(lambda: ahead, findings)
        try:
            while True:
                if ahead.is_used_up:
                    await to_thread(ahead.read_on)
                record = next(counted, None)
                if record is None:
                    return
                yield record
        finally:
            counted.close()

    async def scan(self) -> ScanReport:
        """Return what `PersistenceBackend.scan` does."""
        return await self._in_thread(self.store.scan)

    async def recover(self, *, dry_run: bool = False, undo: str | None = None) -> RecoveryReport:
        """Return what `PersistenceBackend.recover` does."""
        return await self._in_thread(partial(self.store.recover, dry_run=dry_run, undo=undo))

    async def quarantined(self) -> list[Quarantined]:
        """Return what `PersistenceBackend.quarantined` does."""
        return await self._in_thread(self.store.quarantined)

    async def compact(self, *, dry_run: bool = False) -> CompactionReport:
        """Return what `PersistenceBackend.compact` does."""
        return await self._in_thread(partial(self.store.compact, dry_run=dry_run))

    async def aclose(self) -> None:
        """
        Write out what was accepted and close the store; closing again does nothing.

        What is appended meanwhile is written, or refused as by a closed store. Cancelled, it can
        be called again.

        Raises:
            StoreIOError: if the last sync failed; everything is let go of all the same.
            RuntimeError: if another loop uses it.
        """
        lane = self._here()
        await lane.drain()
        await to_thread(self._close, lane.dismiss())

    def _close(self, writer: Writer | None) -> None:
        if writer is not None:
            writer.join()
        self.store.close()

    def _after_fork(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.forget()


def open_store(
    url: str,
    *,
    retention: "Retention | None" = None,
    sync: "Sync | None" = None,
    lock_timeout: float | str | None = None,
    must_exist: bool = False,
) -> AsyncBackend:
    """
    Open the store that *url* names, as `papyra.open_store` does, here and now.

    A Redis store asks its server something while it is opened. In a loop that must not wait for it:
    ``store = await asyncio.to_thread(papyra.aio.open_store, url)``.
    """
    return AsyncBackend(
        store_url.open_store(
            url, retention=retention, sync=sync, lock_timeout=lock_timeout, must_exist=must_exist
        )
    )
