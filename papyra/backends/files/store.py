"""
The base of both file stores: appends, locks, published counters, syncing, forks.

`FileBackend._append` writes a batch, and cuts a half-written one off again; everything else is delegated to the
modules beside this one. Nothing is counted here.
"""

import errno
import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Final, TypeVar
from weakref import ref

from papyra.backend import PersistenceBackend
from papyra.backends.files.active_file import ActiveFile
from papyra.backends.files.background_sync import is_ending, sync_soon
from papyra.backends.files.legacy.seen_ids import LegacySeenIds
from papyra.backends.files.maintenance_lock import Maintenance
from papyra.backends.files.paths import MOUNTED_ALONE, Layout
from papyra.backends.files.preview import preview
from papyra.backends.files.publication import Publication
from papyra.backends.files.quarantine.undo import quarantined, undo
from papyra.backends.files.read_view import View
from papyra.backends.files.rewrite import rewrite
from papyra.backends.files.store_check import check_ownership, check_whole
from papyra.errors import PapyraError, StoreBusyError, StoreFailedError, StoreIOError
from papyra.metrics.publishing import publish, unpublish
from papyra.primitives import Sync, WouldBlock
from papyra.reading.keep import RewriteFilter
from papyra.reading.scanner import Line
from papyra.reading.seen_ids import SeenIds
from papyra.reports import Anomaly, Quarantined, Rewritten
from papyra.retention import Retention
from papyra.system.descriptors import Descriptors
from papyra.system.files import is_mounted, write_all
from papyra.system.locks import HAS_FLOCK, LOCK_NONE, flock
from papyra.system.log import warn
from papyra.system.os_errors import refusal, refusals
from papyra.system.own_locks import add_owner
from papyra.system.sync import sync_data

_Result = TypeVar("_Result")
_NOT_SYNCED: Final = "written records could not be brought to the disk: {}"


def _look_after_counters(store: "ref[FileBackend]", lock: int) -> None:
    """Have an append publish the counters that other processes do not see, when that is due."""
    this = store()
    if this is not None and this._publication.is_due(lock):
        this._prepared = False


class FileBackend(PersistenceBackend):
    """
    Keep records in files, of which one takes all appends.

    Any number of processes may use one store at once. On Windows, where there is no flock,
    only one may, and its counters are not published.

    Args:
        path: The active file; made by the first append, in a directory that exists.
        retention: What is kept; by default everything.
        sync: When written records are brought to the disk (see `PersistenceBackend`).
        lock_timeout: Seconds that a call waits for other threads and processes.
    """

    survives_fork = False
    #: The most bytes of the active file; 0.3.0's may hold more.
    _max_bytes: float = float("inf")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        super().__init__(retention=retention, sync=sync, lock_timeout=lock_timeout)
        self._layout = Layout(path)
        self._layout.pending_warnings = self._pending_warnings
        self._layout.check_place()
        self.source: str = self._layout.path
        self.name: str = self._layout.name
        self._active = ActiveFile(self._layout, is_synced_later=sync == "interval")
        self._failure = ""
        self._is_failure_logged = False
        self._is_dirty = False
        self._prepared = False
        self._publication = Publication(self.metrics, self.source, self._pending_warnings)
        self._always_waits = sync == "always"
        add_owner(self)

    # One function, because an interrupt may strike between any two calls: the rollback must see all of it.
    def _append(  # noqa: C901, PLR0912
        self, lines: Sequence[bytes], *, deadline: float, may_wait: bool
    ) -> list[Anomaly]:
        if self._failure:
            raise self._failed()
        active = self._active
        try:
            start, prefix, findings = active.begin(
                deadline=deadline, timeout=self._lock_timeout, may_wait=may_wait
            )
            data = prefix + b"".join(lines)
            if start and start + len(data) > self._max_bytes:
                if not may_wait:
                    raise WouldBlock
                self._rotate()
                start, data = 0, b"".join(lines)
            before = self._stored
            try:
                write_all(active.descriptor, data)
                if self._sync == "always":
                    self._sync_active()
                active.end, self._stored = start + len(data), before + len(lines)
            except BaseException:
                # The cut is a bare call of C, right here. In a function of its own, an interrupt at its
                # first instruction would keep it from running.
                if self._stored == before and not self._failure:
                    try:
                        os.ftruncate(active.descriptor, start)
                    except OSError as error:
                        self._failure = f"what was half written cannot be taken back: {error}"
                        if os.fstat(active.descriptor).st_size > start:
                            raise self._failed() from error
                        # A file that may not be changed refuses the cut, too, but nothing was written.
                        self._failure = ""
                raise
        except StoreIOError:
            raise
        except OSError as error:
            raise refusal(error, self.source, "nothing was stored") from error
        finally:
            if active.lock >= 0:
                try:
                    flock(active.lock, LOCK_NONE)
                except OSError:  # otherwise a lock that cannot be released would keep others out
                    active.drop_lock()
        if self._sync == "interval" and not self._is_dirty:
            sync_soon(self)
        return findings

    def _lock_held_here(self) -> int:
        # Asked while this thread leads: it holds the lock for most of that time.
        return self._active.lock if self._queue.leader == get_ident() else -1

    def _rotate(self) -> None:
        """Begin a new active file; the lock is held. Called only where `_max_bytes` is a bound."""

    def _failed(self) -> StoreFailedError:
        """Return why the store takes no more records, and note that its caller is told."""
        self._is_failure_logged = True
        return StoreFailedError(f"{self.source}: {self._failure}")

    def _sync_active(self) -> None:
        try:
            sync_data(self._active.descriptor)
        except OSError as error:
            self._failure = _NOT_SYNCED.format(error)
            raise self._failed() from error

    def _sync_written(self) -> None:
        self._is_dirty = False
        with Descriptors() as opened:
            try:
                # Without a lock, because a thread that closes or replaces the file has synced it.
                descriptor = opened.duplicate(self._active.descriptor)
            except OSError as error:
                if error.errno == errno.EBADF:
                    return
                if not is_ending():  # the process cannot open another descriptor now
                    sync_soon(self)
                    return
                descriptor = self._active.descriptor
            try:
                if self._active.is_open_as(descriptor):
                    sync_data(descriptor)
            except OSError as error:
                self._failure = _NOT_SYNCED.format(error)
                message = f"{self.source}: {self._failure}; no more is written"
                if self._queue.leader == get_ident():  # it holds a lock, so the warning has to wait
                    self._pending_warnings.append(message)
                else:
                    warn("%s", message, about=self.source)

    def _check_ours(self) -> None:
        with refusals(self.source, "nothing was changed"):
            check_ownership(self._layout)

    def _prepare(self) -> None:
        self._check_usable()
        self._check_ours()
        with refusals(self.source, "nothing was changed"):
            check_whole(self._layout)
            self._layout.check_writable()
        # Alone, because an append of another thread would count in the storage that is being left.
        self._queue.alone(self, self._publish)
        if is_mounted(self.source):
            self._layout.miss("the file itself is mounted, alone", MOUNTED_ALONE)
        self._flush_warnings()

    def _publish(self) -> None:
        """Publish the counters, or have it tried again later."""
        layout = self._layout
        with refusals(self.source, "nothing was changed"):
            if self._prepared:
                return
            failure: Exception | None = None
            try:
                publish(
                    layout.metrics,
                    layout.owner,
                    self.metrics,
                    timeout=self._lock_timeout,
                    is_hurried=self._publication.mark is not None,  # because appends wait meanwhile
                )
            except StoreBusyError:
                raise  # this call interrupted another object's call that publishes
            except (OSError, PapyraError) as error:
                if not os.path.isdir(layout.directory):
                    return  # the store has no place either, and the operation will say so
                failure = error
            # A weak reference, so that a store that is dropped is freed at once.
            self._active.at_look = partial(_look_after_counters, ref(self))
            self._publication.note(failure, self._active.lock)
            # Last: if an interrupt strikes before, the next append does it again.
            self._prepared = True

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        return self._lines_besides((), newest_first=newest_first)

    def _lines_besides(self, untouched: Collection[str], *, newest_first: bool) -> Iterator[Line]:
        with (
            refusals(self.source, "the store cannot be read"),
            View(self._layout, timeout=self._lock_timeout, without=untouched) as view,
        ):
            yield from view.lines(newest_first=newest_first)

    @contextmanager
    def _view(self) -> Generator[View]:
        with (
            refusals(self.source, "the store cannot be read"),
            View(self._layout, timeout=self._lock_timeout) as view,
        ):
            yield view

    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten:
        layout, timeout = self._layout, self._lock_timeout
        with refusals(self.source, "the rewrite stopped there"):
            if not layout.exists() and not layout.temporaries():
                return Rewritten(0, 0)
            with self._maintained():
                done = self._without_writers(
                    partial(rewrite, layout, rewrite_filter, timeout=timeout)
                )
        self._flush_warnings()
        return done

    def _preview(self, rewrite_filter: RewriteFilter, *, without: Collection[str]) -> Rewritten:
        with refusals(self.source, "nothing was changed"):
            return preview(
                self._layout, rewrite_filter, without=without, timeout=self._lock_timeout
            )

    def _undo(self, id_: str, *, dry_run: bool) -> int:
        layout, timeout = self._layout, self._lock_timeout
        with refusals(self.source, "the undo failed"):
            if dry_run:
                return undo(layout, id_, dry_run=True, timeout=timeout)
            with self._maintained():
                restored = self._without_writers(
                    partial(undo, layout, id_, dry_run=False, timeout=timeout)
                )
        self._flush_warnings()
        return restored

    def _quarantined(self) -> Iterable[Quarantined]:
        with refusals(self.source, "the quarantine cannot be read"):
            return list(quarantined(self._layout))

    def _maintained(self) -> Maintenance:
        return Maintenance(self._layout, timeout=self._lock_timeout)

    def _without_writers(self, do: Callable[[], _Result]) -> _Result:
        """Return what *do* returns; without flock, keep this object's own appends out meanwhile."""
        return do() if HAS_FLOCK else self._queue.alone(self, partial(self._with_file_closed, do))

    def _with_file_closed(self, do: Callable[[], _Result]) -> _Result:
        """Return what *do* returns, with the active file closed: Windows does not replace open files."""
        self._active.close()
        return do()

    def _is_same(self, other: object) -> bool:
        return isinstance(other, FileBackend) and other.source == self.source

    def _new_seen_ids(self) -> SeenIds:
        return LegacySeenIds()

    def _check(self) -> Iterable[Anomaly]:
        with refusals(self.source, "the store cannot be scanned"):
            return list(self._layout.strays())

    def _leftovers(self, sources: Sequence[str]) -> Sequence[str]:
        left = {slot.path for slot in self._layout.slots() if slot.is_remains}
        return [source for source in sources if source in left]

    def _close(self) -> None:
        try:
            if self._sync != "none" and self._active.descriptor >= 0 and not self._failure:
                with refusals(self.source, "the last records may not be on the disk"):
                    sync_data(self._active.descriptor)
        finally:
            unpublish(self.metrics)
            self._active.close()
        if self._failure and not self._is_failure_logged:  # a sync in the background failed
            raise self._failed()

    def _let_go_in_child(self) -> None:
        self._is_dirty = False
        # Missing in a store whose constructor failed, or was still running.
        active: ActiveFile | None = getattr(self, "_active", None)
        if active is not None:
            # The parent's locks live as long as any copy of their descriptors, so closing one here does not
            # unlock the store.
            active.close()
