"""
What a store implements: five primitives that know bytes only, and the state that they share.

`papyra.backend` has the operations, which are made of these; nothing is counted here.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

from papyra.errors import ForkedStoreError, StoreClosedError
from papyra.format.codec import MAX_LINE
from papyra.metrics.mixin import PersistenceMetricsMixin
from papyra.reading.keep import RewriteFilter, Verdict
from papyra.reading.scanner import Line, Moment, View
from papyra.reading.seen_ids import SeenIds
from papyra.reports import Anomaly, Rewritten
from papyra.retention import Retention
from papyra.system.forks import forget_in_child
from papyra.writing.call import NOW, MustWait
from papyra.writing.group_commit import CommitQueue

# All that the signatures of the primitives name.
__all__ = [
    "MAX_LINE",
    "NOW",
    "Anomaly",
    "Line",
    "MustWait",
    "Primitives",
    "RewriteFilter",
    "Rewritten",
    "Sync",
    "Verdict",
]  # fmt: skip

#: When written records are brought to the disk. A program that reads it from its settings has a
#: str: which ones are meant is checked when the store is made.
Sync: TypeAlias = Literal["none", "interval", "always"] | str  # noqa: PYI051  for completion
_SYNCS: Final = ("none", "interval", "always")


class Primitives(PersistenceMetricsMixin, ABC):
    """The part of a store that depends on where it keeps its bytes."""

    #: Whether a child process may go on with its copy of the object. One with descriptors or
    #: connections says False, and lets go of them in `_let_go_in_child`.
    survives_fork: ClassVar[bool] = True

    name: str
    source: str
    #: Records stored by this object. `_append` moves it, in one assignment.
    _stored: int
    #: `_prepare` was called; a store that has nothing to do there leaves it as it is.
    _prepared: bool
    #: What `_append` wants logged once no lock is held.
    _pending_warnings: list[str]
    _closed: bool
    _released: bool
    _forked: bool
    _retention: Retention = Retention()
    _sync: Sync = "interval"
    _lock_timeout: float = 5.0
    #: Whether `_append` heeds the deadline `NOW`. asyncio appends then call it on the event loop
    #: itself; otherwise a thread does.
    _appends_now: bool = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401  whatever __init__ takes
        """Make the object with its queue and counters, so that __init__ need not."""
        self = super().__new__(cls, *args, **kwargs)
        self.name = self.source = cls.kind
        self._stored = 0
        self._pending_warnings = []
        self._queue = CommitQueue()
        self._closed = self._released = self._forked = False
        self._prepared = True
        forget_in_child(self)
        return self

    def __init__(
        self,
        *,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        if sync not in _SYNCS:
            raise ValueError(f"sync is {sync!r}: one of {', '.join(_SYNCS)} is needed")
        is_number = isinstance(lock_timeout, (int, float)) and not isinstance(lock_timeout, bool)
        if not is_number or not 0 <= lock_timeout < float("inf"):
            raise ValueError(f"lock_timeout is {lock_timeout!r}: seconds from 0 on are needed")
        if retention is not None and not isinstance(retention, Retention):
            raise TypeError(f"retention is {retention!r}: a papyra.Retention is needed, or None")
        self._retention = Retention() if retention is None else retention
        self._sync = sync
        self._lock_timeout = lock_timeout

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    @property
    def retention(self) -> Retention:
        """What is kept."""
        return self._retention

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{' closed' if self._closed else ''}>"

    @abstractmethod
    def _append(self, lines: Sequence[bytes], *, deadline: float) -> list[Anomaly]:
        """
        Store all *lines* (each with its newline) after what is there, or none of them.

        Their number is added to `self._stored` in one assignment: what became of the batch is
        told by it alone, since an interrupt may strike after any call. Where storing ends with
        the last byte, assign right after it, inside the block that takes the bytes back on any
        `BaseException`. Where it ends with a commit, assign right before that, and take both back
        if it did not happen. Retries belong in here.

        Args:
            lines: At least one.
            deadline: When to raise `StoreLockedError` instead, as `time.monotonic` has it. `NOW`,
                which only a store with `_appends_now` is given: raise `MustWait`, before anything
                is changed, rather than wait for a lock, a disk or a server. A write that the
                operating system buffers is no waiting.

        Returns:
            Damage that was met, as a torn line at the end.
        """

    @abstractmethod
    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        """
        Iterate over the lines of one moment, each with its place.

        A line has its newline, if there is one; of a line longer than
        `papyra.format.codec.MAX_LINE` only the length is given.
        """

    def _resolve(self) -> int:
        """
        Return how many records this object has stored; called once when a batch settles.

        A store on a server overrides it: an interrupt may have left a batch in flight, and then it asks the
        server what became of that. It may be called again for the same batch.
        """
        return self._stored

    def _view(self) -> AbstractContextManager[View]:
        """
        Give the lines of one moment, to be looked at more than once.

        A store overrides it where two calls of `_lines` may yield lines of different moments, so that
        a second look from the other end sees the same records. No lock is held meanwhile.
        """
        return nullcontext(Moment(self._lines))

    def _new_seen_ids(self) -> SeenIds:
        """
        Return what tells which records a look has met before; by default it knows ids alone.

        A store overrides it where its lines hold records that have no ids and are the same all the same.
        """
        return SeenIds()

    @abstractmethod
    def _check(self) -> Iterable[Anomaly]:
        """Return damage that is no line's; change nothing."""

    def _leftovers(self, sources: Sequence[str]) -> Sequence[str]:  # noqa: ARG002  most have none
        """Return those of *sources* of which `_lines` gives only what stands nowhere else."""
        return ()

    @abstractmethod
    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten:
        """
        Show *rewrite_filter* each line and do as it says (see `RewriteFilter`).

        A crash leaves the old or the new store. Nobody else rewrites meanwhile; appends go on, or
        wait.
        """

    def _preview(self, rewrite_filter: RewriteFilter, *, without: Collection[str]) -> Rewritten:  # noqa: ARG002  see `_excess`
        """
        Show *rewrite_filter* what `_rewrite` would show it, and return what that would do; change nothing.

        A store overrides it where its lines are more than `_lines` gives, or where `_lines` may
        change between two calls because of an append.

        Args:
            rewrite_filter: As for `_rewrite`.
            without: Names out of `_excess`, which would be gone by then.
        """
        rewrite_filter.begin(self._lines)
        before = after = removed = 0
        sources = {self.source}
        for place, line in self._lines(newest_first=False):
            sources.add(place[0])
            before += line if isinstance(line, int) else len(line)
            for start, stop, anomaly in rewrite_filter(place, line):
                if anomaly is not None:
                    removed += stop - start
                elif isinstance(line, bytes):  # a rewrite gives each line its newline
                    after += stop - start + (line[stop - 1 : stop] != b"\n")
        for source in sources:
            rewrite_filter.finish(source)
        return Rewritten(before, after, removed)

    def _excess(self) -> Mapping[str, int]:
        """
        Return names and bytes of what a bound of the store's own leaves no room for.

        Nothing is changed. Only a store with a bound beside its retention has any.
        """
        return {}

    def _lines_in(self, sources: Collection[str]) -> Iterator[Line]:  # noqa: ARG002  see `_excess`
        """Iterate over the lines of *sources*, which are names out of `_excess`."""
        return iter(())

    def _trim(self, excess: Collection[str]) -> Mapping[str, int]:  # noqa: ARG002  see `_excess`
        """
        Drop what stands in *excess* and is beyond the bound still, and return its names and bytes.

        A compaction calls it first, before it changes a record.
        """
        return {}

    def _share_counts(self) -> None:
        """
        Tell others what was counted; called after each scan, recovery and compaction.

        It raises nothing. A store whose counters others see at once has nothing to do here.
        """

    @abstractmethod
    def _close(self) -> None:
        """Let go of everything; called again only where an interrupt ended it."""

    def _check_ours(self) -> None:
        """Raise `NotAStoreError` if something else stands in the store's place; change nothing."""

    def _prepare(self) -> None:
        """
        Get ready to change the store; called before it is changed, without a lock.

        A store that has something to do here sets `self._prepared` to False at first, and to
        True once it is ready; an append then calls it no more.
        """

    def _check_usable(self) -> None:
        """Raise why the store cannot be used, if it cannot."""
        if self._forked:
            raise ForkedStoreError(
                f"{self.source}: opened before a fork; open it in the child, after the fork"
            )
        if self._closed:
            raise StoreClosedError(f"{self.source}: the store is closed; open it again")

    def _let_go_in_child(self) -> None:
        """
        Let go, in a child process, of what the store shares with its parent, and leave that as it is.

        The store may be half made: its `__init__` may have failed, or have run in another thread as the
        process forked. A store that raises here is refused in the child.
        """

    def _after_fork(self) -> None:
        """Become a child's store: nothing is stored yet, and no call waits; see `_let_go_in_child`."""
        # First: whatever the store's own part does, parent and child never give the same ids.
        self._forked = True
        self._queue = CommitQueue()
        self._stored = 0
        self._let_go_in_child()
        self._forked = not self.survives_fork
