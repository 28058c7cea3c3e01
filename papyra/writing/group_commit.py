"""
The queue that every write call of a store passes.

A caller that finds the store free becomes the leader. It takes the calls that wait as one batch, numbers
their records, has them written once, and tells each call its outcome. So a hundred threads cost one
fdatasync, and a lone caller costs little more than two locks.

An interrupt (Ctrl-C, or any exception of a signal's handler) may strike between any two calls.
Three rules keep the outcome exact:

- The leader asks the store what became of a batch: the number of stored records moves in one
  assignment. Nothing is concluded from the exception.
- A call leaves the queue only after its outcome is known, so a batch that was rolled back is
  still in its place. Settling can be repeated, and the next leader does what was left.
- No caller depends on being woken: one that waits looks again now and then. A wake-up that an
  interrupt swallowed costs a twentieth of a second, not a hang.

A finalizer, a weak reference callback or a signal's handler may call the store from within one of its own
calls, in the same thread. Both locks let their own thread in again. They note which thread holds them
without a byte code in between at which such a call could begin. A call that finds its own thread there is
refused at once. It would wait for itself, or for another leader, which waits for the queue lock.
"""

import os
from collections.abc import Callable, Collection, Sequence
from itertools import repeat
from threading import Lock, RLock, get_ident
from typing import Final, TypeVar

from papyra.errors import StoreBusyError, StoreLockedError
from papyra.format.codec import seal
from papyra.reports import Anomaly
from papyra.system.clock import monotonic
from papyra.writing.call import Call, Store, WouldBlock
from papyra.writing.outcome import SettledCalls
from papyra.writing.waiting_calls import NOBODY

#: Seconds after which a waiting caller looks again, woken or not.
_LOOK_AGAIN: Final = 0.05
#: For the acquire of a lock that is not waited for.
_AT_ONCE: Final = False
#: The least seconds that an operation on the whole store waits for a leader, also with a shorter lock_timeout.
_LEAST_PATIENCE: Final = 1.0
_Result = TypeVar("_Result")


class CommitQueue(SettledCalls):
    """
    The write calls of one store object, in order.

    The store is passed in and not kept. It holds the queue, so keeping it would make a cycle, and
    leave a store that is dropped to the garbage collector.

    Attributes:
        writer: The first half of the ids that are given here: 64 random bits. A store sets another one if
            its last batch may yet be stored by another process, because the numbers of the batch come
            again. If it sets one and stores nothing, the queue numbers the batch anew and sends it again.
        leader: The thread that writes a batch, or keeps all batches out (see `alone`); 0 for none.
    """

    __slots__ = ("_lock", "_tries", "leader", "writer")

    def __init__(self) -> None:
        super().__init__()
        self.writer: str = os.urandom(8).hex()
        # Held by the leader.
        self._lock = RLock()
        # Each step tries to get the lock, and says whether it did.
        self._tries = map(self._lock.acquire, repeat(_AT_ONCE))
        self.leader: int = NOBODY

    # Flags of what each append calls are positional: CPython calls a function with keyword-only ones slower.
    def commit(self, store: Store, call: Call, may_wait: bool = True) -> None:  # noqa: FBT001, FBT002
        """
        Have *call* written, alone or with others; return when it is stored.

        Args:
            store: The store that the queue belongs to.
            call: One that is in no queue.
            may_wait: Whether the caller can wait for other calls, a lock, a disk or a server. An event
                loop cannot.

        Raises:
            WouldBlock: if the caller would have to wait, and must not; nothing was done.
            StoreLockedError: when its deadline passed before it could be written.
            StoreBusyError: if this very thread is in the middle of such a call.
            Exception: why the store could not write it; it is counted by then.
        """
        me = get_ident()
        held = False
        findings: Sequence[Anomaly] = ()
        try:
            if not (self._pending or self.leader):
                try:
                    # Not a call of Python's, so that no interrupt comes between getting the lock and noting
                    # it. It does not wait: another thread may keep the lock beyond the deadline.
                    for held in self._tries:  # noqa: B007  this is the note
                        break
                    # Uncontended: skip the queue, which saves two lock operations and a check.
                    if held:
                        self.leader = me
                        findings = self._lead(store, (), (call,), may_wait)
                finally:
                    if held:
                        self.leader = NOBODY
                        self._lock.release()
            if not held:
                self._join(store, call, may_wait)
            elif self._pending or findings or store._pending_warnings:
                self._follow_up(store, findings)
        except BaseException as interrupt:
            if may_wait or not isinstance(interrupt, WouldBlock):
                self._give_up(store, call, interrupt)
            else:
                self._follow_up(store, ())
            raise
        if call.error is not None:
            call.result()

    def _join(self, store: Store, call: Call, may_wait: bool) -> None:  # noqa: FBT001
        """Have *call* written with others: another thread leads, or calls wait already."""
        self.refuse_reentry(store)
        if not may_wait:
            raise WouldBlock
        self._pending.append(call)
        self._see_through(store, call, (call,))

    def commit_all(self, store: Store, calls: Sequence[Call]) -> None:
        """
        Have the *calls* of many callers written; return when the outcome of each is known.

        An interrupt ends it and fails one call. Repeated with the same calls, it has the rest written.
        """
        own = set(calls)
        self._line_up(calls)
        for call in calls:
            if call.done:
                continue
            try:
                self._see_through(store, call, own)
            except BaseException as interrupt:
                self._give_up(store, call, interrupt)
                raise

    def commit_soon(self, store: Store) -> None:
        """
        Have all calls written that wait without a caller; return when the outcome of each is known.

        An interrupt leaves the others in the queue.
        """
        calls = self.soon
        deadline = monotonic() + store._lock_timeout
        for call in calls:
            call.deadline = deadline
        own = set(calls)
        for call in calls:
            self._see_through(store, call, own)

    def alone(self, store: Store, do: Callable[[], _Result]) -> _Result:
        """
        Call *do* while no batch is written, and return its result; the last batch is settled before.

        Raises:
            StoreBusyError: if this very thread is in the middle of a call; *do* is not called.
            StoreLockedError: if another thread leads for longer than the store's lock_timeout, and for longer
                than a second; *do* is not called. At the end of a program Python may have stopped that
                thread for good.
        """
        self.refuse_reentry(store)
        me = get_ident()
        held = False
        try:
            patience = max(store._lock_timeout, _LEAST_PATIENCE)
            [held] = map(self._lock.acquire, (True,), (patience,))  # as in `commit`
            if not held:
                raise StoreLockedError(store.source, patience, "another thread")
            self.leader = me
            if self._taken:
                self._settle_left(store)
            return do()
        finally:
            if held:
                self.leader = NOBODY
                self._lock.release()

    def refuse_reentry(self, store: Store) -> None:
        """Raise `StoreBusyError` if this very thread leads, or holds a lock that a leader needs."""
        if get_ident() in {self.leader, self._queue_lock_holder} or store.metrics._is_held_here():
            raise StoreBusyError(store.source)

    def _see_through(self, store: Store, call: Call, own: Collection[Call]) -> None:
        """Lead or wait until the outcome of *call* is known; *own* are all calls of this thread."""
        me = get_ident()
        while not call.done:
            if self.leader:
                self._wait(store, call)
                continue
            held = False
            findings: Sequence[Anomaly] = ()
            patience = max(0.0, min(call.deadline - monotonic(), _LOOK_AGAIN))
            try:
                [held] = map(self._lock.acquire, (True,), (patience,))
                if held:
                    self.leader = me
                    findings = () if call.done else self._lead(store, own)
            except StoreLockedError as error:
                self._give_up(store, call, error)
            finally:
                if held:
                    self.leader = NOBODY
                    self._lock.release()
            if held:
                self._follow_up(store, findings)
            else:
                self._wait(store, call)

    def _follow_up(self, store: Store, findings: Sequence[Anomaly]) -> None:
        """Wake the next caller and report damage, once the lock is free again."""
        if self._pending:
            self._wake_next()
        if findings or store._pending_warnings:
            store._report_append_damage(findings)

    def _lead(
        self,
        store: Store,
        own: Collection[Call],
        lone: Sequence[Call] = (),
        may_wait: bool = True,  # noqa: FBT001, FBT002
    ) -> Sequence[Anomaly]:
        """
        Write one batch and settle its calls; the leader's *own* may have to wait for the next.

        A *lone* call, which never lined up, is a batch of its own.
        """
        if self._taken:  # an interrupt kept their leader from settling them
            self._settle_left(store)
        try:
            if lone:
                self._taken, self._before, self._error = lone, store._stored, None
                deadline = lone[0].deadline
            else:
                self._before, self._error = store._stored, None
                self._take(own)
                if not self._taken:
                    return ()  # another leader settled them just now
                first = self._taken[0]
                deadline = first.deadline
                if first.is_soon:  # it can wait for ever, and those who lead for it cannot
                    deadline = min(call.deadline for call in (*self._taken, *own) if not call.done)
            store._check_usable()
            return self._write(store, deadline, may_wait)
        except Exception as error:
            if not self._taken:
                raise
            self._error = error
            if isinstance(error, StoreLockedError) and all(call.is_soon for call in self._taken):
                raise  # these calls can wait, and the leader's own, which is behind them, cannot
        finally:
            try:
                self._settle(store)
            except BaseException:
                self._settle(store)
                raise
        return ()

    def _write(self, store: Store, deadline: float, may_wait: bool) -> Sequence[Anomaly]:  # noqa: FBT001
        """Have the batch stored, numbered in the order of the queue; the numbers of a failed one come again."""
        calls, before, writer = self._taken, self._before, self.writer
        lines: list[bytes] = []
        number = before
        for call in calls:
            call.writer, call.first = writer, number + 1
            if call.is_sealed:
                lines += call.bodies
                number += len(call.bodies)
            else:
                for body in call.bodies:
                    number += 1
                    lines.append(seal(body, writer, number))
        findings = store._append(lines, deadline=deadline, may_wait=may_wait)
        if store._stored == before:  # otherwise it would be written again and again
            if self.writer != writer:  # the store set another one: the numbers are used already
                return self._write(store, deadline, may_wait)
            raise NotImplementedError(
                f"{type(store).__name__}._append stored nothing and raised nothing;"
                " it must add the number of lines to self._stored"
            )
        return findings

    def _wait(self, store: Store, call: Call) -> None:
        """Wait until a leader settles *call*, or until it is time to look again."""
        if call.settled is None:
            settled = Lock()
            settled.acquire()
            call.settled = settled
        remaining = call.deadline - monotonic()
        if remaining <= 0 and not call.done:
            error = StoreLockedError(store.source, store._lock_timeout, "another thread")
            self._give_up(store, call, error)
        if not call.done:
            call.settled.acquire(timeout=max(0.001, min(remaining, _LOOK_AGAIN)))
