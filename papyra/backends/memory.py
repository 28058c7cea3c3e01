"""The store in memory: the same bytes, errors and answers as the others."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import ClassVar

from papyra.backend import PersistenceBackend
from papyra.format.codec import MAX_LINE
from papyra.primitives import Sync, WouldBlock
from papyra.reading.keep import KeepFilter, RewriteFilter
from papyra.reading.scanner import Line, Moment, View
from papyra.reports import Anomaly, Rewritten
from papyra.retention import Retention

#: Lines beyond twice those kept last time before the retention is applied again.
_SLACK = 1000


class MemoryBackend(PersistenceBackend):
    """
    Keeps encoded lines in a list; gone with the object, and with the process.

    It is a test double for the other stores: it accepts, numbers and checksums the same records, and finds damage
    that is put into it. As appends go on it drops the records that the retention does not keep, so memory stays
    bounded. `compact()` does it at once and counts nothing. *sync* changes nothing: there is no disk.
    """

    __module__ = "papyra"

    kind = "memory"
    unsupported: ClassVar[frozenset[str]] = frozenset(
        {"compactions_triggered", "compaction_errors"}
    )

    _always_waits = False

    def __init__(
        self,
        *,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        super().__init__(retention=retention, sync=sync, lock_timeout=lock_timeout)
        # The lines, and how many of them are stored: those beyond are of an append under way. Both are replaced
        # together, so a view of one moment needs no lock.
        self._held: tuple[list[bytes], int] = [], 0
        self._trim_at = _SLACK

    def _append(
        self,
        lines: Sequence[bytes],
        *,
        deadline: float,  # noqa: ARG002  no other process can hold it
        may_wait: bool,
    ) -> list[Anomaly]:
        held, end = self._held
        count = len(lines)
        is_trimmed = self._trim_at < end + count and not self._retention.keeps_all
        if is_trimmed and not may_wait:  # it takes as long as there are records
            raise WouldBlock
        try:
            del held[end:]
            held.extend(lines)
            self._held, self._stored = (held, end + count), self._stored + count
        except BaseException:
            if self._held[1] == end:
                del held[end:]  # otherwise they would stay in memory until the next append
            raise
        if is_trimmed:
            self._sort(KeepFilter(self._retention, time.time(), self._new_seen_ids))
            self._trim_at = 2 * self._held[1] + _SLACK
        return []

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        return self._lines_of(*self._held, newest_first=newest_first)

    def _view(self) -> AbstractContextManager[View]:
        return nullcontext(Moment(partial(self._lines_of, *self._held)))

    def _lines_of(self, held: list[bytes], end: int, *, newest_first: bool) -> Iterator[Line]:
        # No copy: an append adds lines beyond the end of this list, and a trim or a recovery makes another list.
        for number in range(end - 1, -1, -1) if newest_first else range(end):
            line = held[number]
            yield (self.source, str(number)), line if len(line) <= MAX_LINE else len(line)

    def _check(self) -> tuple[()]:
        return ()

    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten:
        return self._queue.alone(self, partial(self._sort, rewrite_filter))

    def _preview(self, rewrite_filter: RewriteFilter, *, without: Collection[str]) -> Rewritten:
        # Otherwise an append might drop lines that this looks at.
        return self._queue.alone(self, partial(super()._preview, rewrite_filter, without=without))

    def _sort(self, rewrite_filter: RewriteFilter) -> Rewritten:
        """Keep what *rewrite_filter* keeps; the queue's lock is held."""
        rewrite_filter.begin(self._lines)
        held, end = self._held
        kept: list[bytes] = []
        removed = 0
        for number, line in enumerate(held[:end]):
            verdicts = rewrite_filter(
                (self.source, str(number)), line if len(line) <= MAX_LINE else len(line)
            )
            removed += sum(verdict.stop - verdict.start for verdict in verdicts if verdict.anomaly)
            kept += [_whole(line[p.start : p.stop]) for p in verdicts if not p.anomaly]
        rewrite_filter.finish(self.source)
        before = sum(map(len, held[:end]))
        self._held = kept, len(kept)
        return Rewritten(before, sum(map(len, kept)), removed)

    def _close(self) -> None:
        self._held = [], 0


def _whole(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"
