"""
The file that appends go to, kept open together with its lock.

Each append of a file store calls `ActiveFile.begin` first. Which number a full file gets, and the bytes that
are appended, are decided elsewhere: see `rotating` and `store`.
"""

import os
from collections.abc import Callable
from typing import Final
from warnings import warn

from papyra.backends.files.generation import FIRST_GENERATION, begin_generations, bump_generation
from papyra.backends.files.line_reader import last_line
from papyra.backends.files.paths import NAMES_UNSYNCED, NOT_LIKE_THE_OLD, Layout
from papyra.format.flaws import Flaw
from papyra.reading.scanner import anomaly_at, fragments_of
from papyra.reports import Anomaly
from papyra.system.clock import monotonic
from papyra.system.descriptors import Descriptors
from papyra.system.files import lacking, own_like, read_at
from papyra.system.locks import LOCK_EXCLUSIVE, flock, lock
from papyra.system.sync import sync_data, sync_directory
from papyra.writing.call import WouldBlock

#: Seconds between two looks whether a program that knows no generations moved the files away.
_LOOK_EVERY: Final = 0.05
_NONE: Final = -1


class ActiveFile:
    """
    Keep the active file and its lock open, and notice when another process replaced either.

    Args:
        layout: The store's names.
        is_synced_later: Whether written records are still to be brought to the disk when an append
            returns. If this object is dropped without `close`, it does that itself.

    Attributes:
        descriptor: Of the active file, for appending and reading; -1 before the first append.
        lock: Of the lock file; -1 before the first append.
        at_look: Called with the lock's descriptor, at most every 50 ms, when an append checks whether
            the files were moved; the lock is held.
        end: Where the active file ended after this object's last append; -1 before.
    """

    __slots__ = (
        "_file",
        "_generation",
        "_identity",
        "_is_synced_later",
        "_layout",
        "_lock_file",
        "_look_at",
        "at_look",
        "descriptor",
        "end",
        "lock",
    )

    def __init__(self, layout: Layout, *, is_synced_later: bool = False) -> None:
        self._layout = layout
        self._is_synced_later = is_synced_later
        self.descriptor: int = _NONE
        self.lock: int = _NONE
        self.end: int = _NONE
        self._generation = _NONE
        # These close the two descriptors, also where an interrupt kept them from being noted.
        self._file = self._lock_file = Descriptors()
        self._identity = (_NONE, _NONE)
        self._look_at = 0.0
        self.at_look: Callable[[int], None] | None = None

    def begin(
        self, *, deadline: float, timeout: float, may_wait: bool
    ) -> tuple[int, bytes, list[Anomaly]]:
        """
        Lock the store against every other writer, and open the file that an append must go to.

        The caller unlocks `lock`, also after an error.

        Returns:
            The end of the file, the bytes to write first, and the damage that was met. A newline is to be
            written first where the last line has none, so that a torn line does not swallow the record.

        Raises:
            StoreLockedError: when the deadline has passed.
            WouldBlock: if the caller must not wait, and a lock, an open file or a torn line would make it.
        """
        while True:
            if self.lock == _NONE:
                if not may_wait:
                    raise WouldBlock
                layout = self._layout
                opened = Descriptors()
                descriptor = opened.open_or_create(layout.lock, os.O_RDWR, like=layout.owner)
                self._lock_file, self.lock = opened, descriptor
            try:
                flock(self.lock, LOCK_EXCLUSIVE)
            except BlockingIOError:
                if not may_wait:
                    raise WouldBlock from None
                self._wait(deadline, timeout)
            due = monotonic() >= self._look_at
            if not due or _is_at(self.lock, self._layout.lock):
                break
            # Another program removed the lock file, so this lock keeps no process out.
            self.drop_lock()
        generation = os.lseek(self.lock, 0, os.SEEK_END)
        if due or generation != self._generation:
            self._open(generation, may_wait=may_wait)
        end = os.lseek(self.descriptor, 0, os.SEEK_END)
        if end == self.end or not end or read_at(self.descriptor, 1, end - 1) == b"\n":
            return end, b"", []
        if not may_wait:
            raise WouldBlock
        return end, b"\n", self._torn(end)

    def _wait(self, deadline: float, timeout: float) -> None:
        source = self._layout.path
        lock(self.lock, LOCK_EXCLUSIVE, deadline=deadline, timeout=timeout, source=source)

    def _torn(self, end: int) -> list[Anomaly]:
        """Return the damage in the last line, which has no newline."""
        place, line = last_line(self.descriptor, end, self._layout.path)
        return [
            anomaly_at(place, fragment, fragment.content)
            for fragment in fragments_of(line)
            if isinstance(fragment.content, Flaw)
        ]

    def rotate(self, segment: str) -> None:
        """
        Rename the file, which is on the disk, to *segment*, and make a new one.

        The lock is held. A crash or an error between any two steps leaves no record behind: where
        no file is at the path, the next append makes one.
        """
        layout = self._layout
        bump_generation(self.lock)
        self._release_file()  # Windows renames no open file
        os.rename(layout.path, segment)
        # Otherwise a power cut could keep the new file and lose the new name of the old one.
        layout.miss(sync_directory(layout.directory), NAMES_UNSYNCED)
        self._open(os.lseek(self.lock, 0, os.SEEK_END), may_wait=True)

    def is_open_as(self, descriptor: int) -> bool:
        """Tell whether *descriptor* is of the active file."""
        status = os.fstat(descriptor)
        return (status.st_dev, status.st_ino) == self._identity

    def _open(self, generation: int, *, may_wait: bool) -> None:
        """Open the file at the path, or make it, unless it is the one that is open."""
        if self.at_look is not None:  # first: on a full disk all that follows may fail
            self.at_look(self.lock)
        if generation < FIRST_GENERATION:
            generation = begin_generations(self.lock)
        status = self._layout.stat()
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            if not may_wait:
                raise WouldBlock
            self._release_file()
            new = os.O_CREAT | os.O_EXCL if status is None else 0
            opened = Descriptors()
            descriptor = opened.open(self._layout.path, os.O_RDWR | os.O_APPEND | new)
            self._file, self.descriptor = opened, descriptor
            if new:
                self._become_like_the_one_before()
            # Also for a file that is there already: its maker may have been killed before this.
            self._layout.miss(sync_directory(self._layout.directory), NAMES_UNSYNCED)
            status = os.fstat(self.descriptor)
            self._identity = (status.st_dev, status.st_ino)
        self._generation = generation
        self._look_at = monotonic() + _LOOK_EVERY

    def _become_like_the_one_before(self) -> None:
        """Give a new file the owner and mode of the newest segment, if there is one."""
        *before, _ = self._layout.slots()
        if before:
            model = before[-1].path
            self._layout.miss(own_like(self._layout.path, model), NOT_LIKE_THE_OLD)
            if hasattr(os, "fchmod"):
                mode = os.stat(model).st_mode & 0o7777
                self._layout.miss(lacking(os.fchmod, self.descriptor, mode), NOT_LIKE_THE_OLD)

    def _release_file(self) -> None:
        self.descriptor = self.end = _NONE
        self._identity = (_NONE, _NONE)
        self._file.close()

    def close(self) -> None:
        """Close both descriptors, which unlocks nothing that another process holds."""
        self._release_file()
        self.drop_lock()

    def drop_lock(self) -> None:
        """Close the lock file, which also unlocks it; the next append opens it anew."""
        self.lock = _NONE
        self._lock_file.close()

    def _sync_last(self) -> None:
        """Bring written records to the disk; wait for nothing but the disk."""
        if self._is_synced_later and self.end != _NONE:
            try:
                sync_data(self.descriptor)
            except OSError as error:
                place, why = self._layout.path, f"could not be brought to the disk: {error}"
                warn(f"{place}: the last records {why}", RuntimeWarning, stacklevel=3)

    def __del__(self) -> None:
        # An interrupt may have ended `__init__` before anything was set.
        if getattr(self, "lock", _NONE) != _NONE or getattr(self, "descriptor", _NONE) != _NONE:
            # Not `store.close()`, because this object does not know the counters' page. No lock is taken,
            # because a finalizer may run anywhere, and the syncing thread is not asked, because it would
            # keep the descriptor.
            try:
                self._sync_last()
            except BaseException:
                self._sync_last()
                raise
            finally:
                self.close()
                message = f"unclosed store {self._layout.path}"
                warn(message, ResourceWarning, stacklevel=2, source=self)


def _is_at(descriptor: int, path: str) -> bool:
    """Tell whether the open file is the one at *path*."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
