"""The lock that a recovery, compaction or import of a file store holds from beginning to end."""

import os

from papyra.backends.files.paths import Layout
from papyra.system.descriptors import FileLock
from papyra.system.locks import LOCK_EXCLUSIVE
from papyra.system.os_errors import refusals


class Maintenance(FileLock):
    """
    Keep other processes from rewriting the store, and remove the files that an interrupted rewrite left.

    Calling it does nothing: the lock is held until the block ends.
    """

    __slots__ = ("_layout",)

    def __init__(self, layout: Layout, *, timeout: float) -> None:
        super().__init__(
            layout.maintenance_lock, LOCK_EXCLUSIVE, timeout=timeout, create_like=layout.owner
        )
        self._layout = layout

    def __call__(self) -> None:
        """Confirm that the lock is still held; on a server another process could have taken it over."""

    def _acquire(self) -> None:
        layout = self._layout
        with refusals(layout.path, "nothing was changed"):
            layout.check_writable()
            super()._acquire()
            for temporary in layout.temporaries():
                os.unlink(temporary)
