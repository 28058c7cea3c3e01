"""
The passes over a store: scan, recover, compact, undo, and what each of them would do.

`papyra.backend` calls them and counts what they did; nothing is counted here. A pass knows a store by its
primitives only. It adds the damage that it meets to *findings*, which its caller counts even where the pass
raises.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from papyra.reading.duplicates import look_through
from papyra.reading.findings import Findings
from papyra.reading.keep import KeepFilter, RewriteFilter, count_records
from papyra.reading.scanner import Line, Source
from papyra.reading.seen_ids import SeenIds
from papyra.reports import Anomaly, CompactionReport, RecoveryReport, Rewritten, ScanReport
from papyra.retention import Retention


class Store(Protocol):
    """The part of a store that the passes use (see `papyra.primitives`)."""

    _retention: Retention

    def _check_usable(self) -> None: ...

    def _check_ours(self) -> None: ...

    def _prepare(self) -> None: ...

    def _flush_warnings(self) -> None: ...

    def _source(self) -> Source: ...

    def _new_seen_ids(self) -> SeenIds: ...

    def _check(self) -> Iterable[Anomaly]: ...

    def _leftovers(self, sources: Sequence[str]) -> Sequence[str]: ...

    def _excess(self) -> Mapping[str, int]: ...

    def _lines_in(self, sources: Collection[str]) -> Iterator[Line]: ...

    def _lines_besides(
        self, untouched: Collection[str], *, newest_first: bool
    ) -> Iterator[Line]: ...

    def _trim(self, excess: Collection[str]) -> Mapping[str, int]: ...

    def _preview(self, rewrite_filter: RewriteFilter, *, without: Collection[str]) -> Rewritten: ...

    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten: ...


def scan(store: Store, findings: Findings) -> ScanReport:
    """Look at everything and report what is damaged; change nothing."""
    store._check_usable()
    for anomaly in store._check():
        findings.add(anomaly)
    records, size, sources = look_through(store._source(), findings)
    leftovers = tuple(store._leftovers(sources))
    return ScanReport(records, size, tuple(findings.listed), findings.found, leftovers)


def plan_recovery(store: Store, findings: Findings) -> RecoveryReport:
    """Report what a recovery would remove; change nothing."""
    store._check_usable()
    store._check_ours()
    scan(store, findings)
    return RecoveryReport(
        dry_run=True,
        anomalies=tuple(findings.listed),
        found=findings.found,
        removed=findings.bytes_removable,
        quarantine=None,
        remaining=tuple(findings.listed),
    )


def recover(store: Store, findings: Findings) -> RecoveryReport:
    """Scan, move damage to the quarantine, and look once more; the store is prepared."""
    scan(store, findings)
    done = Rewritten(0, 0)
    remaining = findings
    if is_repairable(findings.listed):
        keep_filter = KeepFilter(
            None, time.time(), store._new_seen_ids, may_repeat=findings.duplicates > 0
        )
        try:
            done = store._rewrite(keep_filter)
        finally:
            findings.merge(keep_filter.findings)
        remaining = _remaining(store, done)
    return RecoveryReport(
        dry_run=False,
        anomalies=tuple(findings.listed),
        found=findings.found,
        removed=done.removed,
        quarantine=done.quarantine,
        remaining=tuple(remaining.listed),
    )


def _remaining(store: Store, done: Rewritten) -> Findings:
    """Return the damage that is there after a rewrite: sources that it left untouched have none."""
    remaining = Findings()
    for anomaly in store._check():
        remaining.add(anomaly)
    lines = partial(store._lines_besides, done.untouched)
    look_through(store._source()._replace(lines=lines), remaining)
    return remaining


def is_repairable(anomalies: Iterable[Anomaly]) -> bool:
    """Tell whether a recovery has anything to do about *anomalies*: it leaves other programs' files alone."""
    return any(anomaly.type != "unexpected_file" for anomaly in anomalies)


def undone(id_: str, restored: int, *, dry_run: bool) -> RecoveryReport:
    """Return the report of undoing: *restored* bytes of what was saved under *id_* are put back."""
    return RecoveryReport(
        dry_run=dry_run,
        anomalies=(),
        found=0,
        removed=0,
        quarantine=id_,
        remaining=(),
        restored=restored,
    )


def plan_compaction(store: Store, findings: Findings) -> CompactionReport:
    """Report what a compaction would drop and move; change nothing."""
    store._check_usable()
    keep_filter = _keep_filter(store, findings)
    store._check_ours()
    for anomaly in store._check():
        findings.add(anomaly)
    excess = store._excess()
    counted = count_records(store._lines_in(excess), store._new_seen_ids()) if excess else {}
    done = store._preview(keep_filter, without=excess)
    for dropped in counted.values():
        keep_filter.dropped.merge(dropped)
    return _compaction_report(keep_filter, done, excess, tuple(findings.listed), dry_run=True)


def compact(store: Store, findings: Findings) -> CompactionReport:
    """Drop what the retention does not keep, and move damage to the quarantine."""
    store._check_usable()
    keep_filter = _keep_filter(store, findings)
    store._prepare()
    for anomaly in store._check():
        findings.add(anomaly)
    excess = store._excess()
    # Before they are dropped, and without a lock: appends go on meanwhile.
    counted = count_records(store._lines_in(excess), store._new_seen_ids()) if excess else {}
    trimmed = store._trim(excess)
    store._flush_warnings()
    for name, dropped in counted.items():
        if name in trimmed:
            keep_filter.dropped.merge(dropped)
    done = store._rewrite(keep_filter)
    remaining = tuple(store._check())
    return _compaction_report(keep_filter, done, trimmed, remaining, dry_run=False)


def _keep_filter(store: Store, findings: Findings) -> KeepFilter:
    """Return the rewrite filter of a compaction that begins now; it adds damage to *findings*."""
    keep_filter = KeepFilter(store._retention, time.time(), store._new_seen_ids)
    keep_filter.findings = findings
    return keep_filter


def _compaction_report(
    keep_filter: KeepFilter,
    done: Rewritten,
    files: Mapping[str, int],
    remaining: tuple[Anomaly, ...],
    *,
    dry_run: bool,
) -> CompactionReport:
    """Return what *keep_filter* saw and what was, or would be, *done*; *files* were dropped whole."""
    dropped, findings = keep_filter.dropped, keep_filter.findings
    return CompactionReport(
        kept=keep_filter.kept,
        dropped=dropped.records,
        bytes_before=sum(files.values()) + done.bytes_before,
        bytes_after=done.bytes_after,
        anomalies=tuple(findings.listed),
        found=findings.found,
        quarantine=done.quarantine,
        remaining=remaining,
        files_dropped=tuple(files),
        dry_run=dry_run,
        dropped_bytes=dropped.bytes,
        dropped_by_kind=dict(dropped.by_kind),
        dropped_oldest=dropped.oldest,
        dropped_newest=dropped.newest,
    )
