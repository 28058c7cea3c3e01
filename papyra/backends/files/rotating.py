"""
The store that is a set of NDJSON files, each with a bound for its size.

It decides when a full file becomes a segment, under which number, and which files are dropped.
"""

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from papyra.backends.files.generation import LAST_NUMBER, last_number_in, note_number
from papyra.backends.files.read_view import View
from papyra.backends.files.store import FileBackend
from papyra.errors import StoreIOError
from papyra.primitives import Sync
from papyra.reading.scanner import Line
from papyra.retention import Retention
from papyra.system.descriptors import FileLock
from papyra.system.locks import LOCK_EXCLUSIVE
from papyra.system.os_errors import refusals


class RotatingBackend(FileBackend):
    """
    Append to one active file, and keep segments: the active files before it, each renamed once.

    A segment has the name of the active file and 12 digits more; its number is never used again.
    A batch that does not fit begins a new file; one that is larger than *max_bytes* gets a file of
    its own. Any number of processes may append, read, scan, compact and recover the set at once.
    On Windows, where there is no flock, one process may, and its counters are not published.

    Args:
        path: The active file; made by the first append, in a directory that exists.
        max_bytes: The most bytes of a file; only one record or batch alone may have more.
        max_files: The most files, the active one included; beyond them the oldest are dropped, with
            a warning, when a new one is begun. By default none is dropped. Files that repairs and
            compactions of Papyra 0.3.0 left do not count.
        retention: What is kept; by default everything.
        sync: When written records are brought to the disk. "none" leaves it to the operating
            system, "interval" does it once a second, "always" before a write is acknowledged.
        lock_timeout: Seconds that a call waits for other threads and processes.
    """

    __module__ = "papyra"

    kind = "rotating"

    def __init__(  # noqa: PLR0913  as many as there are options
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = 64 * 1024 * 1024,
        max_files: int | None = None,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        for name, bound in (("max_bytes", max_bytes), ("max_files", max_files)):
            if bound is not None and (type(bound) is not int or bound < 1):
                raise ValueError(f"{name} must be a whole number from 1 on, got {bound!r}")
        super().__init__(path, retention=retention, sync=sync, lock_timeout=lock_timeout)
        self._max_bytes = max_bytes
        self._max_files = max_files

    def _rotate(self) -> None:
        self._sync_active()
        self._active.rotate(self._next_segment())
        try:
            self._drop_oldest()
        except OSError as error:  # the record can be stored all the same
            self._pending_warnings.append(
                f"{self.source}: more than {self._max_files} files: {error}"
            )

    def _next_segment(self) -> str:
        """
        Return the path that the full file gets: its number was never used, and is noted as used now.

        The highest number is kept in the lock file, since the segments that had the highest ones may
        have been dropped. The lock is held.
        """
        layout, lock = self._layout, self._active.lock
        number = 1 + max(layout.last_number(), last_number_in(lock))
        # Renaming replaces the file at the new path, which may be the only copy of something. A store
        # that another program makes there has its lock first.
        while any(os.path.lexists(layout.segment(number) + side) for side in ("", ".lock")):
            number += 1
        if number > LAST_NUMBER:
            raise StoreIOError(
                errno.EOVERFLOW,
                "no number is left for a full file; move the file with the highest one away",
                layout.path,
            )
        note_number(lock, number)
        return layout.segment(number)

    def _excess(self) -> Mapping[str, int]:
        sizes = {}
        with refusals(self.source, "nothing was compacted"):
            for path in self._beyond_bound():
                with suppress(FileNotFoundError):  # a rotation of another process dropped it
                    sizes[path] = os.lstat(path).st_size
        return sizes

    def _lines_in(self, sources: Collection[str]) -> Iterator[Line]:
        with (
            refusals(self.source, "nothing was compacted"),
            View(self._layout, timeout=self._lock_timeout, only=sources) as view,
        ):
            yield from view.lines(newest_first=False)

    def _trim(self, excess: Collection[str]) -> Mapping[str, int]:
        layout, timeout = self._layout, self._lock_timeout
        if not excess:
            return {}
        with (
            refusals(self.source, "nothing was compacted"),
            FileLock(layout.lock, LOCK_EXCLUSIVE, timeout=timeout, create_like=layout.owner),
        ):
            # A file that a rotation put beyond the bound meanwhile was not counted: the next one drops it.
            return self._drop(path for path in self._beyond_bound() if path in excess)

    def _drop_oldest(self) -> None:
        """Remove the files beyond the bound; the lock is held."""
        self._drop(self._beyond_bound())

    def _drop(self, paths: Iterable[str]) -> dict[str, int]:
        """Remove the files at *paths*, and return their bytes; the lock is held."""
        dropped = {}
        for path in paths:
            size = os.lstat(path).st_size
            os.unlink(path)
            dropped[path] = size
            self._pending_warnings.append(
                f"{path}: dropped, as one file more than max_files={self._max_files}"
            )
        return dropped

    def _beyond_bound(self) -> list[str]:
        """Return the files beyond *max_files*, oldest first."""
        if self._max_files is None:
            return []
        files = [slot.path for slot in self._layout.slots() if not slot.is_remains]
        return files[: -self._max_files]
