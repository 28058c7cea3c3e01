"""
The write calls of one event loop, on their way to the queue of the store.

Each call has a place in the order in which the calls were started, also while its records are still
being encoded, or while it waits for room. What is ready at the head of the order goes to one thread as
one batch; the thread tells the loop once, and meanwhile the next calls gather.

Everything here belongs to the loop and is done on it, save `_write`, which is the thread's, and
`abandon`, which the garbage collector may call anywhere.

An interrupt may end the thread anywhere. The queue then knows what became of each call, and the
loop, which looks again now and then, starts another thread for the rest.
"""

import asyncio
from collections import OrderedDict, deque
from contextlib import suppress
from functools import partial
from typing import Final
from warnings import warn

from papyra.aio.place import Place
from papyra.aio.thread_pool import JobThread
from papyra.backend import PersistenceBackend
from papyra.system.clock import monotonic
from papyra.writing.call import Call

#: Calls that are encoded, or being encoded, and not written; one more waits in line.
MOST_WAITING: Final = 1024
#: Their bytes: a call that comes when there are more waits in line.
MOST_BYTES: Final = 16 * 1024 * 1024
#: Bytes that go to the thread at once; one call alone may be larger.
_BATCH_BYTES: Final = 1024 * 1024
#: Seconds of a turn of the loop after which a task that appends lets others go on.
_TURN: Final = 0.001
#: Seconds after which the loop looks whether the thread still works, and which calls are late.
_LOOK_AGAIN: Final = 0.05


class Lane:
    """
    The way of one loop's write calls to *store*.

    Attributes:
        store: Where the calls are written.
        loop: The loop.
        is_free: No call has a place, and calls are taken: one more would overtake none.
        turn_began: When the loop's turn had its first append, by `monotonic`; else None.
    """

    _writer: "Writer | None" = None  # an interrupt may end `__init__` early

    def __init__(self, store: PersistenceBackend, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_free: bool = True
        self.turn_began: float | None = None
        self.store = store
        # In the order of their start: who waits for room, who has it, and what the thread was
        # given and the loop was not told of yet. The former two lose any place in one step.
        self._line: OrderedDict[Place, None] = OrderedDict()
        self._order: dict[Place, None] = {}
        self._sent: list[Place] = []
        self._bytes = 0
        #: Places that were given up and are still in the above.
        self._left: deque[Place] = deque()
        self._is_sending = self._is_tidying = False
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

    def enter(self, deadline: float) -> Place:
        """Take the next place in the order; if it has a `waiter`, that is to be awaited for room."""
        place = Place(deadline)
        self.is_free = False
        if self._line or self._is_full():
            place.waiter = self.loop.create_future()
            self._line[place] = None
        else:
            self._order[place] = None
        if self._look is None:
            self._look_soon()
        return place

    def grow(self, place: Place, size: int) -> None:
        """Note that so many bytes more of *place* are encoded."""
        place.size += size
        self._bytes += size

    def is_alone(self, place: Place) -> bool:
        """Whether *place* is the only one: its call may be written here and now."""
        return not self._sent and len(self._order) == 1 and place in self._order and not self._line

    def join(self, call: Call, size: int) -> tuple[Place, "asyncio.Future[None]"]:
        """
        Do what `enter`, `grow` and `gather` do for a *call* of *size* bytes, if the lane `has_room`.

        Nearly all calls come this way, so it does all of that by itself.
        """
        outcome = self.loop.create_future()
        place = Place(call.deadline, call, size, outcome)
        self.is_free = False
        self._bytes += size
        self._order[place] = None
        if not self._is_sending and not self._sent:
            self._send_soon()
        if self._look is None:
            self._look_soon()
        return place, outcome

    def gather(self, place: Place, call: Call) -> "asyncio.Future[None]":
        """Have *call* written in its *place*; the future is done when its outcome stands."""
        place.call = call
        place.waiter = outcome = self.loop.create_future()
        # Not at once: what is appended later in this turn of the loop comes along.
        if not self._is_sending and not self._sent:
            self._send_soon()
        return outcome

    def leave(self, place: Place) -> None:
        """Give *place* up, wherever it is; its call is taken back, unless a batch has taken it."""
        self._left.append(place)
        if not self.loop.is_closed():
            self._tidy()

    def abandon(self, place: Place) -> None:
        """Give *place* up a turn of the loop later: the garbage collector may call from anywhere."""
        self._left.append(place)
        if not self._is_tidying:
            self._is_tidying = True
            with suppress(RuntimeError):  # the loop is closed: nothing is written any more
                self.loop.call_soon_threadsafe(self._tidy)

    def is_long_turn(self, now: float) -> bool:
        """Whether the loop's turn has had appends for so long that others should go on."""
        if self.turn_began is None:
            self.turn_began = now
            self.loop.call_soon(self._end_turn)
            return False
        return now - self.turn_began > _TURN

    def _end_turn(self) -> None:
        self.turn_began = None

    async def drain(self) -> None:
        """Take no more calls, and return once each that has a place has its outcome."""
        self._closings += 1
        self.is_free = False
        self._tidy()
        while self._is_used():
            if self._drained is None or self._drained.done():
                self._drained = self.loop.create_future()
            await asyncio.wait([self._drained])

    def reopen(self) -> None:
        """Take calls again after a `drain` that was not gone on with."""
        self._closings -= 1
        self._note_use()

    def _is_full(self) -> bool:
        held = len(self._order) + len(self._sent)
        return held >= MOST_WAITING or self._bytes >= MOST_BYTES

    def _is_used(self) -> bool:
        return bool(self._order or self._sent or self._line)

    def _note_use(self) -> None:
        """Do what is due where the last place may have become free."""
        if not self._is_used():
            self.is_free = not self._closings
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)

    def _admit(self) -> None:
        """Let in those who wait in line, as many as there is room for."""
        while self._line and not self._is_full():
            place = next(iter(self._line))
            # In this order: an interrupt in between is made good by the next who does it.
            self._order[place] = None
            place.wake()
            self._line.pop(place, None)

    def _tidy(self) -> None:
        """Take out the places that were given up."""
        self._is_tidying = False
        while self._left:
            place = self._left.popleft()
            was_sent = place not in self._order and place not in self._line
            self._take_out(place)
            if place.call is not None and not place.call.done:
                if was_sent:
                    self.store._queue.cancel(place.call)
                else:
                    place.call.done = True
        self._admit()
        if self._order and not self._sent and not self._is_sending:
            self._send_soon()
        self._note_use()

    def _take_out(self, place: Place) -> None:
        if place in self._order:
            self._bytes -= place.size
            place.size = 0
            self._order.pop(place, None)
        self._line.pop(place, None)

    def _give_up_late(self, now: float) -> None:
        """Give up the places whose deadlines have passed; each caller counts its own."""
        late = [place for place in self._order if place.deadline < now]
        for place in self._line:  # all wait equally long, so the first is the first that is late
            if place.deadline >= now:
                break
            late.append(place)
        for place in late:
            self._take_out(place)
            if place.call is not None:
                place.call.done = True
            place.is_late = True
            place.wake()

    def _send_soon(self) -> None:
        self._is_sending = True
        self.loop.call_soon(self._send)

    def _send(self) -> None:
        """Give the thread what is ready at the head of the order, as much as one batch holds."""
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
                for place in batch:
                    self._order.pop(place, None)
            self._put()

    def _ready(self) -> list[Place]:
        """Return what is encoded at the head of the order, as much as one batch holds."""
        if self._bytes <= _BATCH_BYTES:  # the common case, some times faster
            places = [*self._order]
            calls = [place.call for place in places]
            return places[: calls.index(None)] if None in calls else places
        batch: list[Place] = []
        size = 0
        for place in self._order:
            if place.call is None or (batch and size + place.size > _BATCH_BYTES):
                break
            batch.append(place)
            size += place.size
        return batch

    def _put(self) -> None:
        """Give the thread what is sent; there may be none yet, or none any more."""
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

    def _settled(self, sent: list[Place], ended: float) -> None:
        """Tell the callers of *sent* that their outcomes stand, since *ended*."""
        if sent is not self._sent:
            return  # told by now
        for place in sent:
            waiter = place.waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._sent = []
        # Anew: what an interrupt kept from being noted would make the lane full for ever.
        self._bytes = sum(place.size for place in self._order) if self._order else 0
        # Late is who was late then: what the loop did since was no waiting for the store.
        self._give_up_late(ended)
        self._admit()
        self._note_use()
        # After all who are told now: what they append next goes together.
        self._send_soon()

    def _look_soon(self) -> None:
        self._look = self.loop.call_later(_LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        """Give up who is late; go on where an interrupt kept the thread or the loop from it."""
        self._look = None
        self._tidy()
        if not self._is_used():
            return
        self._look_soon()
        if not self._sent:
            self._send()
        elif all(place.call is None or place.call.done for place in self._sent):
            self._settled(self._sent, monotonic())
        elif self._writer is None or not self._writer.is_alive():
            self._put()
        self._give_up_late(monotonic())
        self._admit()
        self._note_use()

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
            message = f"unclosed AsyncBackend of {self.store.source}"
            warn(message, ResourceWarning, stacklevel=2, source=self)


class Writer(JobThread):
    """The thread that has write calls written; it holds nothing while there are none."""


def _calls(places: list[Place]) -> list[Call]:
    return [place.call for place in places if place.call is not None]


def _write(store: PersistenceBackend, lane: Lane, sent: list[Place]) -> None:
    store._commit_all(_calls(sent))
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        lane.loop.call_soon_threadsafe(lane._settled, sent, monotonic())
