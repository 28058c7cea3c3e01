"""
The operations of a store for asyncio: the same calls, bytes and counters.

    async with papyra.aio.open_store("json:actors.ndjson?sync=always") as store:
        await store.append(papyra.Record("event", data={"actor": "local:42"}))
        async for record in store.records(kind="event"):
            print(record)

Appends feed the queue that every write of the store passes. An append that need not wait is written
where it is called; the others go to one thread, all that wait as one batch. All other operations on
the store run in a few threads of its own.
"""

import asyncio
from asyncio import get_running_loop
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, NoReturn, Self, TypeVar

from papyra.aio.inline_write import InlineWrites
from papyra.aio.loop_writer import Lane, Writer
from papyra.aio.ordered_writes import AT_ONCE, fail, refuse, write_in_order
from papyra.aio.prefetch import Ahead
from papyra.aio.thread_pool import JobThread, ThreadPool, run_alone
from papyra.backend import PersistenceBackend
from papyra.errors import WriteOutcomeUnknownError, not_copied
from papyra.metrics.persistence import PersistenceMetrics
from papyra.reading.findings import Findings
from papyra.reading.query import Query
from papyra.record import Record
from papyra.reports import CompactionReport, Quarantined, RecoveryReport, ScanReport
from papyra.system.clock import monotonic
from papyra.system.forks import forget_in_child
from papyra.writing.call import Call

_Result = TypeVar("_Result")


class AsyncBackend:
    """
    A store for one event loop.

    It belongs to the loop that first appends with it, until that loop is closed. Any number of
    loops, each with an `AsyncBackend` of its own, and any number of threads may use one store at once.

    A write call that is cancelled before a batch has taken it is not written, and counts nothing;
    afterwards it is written, and counts. A cancelled read, scan, recovery, compaction or `resend` runs
    to its end in its thread, and counts.

    Args:
        store: It may be used directly as well; `aclose` closes it.

    Attributes:
        store: The store.
    """

    __module__ = "papyra.aio"

    def __init__(self, store: PersistenceBackend) -> None:
        if not isinstance(store, PersistenceBackend):
            raise TypeError(
                f"store must be a papyra.PersistenceBackend, got {type(store).__name__}; open one with"
                " papyra.open_store()"
            )
        self.store = store
        self._lane: Lane | None = None
        self._pool = ThreadPool()
        self._inline = InlineWrites(store)
        #: Whether it is being closed, and nothing can stop that any more.
        self._is_ending = False
        #: Threads that were told to end; closing waits for them.
        self._ending: list[JobThread] = []
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
        """The name by which exporters call the store."""
        return self.store.name

    @property
    def closed(self) -> bool:
        """Whether the store is closed."""
        return self.store.closed

    def __repr__(self) -> str:
        return f"<AsyncBackend of {self.store!r}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise not_copied(self.store.source)

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
        if lane.is_free:
            call = Call(store._encode((record,)), now + store._lock_timeout)
            if not self._inline.write(call):
                call = await self._write(lane, now, call.bodies, None)
            elif lane.is_long_turn(now):
                await asyncio.sleep(0)
        elif lane.has_room:
            bodies = store._encode((record,))
            call = Call(bodies, now + store._lock_timeout)
            queued, outcome = lane.join(call, len(bodies[0]))
            try:
                await outcome
            except GeneratorExit:  # perhaps the garbage collector, in the middle of anything
                lane.abandon(queued)
                raise
            except BaseException:
                lane.leave(queued)
                raise
            if queued.is_late or call.error is not None:
                fail(store, queued, call)
        else:
            call = await self._write(lane, now, (), iter((record,)))
        return f"{call.writer}-{call.first}"

    async def append_many(self, records: Iterable[Record]) -> list[str]:
        """
        Store *records* in one batch, all or none, and return their ids.

        It keeps the place of its start in the order, however long its records take to encode.

        Raises:
            RecordError, StoreLockedError, StoreFailedError, StoreIOError, StoreClosedError: as
                `PersistenceBackend.append`.
            RuntimeError: if another loop uses it.
        """
        store, lane, now = self.store, self._enter(), monotonic()
        rest = chain(records)  # which asks for their iterator when the first one is encoded
        bodies: Sequence[bytes] = ()
        if lane.is_free or lane.is_closing or store.closed:  # an empty batch is not refused
            bodies = store._encode(islice(rest, AT_ONCE))
            if len(bodies) < AT_ONCE and (lane.is_free or not bodies):
                return await self._write_encoded(lane, now, bodies)
        return (await self._write(lane, now, bodies, rest)).result()

    async def _write_encoded(self, lane: Lane, now: float, bodies: Sequence[bytes]) -> list[str]:
        """Have the *bodies*, which are all of a call, written; no other call would be overtaken."""
        if not bodies:
            return []
        call = Call(bodies, now + self.store._lock_timeout)
        if not self._inline.write(call):
            call = await self._write(lane, now, bodies, None)
        elif lane.is_long_turn(now):
            await asyncio.sleep(0)
        return call.result()

    def append_soon(self, record: Record) -> None:
        """Do what `PersistenceBackend.append_soon` does: `aclose` writes it, if no append comes."""
        self.store.append_soon(record)

    async def resend(self, error: WriteOutcomeUnknownError) -> list[str]:
        """Do what `PersistenceBackend.resend` does."""
        return await self._in_thread(partial(self.store.resend, error))

    def _write(
        self, lane: Lane, now: float, encoded: Sequence[bytes], rest: Iterator[Record] | None
    ) -> Coroutine[Any, Any, Call]:
        """Have the *encoded* records, and the *rest*, written in the order of the loop."""
        store = self.store
        if lane.is_closing or self._is_ending or store.closed:
            refuse(store)
        deadline = now + store._lock_timeout
        return write_in_order(lane, deadline, encoded, rest, self._inline.write)

    def _enter(self) -> Lane:
        """Return the lane of the running loop; if that fails, count a failed write call."""
        try:
            return self._here()
        except RuntimeError as error:
            self.store._reject(error)

    def _here(self) -> Lane:
        """Return the lane of the running loop."""
        lane, loop = self._lane, get_running_loop()
        if lane is None or lane.loop is not loop:
            if lane is not None:
                if not lane.loop.is_closed():
                    raise RuntimeError(f"{self!r}: used by another event loop; make one for each")
                self._dismiss(lane)
            lane = self._lane = Lane(self.store, loop)
        return lane

    async def _in_thread(self, operation: Callable[[], _Result]) -> _Result:
        self._inline.at_work += 1
        try:
            return await self._pool.run(operation)
        finally:
            self._inline.at_work -= 1

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

        It counts once, when it ends, the records that it yielded, without those that were read ahead.
        """
        return self._stream(self.store._query(kind, since, limit, strict=strict))

    async def _stream(self, query: Query) -> AsyncGenerator[Record, None]:
        findings = Findings()
        ahead = Ahead(partial(self.store._find, query, findings))
        counted = self.store._count_yielded(lambda: ahead, findings)
        try:
            while True:
                if ahead.is_used_up:
                    await self._pool.run(ahead.read_on)
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

        Calls that were started before are written, also those that wait for room; later calls are
        refused as by a closed store. It waits until papyra's threads have ended, and so for reads,
        scans, recoveries and compactions that are running. Cancelled while it still writes, it leaves
        the store open, and can be called again.

        Raises:
            StoreIOError: if the last sync failed; files and connections are closed nevertheless.
            RuntimeError: if another loop uses it.
        """
        lane = self._here()
        try:
            await lane.drain()
            self._is_ending = True
        finally:
            if not self._is_ending:
                lane.reopen()
        self._dismiss(lane)
        threads = self._pool.end()
        self._ending += threads
        await run_alone(partial(self._close, self._ending.copy()))

    def _dismiss(self, lane: Lane) -> None:
        """Have the thread of *lane* end."""
        writer = lane.dismiss()
        if writer is not None:
            self._ending.insert(0, writer)

    def _close(self, threads: Sequence[JobThread]) -> None:
        for thread in threads:
            if isinstance(thread, Writer):
                thread.join()
        try:
            self.store.close()
        finally:
            for thread in threads:
                thread.join()

    def _after_fork(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.forget()
        self._pool, self._ending = ThreadPool(), []
