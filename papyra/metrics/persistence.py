"""
Count for one store object: ten counters that stay exact under threads, finalizers and signals.

Totals only rise. A reset moves a baseline, so that people see zero while exporters, which read the
totals, never see a fall. OpenTelemetry would report one as a negative delta.

Every store has a `PersistenceMetrics`; `papyra.backend` increments it. `papyra.metrics.storage` keeps the numbers, or
`papyra.metrics.own_page` once other processes see them.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from threading import RLock, get_ident
from typing import Any, Final, Protocol, TypeVar

from papyra.errors import StoreBusyError
from papyra.metrics.names import NAMES, CounterName, checked, misnamed, whole
from papyra.metrics.storage import CounterStorage, LocalCounterStorage
from papyra.metrics.totals import RESET_DONE
from papyra.system.forks import forget_in_child

_Result = TypeVar("_Result")

_INDEX: Final = {name: index for index, name in enumerate(NAMES)}
#: The index of `records_written` among the totals.
WRITTEN: Final = _INDEX["records_written"]
_WRITE_ERRORS: Final = _INDEX["write_errors"]


#: Makes `acquire` try the lock without waiting.
_AT_ONCE: Final = False
#: Tries to read the totals without the lock.
_MOST_LOOKS: Final = 1000


class WriteCall(Protocol):
    """A write call, as the counters see it: its outcome has been counted, or not yet."""

    done: bool


class PersistenceMetrics:
    """
    Ten counters of one store; safe to use from any thread, finalizer and signal handler.

    A finalizer or handler may interrupt a look at the counters in the same thread. Its counts are never lost: they
    wait until that look has ended, and it sees them itself at once.

    Args:
        unsupported: Names of the counters that this kind of store never moves.

    Attributes:
        supported: The names of the others, in the specification's order.
    """

    __module__ = "papyra"

    __slots__ = (
        "__weakref__",
        "_cells",
        "_counts_written",
        "_holder",
        "_is_held_here",
        "_late",
        "_lock",
        "_moves",
        "_storage",
        "_tries",
        "_unsupported",
        "supported",
    )

    def __init__(self, *, unsupported: Iterable[str] = ()) -> None:
        self._unsupported = checked(unsupported, "unsupported")
        self.supported: tuple[str, ...] = tuple(
            name for name in NAMES if name not in self._unsupported
        )
        # Asked at each append.
        self._counts_written = NAMES[WRITTEN] not in self._unsupported
        # Its holder takes no other lock itself. A finalizer may run in the holder's thread, and the lock lets
        # it in again. Counting and `totals` do not wait for the lock, because a finalizer in the holder's thread
        # may wait for their callers.
        self._new_lock()
        # The id of the thread that looks at the counters, or 0.
        self._holder = 0
        # Counts that are not in the cells yet: a count never waits.
        self._late: deque[tuple[int, int]] = deque()
        # Odd while a late count is on its way into the cells.
        self._moves = 0
        self._use(LocalCounterStorage())
        forget_in_child(self)

    @property
    def since(self) -> float:
        """The time of the last reset, or of opening if there was none, in seconds since the epoch."""
        return self._alone(self._read)[2]

    def __reduce__(self) -> tuple[object, ...]:
        """Let a copy, or an unpickled object, count from zero: no event is counted in two places."""
        return partial(PersistenceMetrics, unsupported=tuple(self._unsupported)), ()

    def increment(self, name: CounterName, n: int = 1) -> None:
        """
        Raise the counter *name* by *n*; a counter that is not supported stays at 0.

        Raises:
            ValueError: for a name that is not one of the ten, or a negative *n*.
            TypeError: if *name* is not a string, or *n* not an integer; a bool is refused, too.
        """
        if type(n) is not int:
            n = whole(n)
        try:
            index = _INDEX.get(name)
        except TypeError:  # it has no hash
            index = None
        if index is None:
            raise misnamed(name)
        if n < 0:
            raise ValueError(
                f"{name} must rise by 0 or more, got {n}: a total never falls; reset() begins a new interval"
            )
        if name in self._unsupported:
            return
        # The lock is not waited for, because its holder may wait for a call that this one interrupted.
        self._late.append((index, n))
        self._take_in()

    def snapshot(self) -> dict[str, int]:
        """Return each counter's rise since the last reset: a fresh dict, always of all ten."""
        totals, baseline, _ = self._alone(self._read)
        return {
            name: total - base for name, total, base in zip(NAMES, totals, baseline, strict=True)
        }

    def totals(self) -> dict[str, int]:
        """
        Return each counter's rise since the store object was made; a reset changes nothing.

        Exporters read this: `snapshot` falls at a reset, and the counts between the exporter's last
        look and the reset would be lost.
        """
        return dict(zip(NAMES, self._amounts(), strict=True))

    def _amounts(self) -> list[int]:
        """
        Return the totals in the order of `COUNTERS`, without waiting for a look at the counters.

        An exporter holds its own lock while it asks. A finalizer may need that lock in a thread that
        looks at the counters, and both would wait for each other.
        """
        for _ in range(_MOST_LOOKS):
            moves, cells = self._moves, self._cells
            try:
                amounts, late = list(cells), self._late.copy()
            except ValueError:
                if cells is self._cells:
                    raise
                continue  # they were published, or closed, meanwhile
            # A look that this very thread interrupted does not go on before this returns.
            if (not moves % 2 and moves == self._moves) or self._is_held_here():
                break
        else:  # without a GIL, another thread may be stopped on the way
            return self._alone(self._read)[0]
        for index, n in late:
            amounts[index] += n
        return amounts

    def reset(self) -> dict[str, int]:
        """
        Start a new interval and return the counts of the one that ends.

        One lock covers both, so an increment of another thread falls into exactly one interval. The
        intervals and the last snapshot add up to `totals`. If it is interrupted, nothing was reset,
        or a note of the exception tells the interval.

        Raises:
            StoreLockedError, StoreIOError: if other processes see the counters, and one of them
                resets them for too long, or the system refuses; nothing was reset then.
            StoreBusyError: if it interrupts another look at them in this very thread; nothing
                was reset then.
        """
        me = get_ident()
        if self._holder == me:
            raise StoreBusyError("the counters")
        counts: dict[str, int] = {}
        notes: list[str] = []
        done = False
        try:
            while not done:
                storage = self._storage
                with storage.resetting(), self._lock:
                    try:
                        self._holder = me
                        # Otherwise it was published, or closed, meanwhile.
                        if storage is self._storage:
                            self._take_in_late()
                            interval = storage.begin_interval(time.time())
                            counts = dict(zip(NAMES, interval, strict=True))
                            notes = [RESET_DONE + json.dumps(counts)]
                            # Between these two no signal is delivered.
                            storage.end_interval()
                            done = True
                    finally:
                        self._holder = 0
            self._take_in()
        except BaseException as error:
            if done:
                # No call here: a second interrupt would leave the interval in neither.
                try:  # noqa: SIM105  suppress would be a call
                    notes += error.__notes__
                except AttributeError:
                    pass
                error.__notes__ = notes
            raise
        return counts

    def _take_in(self) -> None:
        """Take in the late counts, unless the lock is held: then its holder takes them in afterwards."""
        while self._late:
            held = False
            try:
                # No call of Python's: no interrupt comes between getting the lock and noting it.
                for held in self._tries:  # noqa: B007  it is what is noted
                    break
                if not held or self._holder:
                    return
                try:
                    self._holder = get_ident()
                    self._take_in_late()
                finally:
                    self._holder = 0
            finally:
                if held:
                    self._lock.release()

    def _alone(self, do: Callable[[], _Result]) -> _Result:
        """Call *do* under the lock and return its result; counts of the meantime wait as late ones."""
        me = get_ident()
        with self._lock:
            interrupted = self._holder
            try:
                self._holder = me
                if not interrupted:
                    self._take_in_late()
                result = do()
                if not interrupted:
                    self._take_in_late()
            finally:
                self._holder = interrupted
        if self._late:
            self._take_in()
        return result

    def _take_in_late(self) -> None:
        late = self._late
        while late:
            index, n = late[0]
            # No call between these: an interrupt strikes before all or after all.
            self._moves |= 1
            self._cells[index] += n
            del late[0]
            self._moves += 1

    def _read(self) -> tuple[list[int], list[int], float]:
        """Return totals, baseline and the time of the last reset."""
        totals, baseline, since = self._storage.read()
        for index, n in self._late.copy():
            totals[index] += n
        return totals, baseline, since

    def _settle_written(self, stored: int) -> None:
        """
        Set `records_written` to what the store says it stored; repeating it does no harm.

        It takes no lock, because no other call writes this total. A move of the counters to another storage takes the
        lock of the store's commit queue, which the caller of this holds.
        """
        if self._counts_written:
            self._cells[WRITTEN] = stored

    def _settle_failed(self, calls: Sequence[WriteCall]) -> None:
        """Count each call that is not done as one write error and as done, both at once."""
        self._alone(partial(self._end, calls))

    def _end(self, calls: Sequence[WriteCall]) -> None:
        late = self._late
        error = [(_WRITE_ERRORS, 1)] if NAMES[_WRITE_ERRORS] not in self._unsupported else []
        for call in calls:
            if not call.done:
                # No call between these two, for the same reason.
                late += error
                call.done = True

    def _new_lock(self) -> None:
        self._lock = RLock()
        # Each step tries to get it, and says whether it did.
        self._tries = map(self._lock.acquire, repeat(_AT_ONCE))
        # Whether this very thread holds it: exact, also between getting it and noting the holder.
        self._is_held_here: Callable[[], bool] = getattr(self._lock, "_is_owned")  # noqa: B009  typeshed does not have it

    def _count_in(self, storage: CounterStorage) -> None:
        """Move the counts into *storage*, which is new, and count there from now on; none is lost meanwhile."""
        self._alone(partial(self._load, storage))

    def _load(self, storage: CounterStorage) -> None:
        storage.load(*self._storage.read())
        self._use(storage)

    def _use(self, storage: CounterStorage) -> None:
        self._storage = storage
        # Each increment needs them: by way of the storage it would cost 2 % more.
        self._cells = storage.cells

    def _after_fork(self) -> None:
        self._new_lock()
        self._holder = 0
        self._late = deque()
        self._use(LocalCounterStorage())


class State(dict[object, Any]):
    """
    The state of an object with new counters, for a shallow copy.

    A deep copy, or a pickle, is made with the object's own counters in their place again. So all references to
    them become references to the same new ones, wherever in the object they are.
    """

    __slots__ = ("mine", "new")

    mine: PersistenceMetrics
    new: PersistenceMetrics

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (replaced(self, self.new, self.mine),)


def replaced(state: dict[object, Any], old: object, new: object) -> dict[object, Any]:
    """Return a copy of *state* with *new* wherever *old* is."""
    return {name: new if value is old else value for name, value in state.items()}
