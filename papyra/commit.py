"""
The queue that every write call of a store passes.

Whoever finds the store free leads: takes what waits as one batch, numbers it, has it written once,
and tells every call in it what became of it. So a hundred threads cost one fdatasync, and a
lone caller little more than two locks.

An interrupt (Ctrl-C, or whatever a signal's handler raises) may strike between any two calls.
Three rules make the outcome exact all the same:

- What became of a batch is asked of the store, whose number of stored records moves in one
  assignment; nothing is concluded from the exception.
- A call leaves the queue only after its outcome stands, so a batch that was rolled back is
  still in its place. Settling can be repeated, and whoever leads next does what was left.
- Nobody depends on being woken: who waits looks again now and then. A wake-up that an
  interrupt swallowed costs a twentieth of a second, not a hang.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Final, Protocol

from papyra.anomaly import Anomaly
from papyra.errors import StoreLockedError
from papyra.metrics import PersistenceMetrics
from papyra.record import seal

#: The most that one batch takes; one call alone may be larger.
_BATCH_CALLS: Final = 1024
_BATCH_BYTES: Final = 1024 * 1024
#: Seconds after which a waiting caller looks again, woken or not.
_LOOK_AGAIN: Final = 0.05


class Store(Protocol):
    """What the queue needs of the store that it writes for."""

    metrics: PersistenceMetrics
    source: str
    #: Records stored by this object; moved by `_append` in one assignment.
    _stored: int
    #: What is to be logged once no lock is held.
    _untold: list[str]
    _lock_timeout: float

    def _check_usable(self) -> None: ...

    def _append(self, lines: Sequence[bytes], *, deadline: float) -> list[Anomaly]: ...

    def _met(self, findings: Sequence[Anomaly]) -> None: ...


class Call:
    """
    One write call on its way.

    Args:
        bodies: Its encoded records, at least one.
        deadline: When it gives up waiting, as `time.monotonic` has it.

    Attributes:
        done: Its outcome stands and is counted.
        error: Why it failed; None if it did not. One error may be that of many calls.
        traceback: Where it was raised.
        writer: The first half of its records' ids, once it is stored.
        first: The number of its first record, likewise.
        gate: What its caller waits at, if it does.
        is_sealed: Its bodies are whole lines of another store, and stay as they are.
    """

    # Defaults of the class, which cost a call nothing: most are never set.
    done = False
    error: Exception | None = None
    traceback: TracebackType | None = None
    writer = ""
    first = 0
    gate: "Lock | None" = None
    is_sealed = False

    def __init__(self, bodies: Sequence[bytes], deadline: float) -> None:
        self.bodies = bodies
        self.deadline = deadline

    @property
    def size(self) -> int:
        """Bytes of its encoded records."""
        return sum(map(len, self.bodies))


class CommitQueue:
    """
    The write calls of one store object, in order.

    The store is passed in and not kept: it holds the queue, and a cycle would leave a dropped
    store to the garbage collector.

    Attributes:
        writer: The first half of the ids that are given here: 64 random bits. A store whose last
            batch may yet be stored by somebody takes another, since its numbers come again.
        lock: Held while a batch is written, and by whoever must not meet one.
    """

    __slots__ = ("_before", "_door", "_error", "_pending", "_taken", "lock", "writer")

    def __init__(self) -> None:
        self.writer = os.urandom(8).hex()
        self.lock = Lock()
        self._pending: deque[Call] = deque()
        # Guards which calls wait and which are taken; held for a few instructions only.
        self._door = Lock()
        # The batch that was taken last: its calls, none once they are settled; how many records
        # stood before it; why it failed.
        self._taken: Sequence[Call] = ()
        self._before = 0
        self._error: Exception | None = None

    def commit(self, store: Store, call: Call) -> None:
        """
        Have *call* written, alone or with others; return when it is stored.

        Raises:
            StoreLockedError: when its deadline passed before it could be written.
            Exception: whatever the store could not write it for; it is counted by then.
        """
        try:
            # Who finds nobody there need not line up: two locks and a look cheaper.
            queued = bool(self._pending) or self.lock.locked()
            if queued:
                self._pending.append(call)
            while not call.done:
                if queued and self.lock.locked():
                    self._wait(store, call)
                    continue
                with self.lock:
                    findings = () if call.done else self._lead(store, call, queued=queued)
                if self._pending:
                    self._wake_next()
                if findings or store._untold:
                    store._met(findings)
        except BaseException:
            self._withdraw(store, call)
            self._wake_next()
            raise
        if call.error is not None:
            raise call.error.with_traceback(call.traceback)

    @contextmanager
    def alone(self, store: Store) -> Generator[None]:
        """Keep all batches out; what became of the last one stands."""
        with self.lock:
            if self._taken:
                self._settle_left(store)
            yield

    def blame(self, error: Exception) -> None:
        """Let *error* be what the batch that is taken failed for, if it was not stored."""
        self._error = error

    def _lead(self, store: Store, own: Call, *, queued: bool) -> Sequence[Anomaly]:
        """Write one batch and settle its calls; *own* may have to wait for the next."""
        if self._taken:  # an interrupt kept their leader from settling them
            self._settle_left(store)
            if own.done:
                return ()
        try:
            if queued:
                self._take(store, own)
            else:
                self._taken, self._before, self._error = (own,), store._stored, None
            store._check_usable()
            return self._write(store)
        except Exception as error:
            if not self._taken:
                raise
            self._error = error
        finally:
            try:
                self._settle(store)
            except BaseException:
                self._settle(store)
                raise
        return ()

    def _write(self, store: Store) -> Sequence[Anomaly]:
        """Have the batch stored, numbered in the order of the queue; a failed one's numbers come again."""
        calls, before, writer = self._taken, self._before, self.writer
        lines, number = [], before
        for call in calls:
            call.writer, call.first = writer, number + 1
            for body in call.bodies:
                number += 1
                lines.append(body if call.is_sealed else seal(body, writer, number))
        findings = store._append(lines, deadline=calls[0].deadline)
        if store._stored == before:  # else it would be written again and again
            raise NotImplementedError(
                f"{type(store).__name__}._append stored nothing and raised nothing;"
                " it must add the number of lines to self._stored"
            )
        return findings

    def _take(self, store: Store, own: Call) -> None:
        """Take the calls that wait, oldest first, as many as a batch holds."""
        with self._door:
            calls = _first_of(self._pending.copy(), own)
            self._taken, self._before, self._error = calls, store._stored, None

    def _settle(self, store: Store) -> None:
        """
        Count what became of the batch that is taken and tell its calls; safe to repeat.

        Where an interrupt struck and nothing was stored, its calls are still in the queue; only
        the leader's own is withdrawn, by `commit`.
        """
        calls = self._taken
        if not calls:
            return
        if store._stored != self._before:
            store.metrics._settle_written(store._stored)
            for call in calls:
                call.done = True
        elif self._error is not None:
            self._fail(store.metrics, self._error)
        if not self._pending:  # nobody to be told, and none who could withdraw meanwhile
            self._taken = ()
            return
        with self._door:
            self._taken = ()
            while self._pending and self._pending[0].done:
                self._pending.popleft()
        for call in calls:
            if call.done:
                _wake(call)

    def _fail(self, metrics: PersistenceMetrics, error: Exception) -> None:
        """Count *error* as that of every call that it ends."""
        calls = self._taken
        if isinstance(error, StoreLockedError):  # who has time left waits on
            now = monotonic()
            calls = [call for call in calls if call.deadline <= now] or calls[:1]
        for call in calls:
            if not call.done:
                call.error, call.traceback = error, error.__traceback__
        metrics._settle_failed(calls)

    def _settle_left(self, store: Store) -> None:
        """Settle the batch of a leader that was interrupted even while it settled."""
        calls = self._taken
        self._settle(store)
        with self._door:
            # One that never lined up has nobody left: its caller was the leader.
            store.metrics._settle_failed([call for call in calls if call not in self._pending])

    def _wait(self, store: Store, call: Call) -> None:
        """Wait until somebody settles *call*, or until it is time to look again."""
        if call.gate is None:
            gate = Lock()
            gate.acquire()
            call.gate = gate
        remaining = call.deadline - monotonic()
        if remaining <= 0 and not call.done and self._withdraw(store, call):
            raise StoreLockedError(store.source, store._lock_timeout, "another thread")
        if not call.done:
            call.gate.acquire(timeout=max(0.001, min(remaining, _LOOK_AGAIN)))

    def _withdraw(self, store: Store, call: Call) -> bool:
        """Take *call* out of the queue as one write error; False if it is taken, or settled."""
        with self._door:
            if call.done or call in self._taken:
                return False
            if call in self._pending:
                self._pending.remove(call)
            store.metrics._settle_failed((call,))
            return True

    def _wake_next(self) -> None:
        try:
            _wake(self._pending[0])
        except IndexError:  # it has withdrawn meanwhile
            return


def _first_of(waiting: Iterable[Call], own: Call) -> list[Call]:
    """Return as many of the calls that wait as a batch holds."""
    calls: list[Call] = []
    size, now = 0, monotonic()
    for call in waiting:
        # A call that ran out of time is about to withdraw; it is not written any more.
        if call.done or (call.deadline < now and call is not own):
            continue
        if calls and (size + call.size > _BATCH_BYTES or len(calls) == _BATCH_CALLS):
            break
        calls.append(call)
        size += call.size
    return calls


def _wake(call: Call) -> None:
    """Let *call*'s caller go on; once more does no harm."""
    gate = call.gate
    if gate is None or not gate.locked():
        return
    try:
        gate.release()
    except RuntimeError:  # somebody else woke it between the two
        return
