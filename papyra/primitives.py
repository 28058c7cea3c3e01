"""
The contract of a store: five primitives that know bytes only, the hooks beside them, and the state that they share.

`papyra.backend` makes the operations of these; nothing is counted here. `papyra.capabilities` has the methods of the few
stores that can do more.
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
from papyra.writing.call import WouldBlock
from papyra.writing.group_commit import CommitQueue

# All names in the signatures of the primitives.
__all__ = [
    "MAX_LINE",
    "Anomaly",
    "Line",
    "Primitives",
    "RewriteFilter",
    "Rewritten",
    "Sync",
    "Verdict",
    "WouldBlock",
]  # fmt: skip

#: When written records are brought to the disk. A program that reads it from its settings has any string, so the
#: constructor checks it.
Sync: TypeAlias = Literal["none", "interval", "always"] | str  # noqa: PYI051  for completion
_SYNCS: Final = ("none", "interval", "always")


class Primitives(PersistenceMetricsMixin, ABC):
    """The part of a store that depends on where it keeps its bytes."""

    #: Whether a child process may go on with its copy of the object. A store with descriptors or connections says
    #: False, and releases them in `_let_go_in_child`.
    survives_fork: ClassVar[bool] = True

    name: str
    source: str
    #: Number of records that this object stored. `_append` raises it, in one assignment.
    _stored: int
    #: Whether `_prepare` has succeeded. A store that has nothing to prepare leaves it True.
    _prepared: bool
    #: Warnings of `_append`, which are logged once no lock is held.
    _pending_warnings: list[str]
    _closed: bool
    _released: bool
    _forked: bool
    _retention: Retention = Retention()
    _sync: Sync = "interval"
    _lock_timeout: float = 5.0
    #: Whether each `_append` waits for a lock, a disk or a server. Where it is False, asyncio calls
    #: `_append` on the event loop, with `may_wait=False`; otherwise in a thread.
    _always_waits: bool = True

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
            raise ValueError(f"sync must be one of {', '.join(_SYNCS)}, got {sync!r:.80}")
        is_number = isinstance(lock_timeout, (int, float)) and not isinstance(lock_timeout, bool)
        if not is_number or not 0 <= lock_timeout < float("inf"):
            raise ValueError(f"lock_timeout must be seconds from 0 on, got {lock_timeout!r:.80}")
        if retention is not None and not isinstance(retention, Retention):
            raise TypeError(f"retention must be a papyra.Retention or None, got {retention!r:.80}")
        self._retention = Retention() if retention is None else retention
        self._sync = sync
        self._lock_timeout = lock_timeout

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    @property
    def retention(self) -> Retention:
        """The rule by which records are kept."""
        return self._retention

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{' closed' if self._closed else ''}>"

    @abstractmethod
    def _append(self, lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:
        """
        Store all *lines* (each with its newline) after what is there, or none of them.

        Add their number to `self._stored` in one assignment. The queue concludes from it alone whether the batch is
        stored, because an interrupt may strike after any call. If storing ends with the last byte, assign right after
        that, inside the block that takes the bytes back on any `BaseException`. If it ends with a commit, assign right
        before that, and take both back if the commit did not happen. Retries belong in here.

        Args:
            lines: At least one.
            deadline: When to raise `StoreLockedError` instead, by the clock `time.monotonic`.
            may_wait: False on an event loop, if not `_always_waits`. Then raise `WouldBlock`, before
                anything is changed, rather than wait for a lock, a disk or a server. A write that the
                operating system buffers does not wait.

        Returns:
            Damage that the append met, such as a torn write at the end.

        Raises:
            WouldBlock: if the caller would have to wait, and must not.
        """

    @abstractmethod
    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        """
        Iterate over the lines of one moment, each with its place.

        A line has its newline, if there is one. Instead of a line longer than `papyra.format.codec.MAX_LINE`, give its
        length.
        """

    def _resolve(self) -> int:
        """
        Return how many records this object has stored; called once when a batch settles.

        A store on a server overrides it. An interrupt may have left a batch in flight, and then it asks the server
        whether that is stored. It may be called again for the same batch.
        """
        return self._stored

    def _view(self) -> AbstractContextManager[View]:
        """
        Give the lines of one moment, to be looked at more than once.

        Override it if two calls of `_lines` may yield lines of different moments. With the override, a second look
        from the other end sees the same records. No lock is held meanwhile.
        """
        return nullcontext(Moment(self._lines))

    def _new_seen_ids(self) -> SeenIds:
        """
        Return an object that knows which records a look has met before; by default it compares ids alone.

        Override it if the store holds records without ids that may be the same record.
        """
        return SeenIds()

    @abstractmethod
    def _check(self) -> Iterable[Anomaly]:
        """Return the damage that does not lie in a line; change nothing."""

    def _leftovers(self, sources: Sequence[str]) -> Sequence[str]:  # noqa: ARG002  most have none
        """Return those of *sources* of which `_lines` gives only the records that no other source holds."""
        return ()

    @abstractmethod
    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten:
        """
        Show *rewrite_filter* each line and do as it says (see `RewriteFilter`).

        A crash leaves the old or the new store. Keep every other thread and process from rewriting the store meanwhile;
        appends go on, or wait.
        """

    def _preview(self, rewrite_filter: RewriteFilter, *, without: Collection[str]) -> Rewritten:  # noqa: ARG002  see `_excess`
        """
        Show *rewrite_filter* the lines that `_rewrite` would show it, and return what that would do; change nothing.

        Override it if the store has more lines than `_lines` gives, or if an append between two calls may change what
        `_lines` gives.

        Args:
            rewrite_filter: As for `_rewrite`.
            without: Names from `_excess`: a compaction would have dropped these by then.
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
        Return the names and sizes of the sources that exceed a bound of the store's own; change nothing.

        Only a store with a bound beside its retention, such as a number of files, returns any.
        """
        return {}

    def _lines_in(self, sources: Collection[str]) -> Iterator[Line]:  # noqa: ARG002  see `_excess`
        """Iterate over the lines of *sources*, which are names from `_excess`."""
        return iter(())

    def _lines_besides(self, untouched: Collection[str], *, newest_first: bool) -> Iterator[Line]:
        """
        Iterate over the lines of all sources but *untouched*, as `_rewrite` named them.

        Only a store whose `_rewrite` names any overrides it.
        """
        assert not untouched  # noqa: S101  otherwise the store has to override this
        return self._lines(newest_first=newest_first)

    def _trim(self, excess: Collection[str]) -> Mapping[str, int]:  # noqa: ARG002  see `_excess`
        """
        Drop those of *excess* that still exceed the bound, and return their names and sizes.

        A compaction calls it first, before it changes a record.
        """
        return {}

    def _share_counts(self) -> None:
        """
        Send the counts to other programs; called after each scan, recovery and compaction.

        It raises nothing. A store whose counters other programs see at once has nothing to send.
        """

    @abstractmethod
    def _close(self) -> None:
        """Release everything; called again only if an interrupt ended it."""

    def _check_ours(self) -> None:
        """Raise `NotAStoreError` if the store's place holds something that is not a store; change nothing."""

    def _prepare(self) -> None:
        """
        Get ready to change the store; called before it is changed, without a lock.

        A store that has something to prepare sets `self._prepared` to False at first, and to True once it is ready.
        Appends do not call this any more then.
        """

    def _check_usable(self) -> None:
        """Raise why the store cannot be used, if it cannot."""
        if self._forked:
            raise ForkedStoreError(
                f"{self.source}: the store was opened before a fork; open it in the child, after the fork"
            )
        if self._closed:
            raise StoreClosedError(f"{self.source}: the store is closed; open it again")

    def _let_go_in_child(self) -> None:
        """
        Release, in a child process, all that the store shares with its parent, without changing that.

        The store may be half made: its `__init__` may have failed, or have run in another thread as the process forked.
        If this raises, the child cannot use the store.
        """

    def _after_fork(self) -> None:
        """Become a child's store: nothing is stored yet, and no call waits; see `_let_go_in_child`."""
        # First: whatever the store's own part does, parent and child never give the same ids.
        self._forked = True
        self._queue = CommitQueue()
        self._stored = 0
        self._let_go_in_child()
        self._forked = not self.survives_fork
