"""
Write calls of one event loop that cannot be written at once: encoded and written in the order of their start.

`papyra.aio` calls it. A call is queued in the lane before its records are encoded, and keeps its place
while the encoding lets the loop go on. A call that is cancelled, dropped or late gives its place up.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NoReturn

from papyra.aio.loop_writer import Lane
from papyra.aio.queued_call import QueuedCall
from papyra.backend import PersistenceBackend
from papyra.errors import PapyraError, StoreClosedError, StoreLockedError
from papyra.record import Record
from papyra.system.clock import monotonic
from papyra.writing.call import Call

#: Records that are encoded before other tasks may go on.
AT_ONCE: Final = 64
#: The least seconds after which a call that does not go on encoding gives its place up.
_STUCK: Final = 1.0


async def write_in_order(
    lane: Lane,
    deadline: float,
    encoded: Sequence[bytes],
    rest: Iterator[Record] | None,
    write_inline: Callable[[Call], bool],
) -> Call:
    """
    Have the *encoded* records, and the *rest*, written in the place that the call takes now.

    Args:
        lane: The running loop's way to the store.
        deadline: When it gives up waiting for others; the time that its own records take to
            encode does not count.
        encoded: The records that are encoded already.
        rest: The records that are not; None if there are none.
        write_inline: Writes a call on the loop if that takes no waiting.

    Raises:
        StoreLockedError: when the deadline passed before it could be written.
        Exception: why it could not be encoded or written; it is counted by then.
    """
    store, queued = lane.store, lane.enter(deadline)
    try:
        if queued.waiter is not None:
            await queued.waiter
            _check_in_time(store, queued)
        if rest is not None:
            encoded = await _encoded(lane, queued, encoded, rest)
        else:
            lane.grow(queued, sum(map(len, encoded)))
        call = Call(encoded, queued.deadline)
        if not encoded or (rest is not None and lane.is_alone(queued) and write_inline(call)):
            lane.leave(queued)
            return call
        await lane.gather(queued, call)
    except GeneratorExit:  # perhaps the garbage collector, in the middle of anything
        lane.abandon(queued)
        raise
    except BaseException:
        lane.leave(queued)
        raise
    if queued.is_late or call.error is not None:
        fail(store, queued, call)
    return call


async def _encoded(
    lane: Lane, queued: QueuedCall, encoded: Sequence[bytes], rest: Iterator[Record]
) -> list[bytes]:
    """Encode the *rest* for *queued*, which keeps its place; the loop goes on in between."""
    store, patience = lane.store, queued.deadline - monotonic()
    bodies = [*encoded]
    lane.grow(queued, sum(map(len, bodies)))
    while True:
        if bodies:
            # Otherwise a coroutine that its owner does not resume would block the others for ever.
            queued.deadline = monotonic() + max(store._lock_timeout, _STUCK)
            await asyncio.sleep(0)
            _check_in_time(store, queued)
        more = store._encode(islice(rest, AT_ONCE))
        lane.grow(queued, sum(map(len, more)))
        bodies += more
        if len(more) < AT_ONCE:
            queued.deadline = monotonic() + patience
            return bodies


def _check_in_time(store: PersistenceBackend, queued: QueuedCall) -> None:
    """Raise, and count, that *queued* was given up, if it was."""
    if queued.is_late:
        holder = "earlier appends of its event loop"
        store._reject(StoreLockedError(store.source, store._lock_timeout, holder))


def fail(store: PersistenceBackend, queued: QueuedCall, call: Call) -> NoReturn:
    """Raise why the *call* of *queued* was not written; it is counted by then."""
    _check_in_time(store, queued)
    call.result()
    raise AssertionError(f"{call!r} did not fail")


def refuse(store: PersistenceBackend) -> NoReturn:
    """Refuse a write call as the closed *store* does, also while the store is still being closed."""
    try:
        store._check_usable()
        raise StoreClosedError(f"{store.source}: the store is closed; open it again")
    except PapyraError as error:
        store._reject(error)
