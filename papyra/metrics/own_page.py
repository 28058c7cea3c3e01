"""
Own the page that an open store object counts in, so that other processes see and reset its counters.

`papyra.metrics.publishing` makes one when a store publishes its counters, and releases it when the store is closed.
"""

import os
from contextlib import AbstractContextManager
from typing import Final

from papyra.metrics.mmap_page import Page
from papyra.metrics.resets import CountersLock
from papyra.system.forks import forget_in_child
from papyra.system.locks import LOCK_EXCLUSIVE
from papyra.system.os_errors import refusals


class OwnPage(Page):
    """
    The page of one open store object.

    Args:
        descriptor: Of its file, which is new; the page keeps a duplicate, and with it the lock.
        path: Of its file.
        timeout: Seconds that a reset waits for other processes.

    Attributes:
        directory: The directory that the counters are published in.
        name: The name of the file there.
        timeout: As given.
    """

    def __init__(self, descriptor: int, path: str, *, timeout: float) -> None:
        super().__init__(descriptor, writable=True)
        self.directory: str
        self.name: str
        self.directory, self.name = os.path.split(path)
        self.timeout: Final = timeout
        forget_in_child(self)

    @property
    def is_lost(self) -> bool:
        """Whether its file is gone: no other process sees what is counted in it."""
        try:
            os.stat(os.path.join(self.directory, self.name))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # this user may not look there
            return False
        return False

    def resetting(self) -> AbstractContextManager[object]:
        """Keep out every other process that may reset the page."""
        return _ResetLock(self.directory, LOCK_EXCLUSIVE, timeout=self.timeout)

    def _after_fork(self) -> None:
        # The parent's flock lives as long as any copy of its descriptor.
        self.release()


class _ResetLock(CountersLock):
    """The lock that a program holds while it resets its own page."""

    __slots__ = ()

    def _acquire(self) -> None:
        with refusals(self._path, "nothing was reset"):
            super()._acquire()
