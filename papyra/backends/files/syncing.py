"""The one thread of a process that brings written records to the disk, a second later."""

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from papyra.system import forget_in_child

#: Seconds between two rounds: what `sync="interval"` may lose in a power cut, and one sync more.
INTERVAL: Final = 1.0


class Dirty(Protocol):
    """A store with written records that are not on the disk yet."""

    #: It waits for a sync.
    _is_dirty: bool
    #: What is to be logged once no lock is held.
    _untold: list[str]

    def _sync_written(self) -> None:
        """Bring them there; raise nothing."""


class _Syncer:
    """Dirty stores, held until they are synced, and the thread that does it."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        # Not a list and an Event: one is written in Python, and an interrupt within `set` leaves its
        # lock locked for ever. This puts in one call of C.
        self._dirty: SimpleQueue[Dirty] = SimpleQueue()
        self._thread: threading.Thread | None = None
        forget_in_child(self)

    def add(self, store: Dirty) -> None:
        """Have *store* synced within a second."""
        self._dirty.put(store)
        if self._is_running() or self._start(store):
            # Last: what an interrupt leaves without its mark, the next append adds once more.
            store._is_dirty = True

    def _is_running(self) -> bool:
        # Not alive: none was started yet, or an interrupt kept it from starting.
        return self._thread is not None and self._thread.is_alive()

    def _start(self, store: Dirty) -> bool:
        """Start the thread; False if that is somebody else's to do now, or cannot be done."""
        held: list[bool] = []
        try:
            # Not waited for: a finalizer may append while this very thread starts it. One call of C:
            # no interrupt comes between getting the lock and noting it.
            held.extend(map(self._starting.acquire, (False,)))
            if True not in held:
                return False  # the next append of this store adds it once more
            if not self._is_running():
                self._thread = threading.Thread(target=self._run, name="papyra-sync", daemon=True)
                self._thread.start()
        except RuntimeError as error:  # the next append tries again
            store._untold.append(f"written records wait for the disk: {error}")
            return False
        finally:
            if True in held:
                self._starting.release()
        return True

    def _run(self) -> None:
        while True:
            dirty = [self._dirty.get()]
            time.sleep(INTERVAL)
            with suppress(Empty):
                while True:
                    dirty.append(self._dirty.get_nowait())
            while dirty:
                dirty.pop()._sync_written()

    def _after_fork(self) -> None:
        self._starting = threading.Lock()
        self._dirty = SimpleQueue()
        self._thread = None


_syncer = _Syncer()


def sync_soon(store: Dirty) -> None:
    """Have *store* synced within a second, by the one thread of this process."""
    _syncer.add(store)
