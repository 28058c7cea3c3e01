"""One write call, as the commit queue handles it, and the store that it is written to."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from threading import Lock
from types import TracebackType
from typing import Final, Protocol

from papyra.metrics.persistence import PersistenceMetrics
from papyra.reports import Anomaly
from papyra.system.clock import monotonic

#: The most that one batch takes; one call alone may be larger.
_BATCH_CALLS: Final = 1024
_BATCH_BYTES: Final = 1024 * 1024
#: The most messages that wait to be logged.
_MOST_PENDING_WARNINGS: Final = 100


class WouldBlock(BaseException):
    """
    An append that must not wait would have to, and has changed nothing.

    Deliberately not an `Exception`: like an interrupt, it leaves the batch untouched and is never counted.
    """

    __module__ = "papyra.primitives"


class Store(Protocol):
    """The part of a store that its queue uses."""

    metrics: PersistenceMetrics
    source: str
    #: Records stored by this object; moved by `_append` in one assignment.
    _stored: int
    #: Messages to log once no lock is held.
    _pending_warnings: list[str]
    _lock_timeout: float
    _closed: bool

    def _check_usable(self) -> None: ...

    def _append(
        self, lines: Sequence[bytes], *, deadline: float, may_wait: bool
    ) -> list[Anomaly]: ...

    def _resolve(self) -> int: ...

    def _report_append_damage(self, findings: Sequence[Anomaly]) -> None: ...


class Call:
    """
    One write call on its way.

    Args:
        bodies: Its encoded records, at least one.
        deadline: When it gives up waiting, by the clock `time.monotonic`.

    Attributes:
        done: Its outcome is known and counted, or it was cancelled.
        error: Why it failed; None if it did not. One error may be that of many calls.
        traceback: Where that was raised.
        writer: The first half of its records' ids, once it is stored.
        first: The number of its first record, once it is stored.
        settled: The lock that its caller waits at, if it waits.
        is_sealed: Its bodies are whole lines of another store, and stay as they are.
        is_soon: No caller waits for it: the next leader writes it (see `append_soon`).
    """

    # Defaults of the class, because they cost a call nothing: most are never set.
    done = False
    error: BaseException | None = None
    traceback: TracebackType | None = None
    writer = ""
    first = 0
    settled: "Lock | None" = None
    is_sealed = False
    is_soon = False

    def __init__(self, bodies: Sequence[bytes], deadline: float) -> None:
        self.bodies = bodies
        self.deadline = deadline

    @property
    def size(self) -> int:
        """Bytes of its encoded records."""
        return sum(map(len, self.bodies))

    def result(self) -> list[str]:
        """Return the ids of its records, or raise why they are not stored; its outcome is known."""
        if self.error is not None:
            raise self.error.with_traceback(self.traceback)
        numbers = range(self.first, self.first + len(self.bodies))
        return [f"{self.writer}-{number}" for number in numbers]

    def fail(self, error: BaseException) -> None:
        """Note why it failed, unless its outcome is known."""
        if not self.done:
            self.error, self.traceback = error, error.__traceback__


def first_of(waiting: Iterable[Call], own: Collection[Call]) -> list[Call]:
    """Return the first calls that wait, as many as a batch holds."""
    calls: list[Call] = []
    size, now = 0, monotonic()
    for call in waiting:
        # A call that ran out of time is about to withdraw, and is not written any more.
        if call.done or (call.deadline < now and call not in own):
            continue
        if calls and (size + call.size > _BATCH_BYTES or len(calls) == _BATCH_CALLS):
            break
        calls.append(call)
        size += call.size
    return calls


def soon_of(waiting: Iterable[Call]) -> list[Call]:
    """Return the calls that wait without a caller, and have no outcome yet."""
    return [call for call in waiting if call.is_soon and not call.done]


def note_lost(store: Store, number: int, error: BaseException) -> None:
    """Have the loss of records of `append_soon` logged: their callers have gone on."""
    pending = store._pending_warnings
    if len(pending) >= _MOST_PENDING_WARNINGS:  # a closed store may be given any number of them
        return
    what = "a record" if number == 1 else f"{number} records"
    more = (
        "; more of them are in write_errors alone"
        if len(pending) == _MOST_PENDING_WARNINGS - 1
        else ""
    )
    pending.append(
        f"{store.source}: {what} given to append_soon() could not be stored: {error}{more}"
    )


def wake(call: Call) -> None:
    """Let *call*'s caller go on; a second time does no harm."""
    settled = call.settled
    if settled is None or not settled.locked():
        return
    try:
        settled.release()
    except RuntimeError:  # another thread woke it between the two
        return


# Loops within a `with` are functions of their own. Python 3.12 and 3.13 do not guard a jump back that
# depends on a condition: an interrupt there would leave the lock locked.
def drop_done(pending: deque[Call]) -> None:
    """Let go of the first calls, up to one without an outcome."""
    while pending and pending[0].done:
        pending.popleft()


def missing(calls: Iterable[Call], present: Collection[Call]) -> list[Call]:
    """Return those of the *calls* without an outcome that are not *present*."""
    return [call for call in calls if not call.done and call not in present]
