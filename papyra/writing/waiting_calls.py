"""
The write calls of one store that wait, and their queue lock: which are taken, and which may withdraw.

The commit queue alone knows their outcomes (see `papyra.writing.group_commit`). A finalizer or a signal's
handler may call the store in the middle of all this, in the same thread. So the queue lock lets its own
thread in again.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from threading import RLock, get_ident
from typing import Final

from papyra.errors import StoreClosedError
from papyra.writing.call import Call, Store, drop_done, first_of, missing, soon_of, wake

#: The holder of a lock that is free; no thread has this number.
NOBODY: Final = 0


class WaitingCalls:
    """Calls in the order in which they came; a taken one stays until its outcome is known."""

    __slots__ = ("_pending", "_queue_lock", "_queue_lock_holder", "_taken")

    def __init__(self) -> None:
        self._pending: deque[Call] = deque()
        # The calls of the batch that was taken last; none once they are settled.
        self._taken: Sequence[Call] = ()
        # Guards which calls wait and which are taken; held for a few instructions only.
        self._queue_lock = RLock()
        # The thread that holds it without leading.
        self._queue_lock_holder = NOBODY

    @property
    def soon(self) -> list[Call]:
        """The calls that wait without a caller."""
        return soon_of(self._pending.copy())

    def append_soon(self, store: Store, call: Call) -> None:
        """Have the next leader write *call*; no lock is taken, except where the store is closed."""
        self._pending.append(call)
        if store._closed:  # meanwhile, perhaps after `close` looked here for the last time
            self.refuse_soon(store)

    def refuse_soon(self, store: Store) -> None:
        """Fail the calls that wait without a caller: the store is closed, so that no leader comes."""
        if calls := self.soon:
            error = StoreClosedError(f"{store.source}: the store is closed; open it again")
            self.fail(store, calls, error)
            # A leader may have taken some of them; it lets go of those itself.
            self._guarded(partial(drop_done, self._pending))

    def cancel(self, call: Call) -> None:
        """Take *call* out uncounted, unless a leader has taken it: then it is written, and counts."""
        self._guarded(partial(self._cancel, call))
        wake(call)

    def fail(self, store: Store, calls: Sequence[Call], error: Exception) -> None:
        """Count *error* as that of each of *calls* without an outcome."""
        self._guarded(partial(self._fail_all, store, calls, error))

    def _line_up(self, calls: Sequence[Call]) -> None:
        """Have the *calls* wait that have no outcome and do not wait yet."""
        self._guarded(lambda: self._pending.extend(missing(calls, self._pending.copy())))

    def _take(self, own: Collection[Call]) -> None:
        """Take the calls that wait, oldest first, as many as a batch holds."""
        with self._queue_lock:
            self._taken = first_of(self._pending.copy(), own)

    def _let_go(self) -> None:
        """Let go of what was taken and is settled."""
        with self._queue_lock:
            self._taken = ()
            drop_done(self._pending)

    def _give_up(self, store: Store, call: Call, error: BaseException) -> None:
        """Take *call* out of the queue as one write error, unless it is taken, or settled."""
        self._guarded(partial(self._withdraw, store, call, error))
        self._wake_next()

    def _guarded(self, do: Callable[[], object]) -> None:
        """Call *do* under the queue lock, so that no leader takes calls meanwhile."""
        me = get_ident()
        with self._queue_lock:
            before = self._queue_lock_holder
            try:
                self._queue_lock_holder = me
                do()
            finally:
                self._queue_lock_holder = before

    # These run under the queue lock. A call of this very thread that comes in between may write the calls that wait.
    def _withdraw(self, store: Store, call: Call, error: BaseException) -> None:
        if self._leave(call):
            self._fail_all(store, (call,), error)

    def _cancel(self, call: Call) -> None:
        if self._leave(call):
            call.done = True

    def _fail_all(self, store: Store, calls: Iterable[Call], error: BaseException) -> None:
        calls = list(calls)
        for call in calls:
            call.fail(error)
        store.metrics._settle_failed(calls)

    def _leave(self, call: Call) -> bool:
        """Take *call* out of the queue; return False if it is taken, or settled. The queue lock is held."""
        if call.done or call in self._taken:
            return False
        with suppress(ValueError):  # it never lined up, or was written just now
            self._pending.remove(call)
        return not call.done

    def _wake_next(self) -> None:
        try:
            first = self._pending[0]
        except IndexError:  # it has withdrawn meanwhile
            return
        if first.settled is None:
            # It does not wait, or was left here by `append_soon`: then the caller behind it leads.
            first = next((call for call in self._pending.copy() if call.settled is not None), first)
        wake(first)
