"""
The write calls of one event loop, on their way to the queue of the store.

Each call is queued in the order in which the calls were started. That holds also while its records
are still being encoded, or while it waits for room. The calls that are ready at the head of the order
go to one thread as one batch. The thread wakes the loop once for all of them; meanwhile the next
calls gather.

Everything here runs on the loop, except `_write`, which runs in the thread, and `abandon`, which the
garbage collector may call anywhere.

An interrupt may end the thread anywhere. The store's queue then knows the outcome of each call, and the
loop, which looks again now and then, starts another thread for the rest.
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final
from warnings import warn

from papyra.aio.cancellation import CancellableCalls
from papyra.aio.queued_call import QueuedCall
from papyra.aio.thread_pool import JobThread
from papyra.backend import PersistenceBackend
from papyra.system.clock import monotonic
from papyra.writing.call import Call

#: Calls that are encoded, or being encoded, and not written; one more waits in line.
MOST_WAITING: Final = 1024
#: The most of their bytes; a call that comes when there are more waits in line.
MOST_BYTES: Final = 16 * 1024 * 1024
#: Bytes that go to the thread at once; one call alone may be larger.
_BATCH_BYTES: Final = 1024 * 1024
#: Seconds of a turn of the loop after which a task that appends lets others go on.
_TURN: Final = 0.001
#: Seconds after which the loop looks whether the thread still works, and which calls are late.
_LOOK_AGAIN: Final = 0.05


class Lane(CancellableCalls):
    """
    The way of one loop's write calls to *store*.

    Attributes:
        is_free: No call is queued, and calls are taken: one more would not overtake another.
        turn_began: When the loop's turn had its first append, by `monotonic`; None if it had none.
    """

    _writer: "Writer | None" = None  # an interrupt may end `__init__` early

    def __init__(self, store: PersistenceBackend, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(store, loop)
        self.is_free: bool = True
        self.turn_began: float | None = None
        # The calls that the thread was given, while the loop does not know their outcome.
        self._sent: list[QueuedCall] = []
        self._is_sending = False
        #: How many closings keep calls out.
        self._closings = 0
        self._drained: asyncio.Future[None] | None = None
        self._look: asyncio.TimerHandle | None = None

    @property
    def is_closing(self) -> bool:
        """Whether no more calls are taken."""
        return self._closings > 0

    @property
    def has_room(self) -> bool:
        """Whether one more call is taken, and need not wait in line."""
        return not (
            self._line
            or self._bytes >= MOST_BYTES
            or len(self._order) + len(self._sent) >= MOST_WAITING
            or self._closings
        )

    def enter(self, deadline: float) -> QueuedCall:
        """Take the next place in the order; the caller awaits its `waiter`, if it has one, for room."""
        queued = QueuedCall(deadline)
        self.is_free = False
        if self._line or self._is_full():
            queued.waiter = self.loop.create_future()
            self._line[queued] = None
        else:
            self._order[queued] = None
        if self._look is None:
            self._look_soon()
        return queued

    def grow(self, queued: QueuedCall, size: int) -> None:
        """Note that *size* more bytes of *queued* are encoded."""
        queued.size += size
        self._bytes += size

    def is_alone(self, queued: QueuedCall) -> bool:
        """Whether *queued* is the only call: it may be written here and now."""
        return not self._sent and len(self._order) == 1 and queued in self._order and not self._line

    def join(self, call: Call, size: int) -> tuple[QueuedCall, "asyncio.Future[None]"]:
        """
        Do what `enter`, `grow` and `gather` do for a *call* of *size* bytes, if the lane `has_room`.

        Nearly all calls come this way, so it does all of that by itself.
        """
        outcome = self.loop.create_future()
        queued = QueuedCall(call.deadline, call, size, outcome)
        self.is_free = False
        self._bytes += size
        self._order[queued] = None
        if not self._is_sending and not self._sent:
            self._send_soon()
        if self._look is None:
            self._look_soon()
        return queued, outcome

    def gather(self, queued: QueuedCall, call: Call) -> "asyncio.Future[None]":
        """Have *call* written in the place of *queued*; the future is done when its outcome is known."""
        queued.call = call
        queued.waiter = outcome = self.loop.create_future()
        # Not at once, because calls that come later in this turn of the loop join the batch.
        if not self._is_sending and not self._sent:
            self._send_soon()
        return outcome

    def is_long_turn(self, now: float) -> bool:
        """Whether appends have taken so long of the loop's turn that other tasks should go on."""
        if self.turn_began is None:
            self.turn_began = now
            self.loop.call_soon(self._end_turn)
            return False
        return now - self.turn_began > _TURN

    def _end_turn(self) -> None:
        self.turn_began = None

    async def drain(self) -> None:
        """Take no more calls, and return once each call that is queued has its outcome."""
        self._closings += 1
        self.is_free = False
        self._tidy()
        while self._is_used():
            if self._drained is None or self._drained.done():
                self._drained = self.loop.create_future()
            await asyncio.wait([self._drained])

    def reopen(self) -> None:
        """Take calls again after a `drain` that was cancelled."""
        self._closings -= 1
        self._note_use()

    def _is_full(self) -> bool:
        held = len(self._order) + len(self._sent)
        return held >= MOST_WAITING or self._bytes >= MOST_BYTES

    def _is_used(self) -> bool:
        return bool(self._order or self._sent or self._line)

    def _note_use(self) -> None:
        """Note, and let `drain` know, when no call is queued any more."""
        if not self._is_used():
            self.is_free = not self._closings
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)

    def _admit(self) -> None:
        """Let in the calls that wait in line, as many as there is room for."""
        while self._line and not self._is_full():
            queued = next(iter(self._line))
            # In this order: after an interrupt in between, the next call of this method does the rest.
            self._order[queued] = None
            queued.wake()
            self._line.pop(queued, None)

    def _go_on(self) -> None:
        self._admit()
        if self._order and not self._sent and not self._is_sending:
            self._send_soon()
        self._note_use()

    def _send_soon(self) -> None:
        self._is_sending = True
        self.loop.call_soon(self._send)

    def _send(self) -> None:
        """Give the thread the calls that are ready at the head of the order, as much as one batch holds."""
        self._is_sending = False
        if self._left:
            self._tidy()
        if self._sent:
            return
        if batch := self._ready():
            self._sent = batch
            if len(batch) == len(self._order):
                self._order.clear()
            else:
                for queued in batch:
                    self._order.pop(queued, None)
            self._put()

    def _ready(self) -> list[QueuedCall]:
        """Return the calls that are encoded at the head of the order, as much as one batch holds."""
        if self._bytes <= _BATCH_BYTES:  # the common case, some times faster
            order = [*self._order]
            calls = [queued.call for queued in order]
            return order[: calls.index(None)] if None in calls else order
        batch: list[QueuedCall] = []
        size = 0
        for queued in self._order:
            if queued.call is None or (batch and size + queued.size > _BATCH_BYTES):
                break
            batch.append(queued)
            size += queued.size
        return batch

    def _put(self) -> None:
        """Give the thread the calls that are sent; start it if it is not running."""
        if self._writer is None or not self._writer.is_alive():
            writer = Writer()
            try:
                writer.start()
            except RuntimeError:  # the system, or an interpreter that ends, has no more threads
                self.store._commit_all(_calls(self._sent))
                self._settled(self._sent, monotonic())
                return
            self._writer = writer
        self._writer.jobs.put(partial(_write, self.store, self, self._sent))

    def _settled(self, sent: list[QueuedCall], ended: float) -> None:
        """Wake the callers of *sent*, whose outcomes have been known since *ended*."""
        if sent is not self._sent:
            return  # they are awake by now
        for queued in sent:
            waiter = queued.waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._sent = []
        # Counted anew, because a size that an interrupt kept from being noted would keep the lane full for ever.
        self._bytes = sum(queued.size for queued in self._order) if self._order else 0
        # By the time of then, because what the loop did since was not waiting for the store.
        self._give_up_late(ended)
        self._admit()
        self._note_use()
        # After all callers that wake now, so that their next appends go together.
        self._send_soon()

    def _look_soon(self) -> None:
        self._look = self.loop.call_later(_LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        """Give up late calls; go on where an interrupt kept the thread or the loop from it."""
        self._look = None
        self._tidy()
        if not self._is_used():
            return
        self._look_soon()
        if not self._sent:
            self._send()
        elif all(queued.call is None or queued.call.done for queued in self._sent):
            self._settled(self._sent, monotonic())
        elif self._writer is None or not self._writer.is_alive():
            self._put()
        self._give_up_late(monotonic())
        self._admit()
        self._note_use()

    def dismiss(self) -> "Writer | None":
        """Have the thread end once it has done its jobs, and return it."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.jobs.put(None)
        return writer

    def forget(self) -> None:
        """Forget the thread in a child process, which does not have it."""
        self._writer = None

    def __del__(self) -> None:
        if self.dismiss() is not None:
            message = f"unclosed AsyncBackend of {self.store.source}"
            warn(message, ResourceWarning, stacklevel=2, source=self)


class Writer(JobThread):
    """The thread that has write calls written; it keeps no call alive in between."""


def _calls(sent: list[QueuedCall]) -> list[Call]:
    return [queued.call for queued in sent if queued.call is not None]


def _write(store: PersistenceBackend, lane: Lane, sent: list[QueuedCall]) -> None:
    store._commit_all(_calls(sent))
    with suppress(RuntimeError):  # the loop is closed: no caller waits
        lane.loop.call_soon_threadsafe(lane._settled, sent, monotonic())
