"""The store that is one NDJSON file."""

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from papyra.backends.files.reading import backward, forward
from papyra.backends.files.rewrite import rewrite
from papyra.backends.files.store import FileBackend
from papyra.errors import StoreURLError
from papyra.primitives import Sync
from papyra.refusal import refusals
from papyra.reports import Rewritten
from papyra.retention import Retention
from papyra.selection import Judge
from papyra.sifting import Line
from papyra.system import HAS_FLOCK, LOCK_EXCLUSIVE, LOCK_SHARED, OPEN_FLAGS, locked


class JsonBackend(FileBackend):
    """
    One file, one record a line.

    Any number of processes may append, read, scan, compact and recover it at once. On Windows,
    where there is no flock, one process may, and its counters are not published.

    Args:
        path: The file; made by the first append, in a directory that exists.
        retention: What is kept; by default everything.
        sync: When written records are brought to the disk: "none" leaves it to the operating
            system, "interval" does it once a second, "always" before a write is acknowledged.
        lock_timeout: Seconds that a call waits for other threads and processes.

    Raises:
        StoreURLError: if rotated segments stand beside the file: it is a rotating store.
    """

    kind = "json"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        super().__init__(path, retention=retention, sync=sync, lock_timeout=lock_timeout)
        if segments := self._layout.segments():
            raise StoreURLError(
                f"{self.source}: it has rotated segments, as {segments[-1]};"
                f" open it as rotating:{path}"
            )

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        with refusals(self.source, "reading"):
            view = self._open_view()
            if view is None:
                return
            descriptor, size = view
            try:
                yield from (backward if newest_first else forward)(descriptor, size, self.source)
            finally:
                os.close(descriptor)

    def _open_view(self) -> tuple[int, int] | None:
        """Return a descriptor of the file and its size when nobody was writing; None without one."""
        if self._layout.stat() is None:
            return None
        with locked(self._layout.lock, LOCK_SHARED, timeout=self._lock_timeout):
            descriptor = os.open(self.source, os.O_RDONLY | OPEN_FLAGS)
            return descriptor, os.fstat(descriptor).st_size

    def _rewrite(self, judge: Judge) -> Rewritten:
        layout, timeout = self._layout, self._lock_timeout
        with refusals(self.source, "nothing was changed"):
            if layout.stat() is None:
                return Rewritten(0, 0)
            with (
                locked(
                    layout.maintenance_lock,
                    LOCK_EXCLUSIVE,
                    timeout=timeout,
                    create_like=layout.owner,
                ),
                self._own_appends_held(),
            ):
                for temporary in layout.temporaries():  # whoever wrote them is gone
                    os.unlink(temporary)
                return rewrite(layout, judge, timeout=timeout)

    def _own_appends_held(self) -> AbstractContextManager[object]:
        """Keep this object from appending where no flock does."""
        return nullcontext() if HAS_FLOCK else self._file_released()

    @contextmanager
    def _file_released(self) -> Generator[None]:
        with self._queue.lock:
            self._active.close()
            yield
