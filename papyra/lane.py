"""
The write calls of one event loop, on their way to the queue of the store.

What the loop has gathered in a turn goes to one thread, which has it written as a whole and tells
the loop once; meanwhile the next calls gather. Everything here belongs to the loop and is done
on it, save `_write`, which is the thread's.

An interrupt may end the thread anywhere. The queue then knows what became of each call, and the
loop, which looks again now and then, starts another thread for the rest.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Final
from warnings import warn

from papyra.backend import PersistenceBackend
from papyra.calls import Call

#: Calls that are encoded and not written; who has one more waits in line.
MOST_WAITING: Final = 1024
#: Seconds after which the loop looks whether the thread still works.
_LOOK_AGAIN: Final = 0.05

_Waiting = tuple[Call, "asyncio.Future[None]"]


class Lane:
    """
    The way of one loop's write calls to *store*.

    Attributes:
        loop: The loop.
        turn_began: When the loop's turn had its first append, as `time.monotonic` has it; None
            before that.
    """

    def __init__(self, store: PersistenceBackend, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.turn_began: float | None = None
        self._store = store
        #: Who waits for room; who got it stays until he takes it, so nobody overtakes him.
        self._line: deque[asyncio.Future[None]] = deque()
        self._gathered: list[_Waiting] = []
        #: What the thread was given and the loop was not told of yet.
        self._sent: list[_Waiting] = []
        self._is_sending = False
        self._writer: Writer | None = None
        self._look: asyncio.TimerHandle | None = None

    @property
    def is_free(self) -> bool:
        """Whether no call goes this way now: one more would overtake nobody."""
        return not (self._gathered or self._sent or self._line)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more call, or somebody waits for it."""
        return bool(self._line) or len(self._gathered) + len(self._sent) >= MOST_WAITING

    async def line_up(self) -> None:
        """Wait in line until there is room for one more call."""
        place = self.loop.create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            self._line.remove(place)
            self._admit()
            raise
        self._line.remove(place)

    def _admit(self) -> None:
        """Let in who waits in line, as many as there is room for."""
        room = max(0, MOST_WAITING - len(self._gathered) - len(self._sent))
        for place in islice(self._line, room):
            if not place.done():
                place.set_result(None)

    def gather(self, call: Call) -> "asyncio.Future[None]":
        """Have *call* written; the future is done when its outcome stands."""
        told = self.loop.create_future()
        self._gathered.append((call, told))
        # Not at once: whoever else appends in this turn of the loop comes along.
        if not self._is_sending and not self._sent:
            self._is_sending = True
            self.loop.call_soon(self._send)
        if self._look is None:
            self._look_soon()
        return told

    def begin_turn(self, now: float) -> None:
        """Note that the loop's turn had its first append, until the turn is over."""
        self.turn_began = now
        self.loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self.turn_began = None

    async def drain(self) -> None:
        """Return once every call that goes this way now has its outcome."""
        told = [told for _, told in self._sent + self._gathered]
        if told:
            await asyncio.wait(told)

    def _send(self) -> None:
        self._is_sending = False
        if self._gathered and not self._sent:
            self._sent, self._gathered = self._gathered, []
            self._put()

    def _put(self) -> None:
        """Give the thread what is sent; there may be none yet, or none any more."""
        if self._writer is None or not self._writer.is_alive():
            writer = Writer()
            try:
                writer.start()
            except RuntimeError as error:  # the system has no more threads
                self._store._queue.fail(self._store, [call for call, _ in self._sent], error)
                self._settled(self._sent)
                return
            self._writer = writer
        self._writer.jobs.put(partial(_write, self._store, self, self._sent))

    def _settled(self, sent: list[_Waiting]) -> None:
        """Tell the callers of *sent* that their outcomes stand."""
        if sent is not self._sent:
            return  # told by now
        self._sent = []
        for _, told in sent:
            if not told.done():
                told.set_result(None)
        self._admit()
        # After all who are told now: what they append next goes together.
        self._is_sending = True
        self.loop.call_soon(self._send)

    def _look_soon(self) -> None:
        self._look = self.loop.call_later(_LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        """Go on where an interrupt ended the thread, or kept it or the loop from going on."""
        self._look = None
        if self.is_free:
            return
        self._look_soon()
        self._admit()
        if not self._sent:
            self._send()
        elif all(call.done for call, _ in self._sent):
            self._settled(self._sent)
        elif self._writer is None or not self._writer.is_alive():
            self._put()

    def dismiss(self) -> "Writer | None":
        """Have the thread end once it has done what it was given, and return it."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.jobs.put(None)
        return writer

    def forget(self) -> None:
        """Know in a child process that there is no thread."""
        self._writer = None

    def __del__(self) -> None:
        if self.dismiss() is not None:
            message = f"unclosed AsyncBackend of {self._store.source}"
            warn(message, ResourceWarning, stacklevel=2, source=self)


class Writer(Thread):
    """
    The thread that has write calls written; it holds nothing while there are none.

    It is a daemon: a program that forgets `aclose` must come to its end.
    """

    def __init__(self) -> None:
        super().__init__(name="papyra-aio", daemon=True)
        self.jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def run(self) -> None:
        """Do what is to be done until there is no more."""
        while (job := self.jobs.get()) is not None:
            job()
            del job


def _write(store: PersistenceBackend, lane: Lane, sent: list[_Waiting]) -> None:
    store._commit_all([call for call, _ in sent])
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        lane.loop.call_soon_threadsafe(lane._settled, sent)
