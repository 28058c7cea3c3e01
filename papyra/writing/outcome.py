"""
How a batch ends: what became of it is counted, and each of its callers learns it.

`group_commit` calls this when the leader has written, or failed. `records_written` stays exact also after Ctrl-C,
because the store alone is asked. The number of its stored records moves in one assignment, and nothing is
concluded from the exception. Settling can be repeated, so the next leader does what an interrupt left.
"""

from collections.abc import Sequence
from functools import partial

from papyra.errors import StoreLockedError
from papyra.system.clock import monotonic
from papyra.writing.call import Call, Store, missing, note_lost, soon_of, wake
from papyra.writing.waiting_calls import WaitingCalls


class SettledCalls(WaitingCalls):
    """Calls whose batch is settled by what the store says that it has stored."""

    __slots__ = ("_before", "_error")

    def __init__(self) -> None:
        super().__init__()
        # How many records the store had stored before the batch that was taken last; why that failed.
        self._before = 0
        self._error: Exception | None = None

    def blame(self, error: Exception) -> None:
        """Let *error* be why the batch that is taken failed, if it was not stored."""
        self._error = error

    def _settle(self, store: Store) -> None:
        """
        Count what became of the batch that is taken, and wake its callers; safe to repeat.

        Where an interrupt struck and nothing was stored, its calls are still in the queue. Only one
        of the leader's own is given up, by its caller.
        """
        calls = self._taken
        if not calls:
            return
        stored = store._resolve()
        if stored != self._before:
            store.metrics._settle_written(stored)
            for call in calls:
                call.done = True
        elif self._error is not None:
            self._fail(store, self._error)
        if not self._pending:  # no caller waits, and none could withdraw meanwhile
            self._taken = ()
            return
        self._let_go()
        for call in calls:
            if call.done and call.settled is not None:
                wake(call)

    def _fail(self, store: Store, error: Exception) -> None:
        """Count *error* as that of every call that it ends."""
        calls = self._taken
        # Callers whose deadline has not passed keep waiting.
        if isinstance(error, StoreLockedError):
            now = monotonic()
            late = [call for call in calls if call.deadline <= now]
            calls = late or [call for call in calls if not call.is_soon][:1]
        lost = len(soon_of(calls))
        for call in calls:
            call.fail(error)
        store.metrics._settle_failed(calls)
        if lost:
            note_lost(store, lost, error)

    def _settle_left(self, store: Store) -> None:
        """Settle the batch of a leader that was interrupted even while it settled."""
        calls = self._taken
        self._settle(store)
        self._guarded(partial(self._fail_abandoned, store, calls))

    def _fail_abandoned(self, store: Store, calls: Sequence[Call]) -> None:
        # A call that never lined up has no caller left: that was the leader.
        store.metrics._settle_failed(missing(calls, self._pending.copy()))
