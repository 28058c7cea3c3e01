"""
Sum up the counters of all processes that use one file store, from any process and without opening the store.

    PATH.metrics/
        lock              exclusive for reset, creation and folding, shared for a sum
        <pid>-<random>    the page of one open store object (see `papyra.metrics.mmap_page`)
        retired           the counts of closed stores and exited processes, as JSON (see `papyra.metrics.exited`)
        reset             present while a reset of all is under way (see `papyra.metrics.resets`)

`papyra.open_counters` returns the `PublishedCounters` of a store; `papyra.metrics.publishing` writes the pages.

Folding adds the pages without an owner to `retired`, which names them until they are removed: a process that is
interrupted anywhere counts nothing twice. A process that publishes a page, or gives one up, folds the dead among a
few others, chosen by chance. So the cost does not grow with their number, and the directory stays small, however
many processes come and go. A reset folds all.
"""

import os
from functools import partial
from typing import Final

from papyra.errors import NotPublishedError
from papyra.metrics.exited import Retired, pages
from papyra.metrics.resets import REFUSED, CountersLock, is_under_way, reset_all
from papyra.metrics.totals import CounterTotals
from papyra.metrics.unpublished_marks import count_marks
from papyra.system.locks import LOCK_EXCLUSIVE, LOCK_SHARED
from papyra.system.os_errors import refusals

#: Seconds that a sum, or a reset of everything, waits for other processes by default.
LOCK_TIMEOUT: Final = 5.0


class PublishedCounters:
    """
    The counters of all store objects of one file store, read and reset from any process.

    Args:
        source: The store's path, for people.
        directory: Its ``.metrics`` directory.
        kind: The kind of the store.
        name: The name of the store in exporters.
        timeout: Seconds to wait for other processes that read or reset them.
    """

    def __init__(
        self, source: str, directory: str, *, kind: str, name: str, timeout: float = LOCK_TIMEOUT
    ) -> None:
        self.source = source
        self.kind = kind
        self.name = name
        self.directory = directory
        self._timeout = timeout

    def __eq__(self, other: object) -> bool:
        """Whether both are the counters of one store."""
        return isinstance(other, PublishedCounters) and other.directory == self.directory

    def __hash__(self) -> int:
        return hash(self.directory)

    def read(self) -> CounterTotals:
        """
        Return the counts of all store objects: open, closed, and of exited processes.

        Raises:
            NotPublishedError: if nothing was ever published here.
            StoreLockedError: if a reset is under way and does not end.
            StoreIOError: if the system refuses.
        """
        with refusals(self.directory, REFUSED):
            with self._locked(LOCK_SHARED):
                if not is_under_way(self.directory):
                    return self._sum()
            with self._locked(LOCK_EXCLUSIVE):  # undoes a reset that was not finished
                return self._sum()

    def reset(self) -> dict[str, int]:
        """
        Reset all of them and return the counts of the interval that ends.

        The owners go on meanwhile, and see zero in their own `snapshot` from now on. If the reset is
        interrupted, nothing was reset, or a note of the exception tells the interval. If its process is
        killed, nothing was reset: the next process that looks undoes it.

        Raises:
            NotPublishedError: if nothing was ever published here.
            StoreLockedError: if another reset is under way and does not end.
            StoreIOError: if the system refuses.
        """
        return reset_all(self.directory, partial(self._locked, LOCK_EXCLUSIVE), self._sum)

    def _locked(self, operation: int) -> CountersLock:
        if not os.path.isdir(self.directory):
            raise self._nothing()
        return CountersLock(self.directory, operation, timeout=self._timeout)

    def _sum(self) -> CounterTotals:
        """Return the counts of all; raise an error if there are none, because zeros would be a lie."""
        counter_totals = Retired(self.directory).counter_totals
        counter_totals.unpublished = count_marks(f"{self.source}.lock")
        for _, page, alive in pages(self.directory, writable=False):
            counter_totals.add(*page.read())
            if alive:
                counter_totals.live += 1
            else:
                counter_totals.exited += 1
        if counter_totals.since == float("inf"):
            raise self._nothing()
        return counter_totals

    def _nothing(self) -> NotPublishedError:
        unpublished = count_marks(f"{self.source}.lock")
        if os.path.lexists(self.directory) and not os.path.isdir(self.directory):
            now = (
                f" ({_appending(unpublished)} whose counters are not published)"
                if unpublished
                else ""
            )
            return NotPublishedError(
                f"{self.directory}: it is not a directory, so programs cannot publish their counters{now};"
                " move it away: each program publishes them with its next append, some seconds later"
            )
        if unpublished:
            return NotPublishedError(f"{self.directory}: {unpublished_words(unpublished)}")
        return NotPublishedError(
            f"{self.directory}: no counters are published there; a program publishes its own"
            " with its first append, recover or compact"
        )


def unpublished_words(number: int) -> str:
    """Return the words for *number* store objects whose counters no other process sees."""
    return (
        f"{_appending(number)} whose counters are not published; the program's log says why, and it tries again"
        " every few seconds"
    )


def _appending(number: int) -> str:
    return "1 program appends" if number == 1 else f"{number} programs append"
