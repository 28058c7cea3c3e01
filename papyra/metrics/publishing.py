"""
Let other processes see the counters of an open store: move them into a page in a file, and back at the end.

Called by the file stores: `publish` before the first append, recovery or compaction, `unpublish` when a store is closed.
`papyra.metrics.multiprocess` sums the pages up; a command that only reads counters need not load this module.
"""

import os
from contextlib import suppress

from papyra.errors import PapyraError
from papyra.metrics.exited import fold_some
from papyra.metrics.mmap_page import SIZE
from papyra.metrics.own_page import OwnPage
from papyra.metrics.persistence import PersistenceMetrics
from papyra.metrics.resets import CountersLock
from papyra.metrics.storage import LocalCounterStorage
from papyra.system.descriptors import Descriptors
from papyra.system.files import own_like, write_all
from papyra.system.locks import HAS_FLOCK, LOCK_EXCLUSIVE, try_lock


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
        fold_some(directory)
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
            fold_some(page.directory, page.name)
    except (OSError, PapyraError):
        # The page stays, without an owner: the next process that folds takes it in.
        metrics._count_in(LocalCounterStorage())
        page.release()
