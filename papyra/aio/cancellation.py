"""
How a call leaves the order of its event loop before it is written: cancelled, dropped or too late.

`papyra.aio.loop_writer` builds on it. A call leaves uncounted, unless a batch has taken it: then it is
written, and counts. The caller of a late one counts it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from contextlib import suppress

from papyra.aio.queued_call import QueuedCall
from papyra.backend import PersistenceBackend


class CancellableCalls(ABC):
    """
    Calls of one event loop in the order of their start, any of which may leave it.

    Attributes:
        store: Where the calls are written.
        loop: The loop.
    """

    def __init__(self, store: PersistenceBackend, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.store = store
        # In the order of their start: the calls that wait for room, and those that have it. Both lose
        # any call in one step.
        self._line: OrderedDict[QueuedCall, None] = OrderedDict()
        self._order: dict[QueuedCall, None] = {}
        self._bytes = 0
        #: Calls that were given up and are still in the above.
        self._left: deque[QueuedCall] = deque()
        self._is_tidying = False

    def leave(self, queued: QueuedCall) -> None:
        """Give *queued* up, wherever it is; it is taken back, unless a batch has taken it."""
        self._left.append(queued)
        if not self.loop.is_closed():
            self._tidy()

    def abandon(self, queued: QueuedCall) -> None:
        """Give *queued* up a turn of the loop later: the garbage collector may call from anywhere."""
        self._left.append(queued)
        if not self._is_tidying:
            self._is_tidying = True
            with suppress(RuntimeError):  # the loop is closed: nothing is written any more
                self.loop.call_soon_threadsafe(self._tidy)

    def _tidy(self) -> None:
        """Take out the calls that were given up."""
        self._is_tidying = False
        while self._left:
            queued = self._left.popleft()
            was_sent = queued not in self._order and queued not in self._line
            self._take_out(queued)
            if queued.call is not None and not queued.call.done:
                if was_sent:
                    self.store._queue.cancel(queued.call)
                else:
                    queued.call.done = True
        self._go_on()

    def _take_out(self, queued: QueuedCall) -> None:
        if queued in self._order:
            self._bytes -= queued.size
            queued.size = 0
            self._order.pop(queued, None)
        self._line.pop(queued, None)

    def _give_up_late(self, now: float) -> None:
        """Give up the calls whose deadlines have passed; each caller counts its own."""
        late = [queued for queued in self._order if queued.deadline < now]
        for queued in self._line:  # all wait equally long, so the first is the first that is late
            if queued.deadline >= now:
                break
            late.append(queued)
        for queued in late:
            self._take_out(queued)
            if queued.call is not None:
                queued.call.done = True
            queued.is_late = True
            queued.wake()

    @abstractmethod
    def _go_on(self) -> None:
        """Let in and send what waited behind calls that left."""
