"""
A reset of all published counters that is under way, so that one that ends early can be taken back.

The file `reset` names the pages that are reset, and what `retired` held before. It is on the disk
before the first page changes, and its removal is the moment of the reset. The next process that gets the lock
exclusively and finds it puts everything back: a page keeps its old baseline in its other bank, and
the number of its resets tells whether it was reached. So an interrupted or killed reset has reset
nothing, and nothing is missing from what resets return.
"""

import json
import os
from contextlib import suppress
from typing import Any, Final

from papyra.errors import NotPublishedError
from papyra.metrics.exited import Retired
from papyra.metrics.mmap_page import open_page
from papyra.system.descriptors import FileLock, open_file
from papyra.system.files import own_like
from papyra.system.locks import LOCK_EXCLUSIVE
from papyra.system.sync import sync_data, sync_directory

_FORMAT: Final = 1


class CountersLock(FileLock):
    """
    Hold the lock of a directory of published counters during a `with` block.

    Held exclusively, a reset that was not finished is taken back first.
    """

    __slots__ = ("_directory",)

    def __init__(
        self, directory: str, operation: int, *, timeout: float, create: bool = False
    ) -> None:
        path = os.path.join(directory, "lock")
        like = directory if create else ""
        super().__init__(path, operation, timeout=timeout, create_like=like, is_inside=True)
        self._directory = directory

    def _acquire(self) -> None:
        super()._acquire()
        if self._operation == LOCK_EXCLUSIVE:
            take_back(self._directory)


def is_under_way(directory: str) -> bool:
    """Tell whether a reset is under way or was not finished; the lock is held."""
    return os.path.exists(_path(directory))


def announce(directory: str, pages: dict[str, int], retired: Retired) -> str:
    """
    Say that a reset begins, and return the file whose removal will end it.

    Args:
        directory: Where the counters are.
        pages: The names of the pages, and how often each was reset so far.
        retired: As it is now.
    """
    counter_totals = retired.counter_totals
    content = {
        "papyra_reset": _FORMAT,
        "pages": pages,
        "baseline": counter_totals.baseline,
        "since": counter_totals.since if counter_totals.exited else None,
    }
    path = _path(directory)
    temporary = f"{path}.tmp"  # one at a time: the lock is held
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    with open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb") as file:
        own_like(temporary, directory, is_inside=True)
        file.write(json.dumps(content).encode() + b"\n")
        file.flush()
        sync_data(file.fileno())
    os.replace(temporary, path)
    sync_directory(directory)
    return path


def take_back(directory: str) -> None:
    """
    Undo a reset that was not finished, if there is one; the lock is held, exclusive.

    Raises:
        NotPublishedError: if its file is damaged.
    """
    try:
        with open_file(_path(directory), os.O_RDONLY) as file:
            text = file.read()
    except FileNotFoundError:
        return
    try:
        content: dict[str, Any] = json.loads(text)
        pages: dict[str, int] = content["pages"]
        baseline, since = content["baseline"], content["since"]
    except (ValueError, LookupError, TypeError) as error:
        raise NotPublishedError(
            f"{_path(directory)}: damaged ({type(error).__name__}); remove it to go on with what was"
            " reset so far"
        ) from error
    for name, resets in pages.items():
        with suppress(FileNotFoundError):
            page, _ = open_page(os.path.join(directory, name), writable=True)
            if page is not None and page.resets == resets + 1:
                page.take_back_interval()
    retired = Retired(directory)
    before = retired.counter_totals.baseline, retired.counter_totals.since
    if since is not None and before != (baseline, since):
        retired.counter_totals.baseline, retired.counter_totals.since = baseline, since
        retired.save()
    os.unlink(_path(directory))
    sync_directory(directory)


def _path(directory: str) -> str:
    return os.path.join(directory, "reset")
