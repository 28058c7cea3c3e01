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
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Final

from papyra.anomaly import Anomaly
from papyra.calls import NOW, Call, MustWait, Store, drop_done, first_of, missing, wake
from papyra.errors import StoreLockedError
from papyra.metrics import PersistenceMetrics
from papyra.record import seal
from papyra.system import monotonic

#: Seconds after which a waiting caller looks again, woken or not.
_LOOK_AGAIN: Final = 0.05


class CommitQueue:
    """
    The write calls of one store object, in order.

    The store is passed in and not kept: it holds the queue, and a cycle would leave a dropped
    store to the garbage collector.

    Attributes:
        writer: The first half of the ids that are given here: 64 random bits. A store whose last
            batch may yet be stored by somebody takes another, since its numbers come again. One
            that takes another and stores nothing is given the batch again, numbered anew.
        lock: Held while a batch is written, and by whoever must not meet one.
    """

    __slots__ = ("_before", "_door", "_error", "_pending", "_taken", "lock", "writer")

    def __init__(self) -> None:
        self.writer: str = os.urandom(8).hex()
        self.lock: Final = Lock()
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
            if self._pending or self.lock.locked():
                self._pending.append(call)
                self._see_through(store, call, (call,))
            else:  # who finds nobody there need not line up: two locks and a look cheaper
                with self.lock:
                    findings = self._lead(store, (call,), queued=False)
                if self._pending or findings or store._untold:
                    self._follow_up(store, findings)
        except BaseException as interrupt:
            self._give_up(store, call, interrupt)
            raise
        if call.error is not None:
            raise call.error.with_traceback(call.traceback)

    def commit_all(self, store: Store, calls: Sequence[Call]) -> None:
        """
        Have the *calls* of many callers written; return when the outcome of each stands.

        An interrupt ends it and fails one call. Repeated with the same calls, it sees to the rest.
        """
        own = set(calls)
        with self._door:
            self._pending.extend(missing(calls, self._pending.copy()))
        for call in calls:
            if call.done:
                continue
            try:
                self._see_through(store, call, own)
            except BaseException as interrupt:
                self._give_up(store, call, interrupt)
                raise

    def commit_now(self, store: Store, call: Call) -> bool:
        """
        Have *call* written if that takes no waiting; if it does, return False: nothing was done.

        Raises:
            Exception: whatever the store could not write it for; it is counted by then.
        """
        held: list[bool] = []
        try:
            try:
                # One call of C: no interrupt comes between getting the lock and noting it.
                held.extend(map(self.lock.acquire, (False,)))
                if True not in held or self._pending:
                    return False
                findings = self._lead(store, (call,), queued=False, deadline=NOW)
            finally:
                if True in held:
                    self.lock.release()
            if self._pending or findings or store._untold:
                self._follow_up(store, findings)
        except MustWait:
            self._follow_up(store, ())
            return False
        except BaseException as interrupt:
            self._give_up(store, call, interrupt)
            raise
        if call.error is not None:
            raise call.error.with_traceback(call.traceback)
        return True

    def cancel(self, call: Call) -> None:
        """Take *call* out uncounted, unless it is taken: then it is written, and counts."""
        with self._door:
            if self._leave(call):
                call.done = True
        wake(call)

    def fail(self, store: Store, calls: Sequence[Call], error: Exception) -> None:
        """Count *error* as that of each of *calls* whose outcome does not stand."""
        with self._door:
            for call in calls:
                call.fail(error)
            store.metrics._settle_failed(calls)

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

    def _see_through(self, store: Store, call: Call, own: Collection[Call]) -> None:
        """Lead or wait until the outcome of *call* stands; *own* are all that this thread has."""
        while not call.done:
            if self.lock.locked():
                self._wait(store, call)
                continue
            with self.lock:
                findings = () if call.done else self._lead(store, own, queued=True)
            self._follow_up(store, findings)

    def _follow_up(self, store: Store, findings: Sequence[Anomaly]) -> None:
        """Do what is left to do once the lock is free again."""
        if self._pending:
            self._wake_next()
        if findings or store._untold:
            store._met(findings)

    def _lead(
        self,
        store: Store,
        own: Collection[Call],
        *,
        queued: bool,
        deadline: float | None = None,
    ) -> Sequence[Anomaly]:
        """Write one batch and settle its calls; the leader's *own* may have to wait for the next."""
        if self._taken:  # an interrupt kept their leader from settling them
            self._settle_left(store)
        try:
            if queued:
                self._take(store, own)
            else:
                self._taken, self._before, self._error = tuple(own), store._stored, None
            if not self._taken:
                return ()  # they were settled just now
            store._check_usable()
            return self._write(store, deadline)
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

    def _write(self, store: Store, deadline: float | None) -> Sequence[Anomaly]:
        """Have the batch stored, numbered in the order of the queue; a failed one's numbers come again."""
        calls, before, writer = self._taken, self._before, self.writer
        lines, number = [], before
        for call in calls:
            call.writer, call.first = writer, number + 1
            for body in call.bodies:
                number += 1
                lines.append(body if call.is_sealed else seal(body, writer, number))
        if deadline is None:
            deadline = calls[0].deadline
        findings = store._append(lines, deadline=deadline)
        if store._stored == before:  # else it would be written again and again
            if (
                self.writer != writer
            ):  # the store gave it another, since its numbers are used already
                return self._write(store, deadline)
            raise NotImplementedError(
                f"{type(store).__name__}._append stored nothing and raised nothing;"
                " it must add the number of lines to self._stored"
            )
        return findings

    def _take(self, store: Store, own: Collection[Call]) -> None:
        """Take the calls that wait, oldest first, as many as a batch holds."""
        with self._door:
            calls = first_of(self._pending.copy(), own)
            self._taken, self._before, self._error = calls, store._stored, None

    def _settle(self, store: Store) -> None:
        """
        Count what became of the batch that is taken and tell its calls; safe to repeat.

        Where an interrupt struck and nothing was stored, its calls are still in the queue; only
        one of the leader's own is given up, by whoever called it.
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
            drop_done(self._pending)
        for call in calls:
            if call.done and call.gate is not None:
                wake(call)

    def _fail(self, metrics: PersistenceMetrics, error: Exception) -> None:
        """Count *error* as that of every call that it ends."""
        calls = self._taken
        if isinstance(error, StoreLockedError):  # who has time left waits on
            now = monotonic()
            calls = [call for call in calls if call.deadline <= now] or calls[:1]
        for call in calls:
            call.fail(error)
        metrics._settle_failed(calls)

    def _settle_left(self, store: Store) -> None:
        """Settle the batch of a leader that was interrupted even while it settled."""
        calls = self._taken
        self._settle(store)
        with self._door:
            # One that never lined up has nobody left: its caller was the leader.
            store.metrics._settle_failed(missing(calls, self._pending.copy()))

    def _wait(self, store: Store, call: Call) -> None:
        """Wait until somebody settles *call*, or until it is time to look again."""
        if call.gate is None:
            gate = Lock()
            gate.acquire()
            call.gate = gate
        remaining = call.deadline - monotonic()
        if remaining <= 0 and not call.done:
            error = StoreLockedError(store.source, store._lock_timeout, "another thread")
            self._give_up(store, call, error)
        if not call.done:
            call.gate.acquire(timeout=max(0.001, min(remaining, _LOOK_AGAIN)))

    def _give_up(self, store: Store, call: Call, error: BaseException) -> None:
        """Take *call* out of the queue as one write error, unless it is taken, or settled."""
        with self._door:
            if self._leave(call):
                call.fail(error)
                store.metrics._settle_failed((call,))
        self._wake_next()

    def _leave(self, call: Call) -> bool:
        """Take *call* out of the queue; False if it is taken, or settled. The door is held."""
        if call.done or call in self._taken:
            return False
        if call in self._pending:
            self._pending.remove(call)
        return True

    def _wake_next(self) -> None:
        try:
            wake(self._pending[0])
        except IndexError:  # it has withdrawn meanwhile
            return
