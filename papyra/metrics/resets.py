"""
Reset the counters of all processes of a file store at once, as `papyra metrics reset` does from a shell.

`papyra.metrics.multiprocess.PublishedCounters` calls `reset_all`. A reset moves the zero point of every page, and of the
counts of exited processes; the owners go on counting meanwhile. It takes effect as a whole or not at all:

The file `reset` names the pages that are reset, and the baseline of `retired` before. It is on the disk before the
first page changes, and its removal is the moment of the reset. The next process that gets the exclusive lock and
finds the file undoes the reset. A page keeps its old baseline in its other bank, and the number of its resets
tells whether the reset reached it. So an interrupted or killed reset has reset nothing, and no count is missing
from the intervals that resets return.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from papyra.errors import NotPublishedError, PapyraError
from papyra.metrics.exited import Retired, flaw_of, fold, pages
from papyra.metrics.mmap_page import open_page
from papyra.metrics.names import NAMES
from papyra.metrics.totals import RESET_DONE
from papyra.system.descriptors import FileLock, open_file
from papyra.system.files import own_like
from papyra.system.locks import LOCK_EXCLUSIVE
from papyra.system.os_errors import refusals
from papyra.system.sync import sync_data, sync_directory

_FORMAT: Final = 1
#: The end of an error's message.
REFUSED: Final = "its counters cannot be read or reset"


class CountersLock(FileLock):
    """
    Hold the lock of a directory of published counters during a `with` block.

    If the lock is exclusive, a reset that was not finished is undone first.
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
            _take_back(self._directory)


def is_under_way(directory: str) -> bool:
    """Tell whether a reset is under way or was not finished; the caller holds the lock."""
    return os.path.exists(_path(directory))


def reset_all(
    directory: str, lock: Callable[[], AbstractContextManager[object]], check: Callable[[], object]
) -> dict[str, int]:
    """
    Reset the counters of all processes and return the counts of the interval that ends.

    If it is interrupted, nothing was reset, or a note of the exception tells the interval. If it is killed,
    nothing was reset: the next process that takes the lock undoes what was begun.

    Args:
        directory: Where the counters are published.
        lock: Takes the exclusive lock of *directory*; see `CountersLock`.
        check: Raises an error if there is nothing to reset.
    """
    begun: list[str] = []
    done: list[None] = []
    notes: list[str] = []
    try:
        with refusals(directory, REFUSED), lock():
            fold(directory)
            check()
            counts = _reset_each(directory, begun)
            notes = [RESET_DONE + json.dumps(counts)]
            # One call of C: no interrupt comes between doing it and noting that.
            done.extend(map(os.unlink, begun))
            # An error here changes nothing: after a power cut counters may be behind in any case.
            with suppress(OSError):
                sync_directory(directory)
    except BaseException as error:
        if done:
            # No call here: a second interrupt would come in its place, without the interval.
            try:  # noqa: SIM105  suppress would be a call
                notes += error.__notes__
            except AttributeError:
                pass
            error.__notes__ = notes
        elif begun:
            with suppress(PapyraError), refusals(directory, REFUSED), lock():
                pass  # the lock undoes it; otherwise the next process that takes the lock does
        raise
    return counts


def _reset_each(directory: str, begun: list[str]) -> dict[str, int]:
    """
    Reset all pages and `retired`, and return the interval; the caller holds the lock.

    The reset can be undone until the file that is put into *begun* is removed.
    """
    now = time.time()
    resets = {name: page.resets for name, page, _ in pages(directory, writable=False)}
    retired = Retired(directory)
    exited = retired.counter_totals
    ended = list(exited.snapshot().values())
    begun.append(_announce(directory, resets, retired))
    exited.baseline, exited.since = list(exited.amounts), now
    if exited.exited:
        retired.save()
    for _, page, _ in pages(directory, writable=True):
        interval = page.begin_interval(now)
        page.end_interval()
        ended = [a + b for a, b in zip(ended, interval, strict=True)]
    return dict(zip(NAMES, ended, strict=True))


def _announce(directory: str, resets: dict[str, int], retired: Retired) -> str:
    """
    Write down that a reset begins, and return the file whose removal will end it.

    Args:
        directory: Where the counters are.
        resets: How often each page was reset so far, by the page's name.
        retired: The counts of exited processes, before the reset.
    """
    counter_totals = retired.counter_totals
    content = {
        "papyra_reset": _FORMAT,
        "pages": resets,
        "baseline": counter_totals.baseline,
        "since": counter_totals.since if counter_totals.exited else None,
    }
    path = _path(directory)
    temporary = f"{path}.tmp"  # one name is enough, because the caller holds the lock
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


def _take_back(directory: str) -> None:
    """
    Undo a reset that was not finished, if there is one; the caller holds the exclusive lock.

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
        resets: dict[str, int] = content["pages"]
        baseline, since = content["baseline"], content["since"]
    except (ValueError, LookupError, TypeError) as error:
        raise NotPublishedError(
            f"{_path(directory)}: damaged ({flaw_of(error)}); remove it to keep the part of a reset"
            " that was done"
        ) from error
    for name, number in resets.items():
        with suppress(FileNotFoundError):
            page, _ = open_page(os.path.join(directory, name), writable=True)
            if page is not None and page.resets == number + 1:
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
