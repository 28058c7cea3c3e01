"""Bringing what was written onto the disk."""

import errno
import os
from collections.abc import Callable
from functools import partial
from typing import Final

from papyra.system.files import OPEN_FLAGS, lacking
from papyra.system.locks import _fcntl


def _sync_fully(fcntl: Callable[[int, int], object], command: int, descriptor: int) -> None:
    try:
        fcntl(descriptor, command)
    except OSError as error:
        # Some file systems, as those of other machines, know no such command.
        if error.errno not in {errno.ENOTSUP, errno.ENOTTY, errno.EINVAL}:
            raise
        os.fsync(descriptor)


def _find_sync() -> Callable[[int], object]:
    command = getattr(_fcntl, "F_FULLFSYNC", None)
    if _fcntl is not None and command is not None:  # macOS: its fsync stops at the drive's cache
        return partial(_sync_fully, _fcntl.fcntl, command)
    return os.fdatasync if hasattr(os, "fdatasync") else os.fsync


#: Bring what was written to a descriptor onto the disk itself.
sync_data: Final = _find_sync()


def sync_directory(path: str) -> str:
    """Bring the names in the directory *path* onto the disk; return "", or why that is impossible."""
    if not hasattr(os, "O_DIRECTORY"):
        return ""  # Windows: a directory has no descriptor (docs/explanation/limits.md)
    return lacking(_sync_directory, path)


def _sync_directory(path: str) -> None:
    opened: list[int] = []
    try:
        # One call of C: no interrupt comes between opening it and noting its descriptor.
        opened.extend(map(os.open, (path,), (os.O_RDONLY | os.O_DIRECTORY | OPEN_FLAGS,)))
        os.fsync(opened[0])
    finally:
        for descriptor in opened:
            os.close(descriptor)
