"""
Counters of a file store that other processes can read and reset.

    PATH.metrics/
        lock              exclusive for reset, creation and folding, shared for a sum
        <pid>-<random>    the page of one open store object (see `papyra.metrics.mmap_page`)
        retired           what the pages of closed and dead owners came to, as JSON
        reset             while a reset of all is under way (see `papyra.metrics.resets`)

Folding adds the pages without an owner to `retired`, which names them until they are removed:
interrupted anywhere, it counts nothing twice. A process that publishes a page, or gives one up, looks at a few
others, by chance: the cost does not grow with their number, and the directory stays small, whatever comes
and goes. A reset folds all.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from papyra.errors import NotPublishedError, PapyraError
from papyra.metrics.exited import Retired
from papyra.metrics.mmap_page import SIZE, Page, open_page
from papyra.metrics.names import NAMES
from papyra.metrics.own_page import OwnPage
from papyra.metrics.persistence import RESET_DONE, PersistenceMetrics
from papyra.metrics.resets import CountersLock, announce, is_under_way
from papyra.metrics.storage import LocalCounterStorage
from papyra.metrics.totals import CounterTotals
from papyra.metrics.unpublished_marks import count_marks
from papyra.system.descriptors import Descriptors
from papyra.system.files import own_like, write_all
from papyra.system.locks import HAS_FLOCK, LOCK_EXCLUSIVE, LOCK_SHARED, try_lock
from papyra.system.os_errors import refusals
from papyra.system.sync import sync_directory

#: Names that one who comes or goes looks at. Where one page in so many has no owner, as many go as come:
#: those without one are hardly ever more than a fifteenth of the others.
_SOME: Final = 16
_PAGE_NAME: Final = re.compile(r"[0-9]+-[0-9a-f]{8}")
#: Seconds that a sum, or a reset of everything, waits for others, unless told otherwise.
LOCK_TIMEOUT: Final = 5.0
_REFUSED: Final = "its counters cannot be read or reset"


class PublishedCounters:
    """
    The counters of all store objects of one file store, read and reset from any process.

    Args:
        source: What the store is called, for people.
        directory: Its ``.metrics`` directory.
        kind: The kind of the store.
        name: What exporters call the store.
        timeout: Seconds to wait for others who read or reset them.
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
        Return the counts of all, living and gone.

        Raises:
            NotPublishedError: if nothing was ever published here.
            StoreLockedError: if a reset is under way and does not end.
            StoreIOError: if the system refuses.
        """
        with refusals(self.directory, _REFUSED):
            with self._locked(LOCK_SHARED):
                if not is_under_way(self.directory):
                    return self._sum()
            with self._locked(LOCK_EXCLUSIVE):  # takes it back
                return self._sum()

    def reset(self) -> dict[str, int]:
        """
        Reset all of them and return the counts of the interval that ends.

        The owners go on meanwhile, and see zero in their own `snapshot` from now on. One that is
        interrupted has reset nothing, or tells the interval in a note of the exception; one that is
        killed has reset nothing once a process looks.

        Raises:
            NotPublishedError: if nothing was ever published here.
            StoreLockedError: if another reset is under way and does not end.
            StoreIOError: if the system refuses.
        """
        begun: list[str] = []
        done: list[None] = []
        notes: list[str] = []
        try:
            with refusals(self.directory, _REFUSED), self._locked(LOCK_EXCLUSIVE):
                fold(self.directory)
                self._sum()  # raises where there is nothing to reset
                counts = self._reset_each(begun)
                notes = [RESET_DONE + json.dumps(counts)]
                # One call of C: no interrupt comes between doing it and noting that.
                done.extend(map(os.unlink, begun))
                # It is done: at a power cut counters may be behind in any case.
                with suppress(OSError):
                    sync_directory(self.directory)
        except BaseException as error:
            if done:
                error.__notes__ = [*getattr(error, "__notes__", ()), *notes]
            elif begun:
                with (
                    suppress(PapyraError),
                    refusals(self.directory, _REFUSED),
                    self._locked(LOCK_EXCLUSIVE),
                ):
                    pass  # takes it back; otherwise the next look does
            raise
        return counts

    def _reset_each(self, begun: list[str]) -> dict[str, int]:
        """
        Reset all pages and `retired`, and return the interval; the lock is held.

        It can be taken back until the file is removed that is put into *begun*.
        """
        now = time.time()
        pages = {name: page.resets for name, page, _ in self._pages(writable=False)}
        retired = Retired(self.directory)
        ended = list(retired.counter_totals.snapshot().values())
        begun.append(announce(self.directory, pages, retired))
        retired.counter_totals.baseline, retired.counter_totals.since = (
            list(retired.counter_totals.amounts),
            now,
        )
        if retired.counter_totals.exited:
            retired.save()
        for _, page, _ in self._pages(writable=True):
            interval = page.begin_interval(now)
            page.end_interval()
            ended = [a + b for a, b in zip(ended, interval, strict=True)]
        return dict(zip(NAMES, ended, strict=True))

    def _locked(self, operation: int) -> CountersLock:
        if not os.path.isdir(self.directory):
            raise self._nothing()
        return CountersLock(self.directory, operation, timeout=self._timeout)

    def _sum(self) -> CounterTotals:
        """Return the counts of all; an error where there are none, since zeros would be a lie."""
        counter_totals = Retired(self.directory).counter_totals
        counter_totals.unpublished = count_marks(f"{self.source}.lock")
        for _, page, alive in self._pages(writable=False):
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

    def _pages(self, *, writable: bool) -> Iterator[tuple[str, Page, bool]]:
        """Yield the pages, each with its name before it and whether its owner lives behind it."""
        for name in _page_names(os.listdir(self.directory), Retired(self.directory).folded):
            page, alive = open_page(os.path.join(self.directory, name), writable=writable)
            if page is not None:
                yield name, page, alive


def unpublished_words(number: int) -> str:
    """Return what is told of *number* store objects that append unseen."""
    return (
        f"{_appending(number)} whose counters are not published; the program's log says why, and it tries again"
        " every few seconds"
    )


def _appending(number: int) -> str:
    return "1 program appends" if number == 1 else f"{number} programs append"


def publish(
    directory: str,
    model: str,
    metrics: PersistenceMetrics,
    *,
    timeout: float,
    is_hurried: bool = False,
) -> None:
    """
    Move *metrics* into a page of *directory* that other processes see, unless they are in one.

    They move into another if their page was removed.

    Where there is no flock nothing is published.

    Args:
        directory: It is made if need be, with the owner of *model*.
        model: A path whose owner all that is made here will have.
        metrics: They keep their counts, and count in the page from now on.
        timeout: Seconds that this, and every reset of the page, waits for others.
        is_hurried: This does not wait for a lock; resets do.

    Raises:
        OSError: if the page cannot be made; nothing was moved then.
        StoreLockedError: if a reset is under way and does not end.
    """
    storage = metrics._storage
    if isinstance(storage, OwnPage) and not storage.is_lost:
        storage.show()
        return
    if not HAS_FLOCK:
        return
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
        own_like(directory, model)
    wait = 0.0 if is_hurried else timeout
    with CountersLock(directory, LOCK_EXCLUSIVE, timeout=wait, create=True):
        _fold(directory, _some_names(directory))
        path = os.path.join(directory, f"{os.getpid()}-{os.urandom(4).hex()}")
        # Closed and not unlocked: the map has a descriptor of its own, and the lock with it.
        with Descriptors() as new:
            descriptor = new.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            try:
                own_like(path, directory, is_inside=True)
                # Written, not stretched: in a sparse page a full disk kills the process (SIGBUS).
                write_all(descriptor, bytes(SIZE))
                try_lock(descriptor, LOCK_EXCLUSIVE)
                page = OwnPage(descriptor, path, timeout=timeout)
            except BaseException:
                os.unlink(path)
                raise
        metrics._count_in(page)
        page.show()  # not before: it would count twice what an interrupt kept from moving
    if isinstance(storage, OwnPage):
        storage.release()


def is_lost(metrics: PersistenceMetrics) -> bool:
    """Tell whether *metrics* were published, and their page was removed since."""
    return isinstance(metrics._storage, OwnPage) and metrics._storage.is_lost


def unpublish(metrics: PersistenceMetrics) -> None:
    """Move *metrics* back into the process, and fold their page into what others will see."""
    page = metrics._storage
    if not isinstance(page, OwnPage):
        return
    try:
        with CountersLock(page.directory, LOCK_EXCLUSIVE, timeout=page.timeout):
            metrics._count_in(LocalCounterStorage())
            page.release()
            _fold(page.directory, _some_names(page.directory, page.name))
    except (OSError, PapyraError):
        # The page stays, without an owner: whoever folds next takes it in.
        metrics._count_in(LocalCounterStorage())
        page.release()


def fold(directory: str) -> None:
    """Take all pages without an owner into `retired` and remove them; the lock is held, exclusive."""
    _fold(directory, os.listdir(directory))


def _fold(directory: str, names: Iterable[str]) -> None:
    """Fold those of *names* that are pages without an owner; the lock is held, exclusive."""
    retired = Retired(directory)
    gone = [name for name in retired.folded if os.path.exists(os.path.join(directory, name))]
    dead = []
    for name in _page_names(names, retired.folded):
        page, alive = open_page(os.path.join(directory, name), writable=False)
        if alive:
            continue
        if page is None:
            gone.append(name)  # never finished, so nothing was counted in it
            continue
        dead.append(name)
        retired.counter_totals.add(*page.read())
        retired.counter_totals.exited += 1
    if dead:
        retired.folded = [*dead, *gone]
        retired.save()
    for name in (*dead, *gone):
        os.unlink(os.path.join(directory, name))


def _some_names(directory: str, own: str = "") -> set[str]:
    """Return *own* and some other names in *directory*: each as likely as any other."""
    names = os.listdir(directory)
    start = int.from_bytes(os.urandom(8), "little") % max(1, len(names))
    some = names[start : start + _SOME] + names[: max(0, start + _SOME - len(names))]
    if own and os.path.exists(os.path.join(directory, own)):
        some.append(own)
    return set(some)


def _page_names(names: Iterable[str], folded: list[str]) -> list[str]:
    return sorted(name for name in names if _PAGE_NAME.fullmatch(name) and name not in folded)
