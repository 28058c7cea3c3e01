"""
The one thread of a process that brings written records to the disk, a second later.

File stores with `sync="interval"` call `sync_soon`. The thread holds no store: a store that is dropped is
freed at once, and syncs its own records then. Stores that the thread has not synced by the end of the program
are synced at that point.
"""

import atexit
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Protocol
from weakref import ref

from papyra.system.forks import forget_in_child

#: Seconds between two rounds: what `sync="interval"` may lose in a power cut, and one sync more.
INTERVAL: Final = 1.0


class Dirty(Protocol):
    """A store with written records that are not on the disk yet."""

    #: Its path, for messages.
    source: str
    #: Whether it waits for a sync.
    _is_dirty: bool
    #: Warnings that are to be logged once no lock is held.
    _pending_warnings: list[str]

    def _sync_written(self) -> None:
        """Bring the records to the disk; raise nothing."""


class _Syncer:
    """Hold weak references to the dirty stores, and run the thread that syncs them."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        # Not a list and an Event: `Event.set` is written in Python, and an interrupt in it leaves its lock
        # locked for ever. This queue puts in one call of C.
        self._dirty: SimpleQueue[ref[Dirty]] = SimpleQueue()
        # Stores that the thread has taken, until all of them are synced; stores that `end` has taken.
        self._round: list[ref[Dirty]] = []
        self._last: list[ref[Dirty]] = []
        self._thread: threading.Thread | None = None
        self._is_ending = False
        self._knows_of_end = True
        forget_in_child(self)

    def add(self, store: Dirty) -> None:
        """Have *store* synced within a second; at once where the program ends."""
        if not self._knows_of_end:
            atexit.register(self.end)
            self._knows_of_end = True
        if not self._is_ending:
            self._dirty.put(ref(store))
        # Asked once more, because `end` sets it before it empties the queue.
        if self._is_ending:
            store._sync_written()
        elif self._is_running() or self._start(store):
            # Last: if an interrupt strikes before, the next append adds the store once more.
            store._is_dirty = True

    def end(self) -> None:
        """Sync the stores that the thread has not synced; safe to repeat."""
        self._is_ending = True
        try:
            self._sync_left()
        except BaseException:
            self._sync_left()
            raise

    def _sync_left(self) -> None:
        # The queue first: the thread may take from it meanwhile, and forgets the stores that it has synced.
        _take_all(self._dirty, self._last)
        for waiting in (*self._last, *self._round):
            _sync(waiting)

    def _is_running(self) -> bool:
        # A thread that is not alive was kept from starting by an interrupt.
        return self._thread is not None and self._thread.is_alive()

    def _start(self, store: Dirty) -> bool:
        """Start the thread; False if another thread starts it now, or it cannot be started."""
        held: list[bool] = []
        try:
            # Without waiting, because a finalizer may append while this very thread starts the other. In one
            # call of C, so that no interrupt comes between getting the lock and noting it.
            held.extend(map(self._starting.acquire, (False,)))
            if True not in held:
                return False  # the next append of this store adds it once more
            if not self._is_running():
                self._thread = threading.Thread(target=self._run, name="papyra-sync", daemon=True)
                self._thread.start()
        except RuntimeError as error:  # the next append tries again
            store._pending_warnings.append(
                f"{store.source}: written records are not synced yet, because the thread for that cannot be"
                f" started ({error}); the next append tries again, and close() syncs them"
            )
            return False
        finally:
            if True in held:
                self._starting.release()
        return True

    def _run(self) -> None:
        waiting = self._round
        while True:
            # These are calls of C, so at each moment a store is in the queue or in the list.
            waiting.extend(map(self._dirty.get, (True,)))
            time.sleep(INTERVAL)
            _take_all(self._dirty, waiting)
            for one in waiting:
                _sync(one)
            waiting.clear()

    def _after_fork(self) -> None:
        self._starting = threading.Lock()
        self._dirty = SimpleQueue()
        self._round, self._last = [], []
        self._thread = None
        # A child of multiprocessing forgets the functions that were registered with atexit.
        self._knows_of_end = False


def _take_all(queue: "SimpleQueue[ref[Dirty]]", into: "list[ref[Dirty]]") -> None:
    with suppress(Empty):
        into.extend(iter(queue.get_nowait, None))  # which is never in it


def _sync(waiting: "ref[Dirty]") -> None:
    store = waiting()
    if store is not None:
        store._sync_written()


_syncer = _Syncer()
# Now, and not with the first store: the function registered first is called last, after all appends at exit.
atexit.register(_syncer.end)


def sync_soon(store: Dirty) -> None:
    """Have *store* synced within a second, by the one thread of this process."""
    _syncer.add(store)


def is_ending() -> bool:
    """Tell whether the program ends, so that nothing is synced later."""
    return _syncer._is_ending
