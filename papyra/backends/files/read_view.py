"""
The read view: the files of a store at one moment, and the lines in them.

Reads, scans, previews and rewrites take their lines from it. It decides neither what a line contains nor what
becomes of it.
"""

import os
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple, Self

from papyra.backends.files.generation import last_number_in
from papyra.backends.files.legacy.duplicates import Marker
from papyra.backends.files.legacy.leftovers import Remains
from papyra.backends.files.line_reader import FileLine, backward, batches, forward
from papyra.backends.files.paths import Layout
from papyra.reading.scanner import Moment
from papyra.system.descriptors import Descriptors, FileLock
from papyra.system.locks import LOCK_SHARED


class DataFile(NamedTuple):
    """
    A file with lines in it, as it was when the view began.

    Attributes:
        size: Bytes; no process was in the middle of a line then.
        is_remains: Whether a killed repair of 0.3.0 left it: a record in it counts if no other file has it.
    """

    path: str
    size: int
    is_remains: bool


class OpenedFile(NamedTuple):
    """
    A file that was opened to be read; closing *owner* closes it.

    Attributes:
        size: How many of its bytes belong to the view.
    """

    owner: Descriptors
    descriptor: int
    size: int


class View:
    """
    Show all files of one moment, oldest first; the active file is held open.

    A segment is opened when its turn comes, and read whole, because no process appends to it. If it is gone
    then, a rotation dropped it; if another file is in its place, a rewrite replaced it.

    Args:
        layout: The store's names.
        timeout: Seconds to wait for a process that rotates or rewrites the store.
        make_lock: Make the lock if it is missing, so that a first append is kept out, too.
        without: Paths of files that are left out.
        only: Paths of the files that are looked at; by default all.

    Attributes:
        files: Oldest first; the active file is the last, if it is there.
        last_number: With *make_lock*, the highest number of a segment at that moment: the next rotation
            gives the active file the next number.
        has_legacy: Whether 0.3.0 rotated or left any of the files.
        remains: Tells which records in the leftovers of 0.3.0 are in no other file.

    Raises:
        StoreLockedError: if another process held the store for longer than *timeout* seconds.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        timeout: float,
        make_lock: bool = False,
        without: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> None:
        self._without, self._only = without, only
        self.files: list[DataFile] = []
        self._owner = Descriptors()
        self._active = -1
        self._is_set = False
        self.has_legacy: bool = False
        self.last_number: int = 0
        # A store that was never written has no lock file, and a read does not make one.
        like = layout.owner if make_lock else ""
        while True:
            with FileLock(layout.lock, LOCK_SHARED, timeout=timeout, create_like=like) as lock:
                try:
                    self._look_at(layout)
                    if make_lock and lock.descriptor is not None:
                        noted = last_number_in(lock.descriptor)
                        self.last_number = max(layout.last_number(), noted)
                except FileNotFoundError:
                    if lock.descriptor is not None or not os.path.exists(layout.lock):
                        raise
            if lock.descriptor is not None or not os.path.exists(layout.lock):
                break
            # The first writer came meanwhile, and may have renamed the files that were there.
            self.close()
            self._owner = Descriptors()
        remains = {f.path: partial(self._lines_of, [f]) for f in self.files if f.is_remains}
        others = [file for file in self.files if not file.is_remains]
        self.remains: Remains = Remains(partial(self._lines_of, others), remains)

    def _look_at(self, layout: Layout) -> None:
        """Note all files, and open the active one."""
        slots = [slot for slot in layout.slots() if self._is_wanted(slot.path)]
        self.files = []
        self.has_legacy = any(slot.is_legacy for slot in slots)
        self._is_set = any(slot.is_legacy and not slot.is_remains for slot in slots)
        sealed = [slot for slot in slots if slot.path != layout.path]
        if len(sealed) < len(slots) and layout.stat() is not None:
            self._active = self._owner.open(layout.path, os.O_RDONLY)
        try:
            for slot in sealed:
                status = os.stat(slot.path)
                self.files.append(_data_file(slot.path, status, is_remains=slot.is_remains))
            if self._active >= 0:
                self.files.append(_data_file(layout.path, os.fstat(self._active)))
        except BaseException:
            self.close()
            raise

    def _is_wanted(self, path: str) -> bool:
        return path not in self._without and (self._only is None or path in self._only)

    def open(self, file: DataFile) -> OpenedFile | None:
        """Open *file*; return None if it is gone."""
        owner = Descriptors()
        if self._active >= 0 and file is self.files[-1]:
            return OpenedFile(owner, owner.duplicate(self._active), file.size)
        try:
            descriptor = owner.open(file.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        return OpenedFile(owner, descriptor, os.fstat(descriptor).st_size)

    def lines(self, *, newest_first: bool) -> Iterator[FileLine]:
        """Iterate over the lines of all files."""
        marker = self.marker()
        for file in reversed(self.files) if newest_first else self.files:
            lines = self._lines_of([file], newest_first=newest_first)
            with closing(lines):
                if file.is_remains:
                    yield from self.remains.only_here(file.path, lines, newest_first=newest_first)
                else:
                    yield from lines if marker is None else marker.marked(lines)

    def batches(self) -> Iterator[Sequence[bytes | int]]:
        """Iterate over the lines of all files, oldest first, many at once and without their places."""
        if any(file.is_remains for file in self.files):
            yield from Moment(self.lines).batches()
            return
        for file in self.files:
            if opened := self.open(file):
                with opened.owner:
                    yield from batches(opened.descriptor, opened.size, file.path)

    def marker(self) -> Marker | None:
        """Return what marks the lines of the files that 0.3.0 rotated; None if there are none."""
        return Marker() if self._is_set else None

    def _lines_of(
        self, files: Iterable[DataFile], *, newest_first: bool = False
    ) -> Generator[FileLine]:
        for file in files:
            if opened := self.open(file):
                with opened.owner:
                    look = backward if newest_first else forward
                    yield from look(opened.descriptor, opened.size, file.path)

    def close(self) -> None:
        """Close the active file."""
        self._active = -1
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _data_file(path: str, status: os.stat_result, *, is_remains: bool = False) -> DataFile:
    return DataFile(path, status.st_size, is_remains)
