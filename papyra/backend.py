"""
The public operations of every store: the one place where they are counted.

A store gives five primitives that know bytes only (see `papyra.primitives`). Encoding, numbering, retention,
filters and every count lie here and above. Public operations never call one another, and retries lie inside a
primitive: otherwise something would be counted twice.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import NoReturn, Self, TypeVar, final

from papyra import maintenance
from papyra.errors import WriteOutcomeUnknownError
from papyra.format.codec import encode
from papyra.metrics.block import Counted
from papyra.reading.findings import Findings
from papyra.reading.query import Query, query_of, read_all
from papyra.record import Record
from papyra.reports import Anomaly, CompactionReport, RecoveryReport, ScanReport
from papyra.store_object import StoreObject
from papyra.system.clock import monotonic
from papyra.writing.call import Call, note_lost

_Thing = TypeVar("_Thing")


class PersistenceBackend(StoreObject):
    """
    A store of records that counts what it does.

    A subclass implements `_append`, `_lines`, `_check`, `_rewrite` and `_close`, which know bytes only, and
    declares `kind`; it inherits everything else. Any number of threads may use a store. Two threads never call
    `_append` at once; they may call the other primitives at once.

    Args:
        retention: What is kept; by default everything.
        sync: When written records are brought to the disk. "none" leaves it to the operating system,
            "interval" does it once a second, "always" before a write is acknowledged.
        lock_timeout: Seconds that a call waits for other threads and processes.

    Attributes:
        metrics: The counters of this object.
        name: What exporters call the store, unless told otherwise: the kind, or a file's stem.
        source: Where it is, for messages: a file's path, or the name.
    """

    __module__ = "papyra"

    @final
    def append(self, record: Record) -> str:
        """
        Store *record* and return its id.

        Raises:
            RecordError: if the record cannot be stored as it is.
            StoreLockedError: if another thread or process held the store for too long.
            StoreFailedError: if an earlier failure made the store read-only.
            StoreIOError: if the operating system refused, as on a full disk.
            StoreClosedError: after close().
        """
        if not self._prepared:
            self._prepare_to_write()
        try:  # `_rejecting` would cost a twentieth of an append
            bodies = (encode(record),)
        except Exception as error:  # noqa: BLE001  counted, and raised on
            self._reject(error)
        call = Call(bodies, monotonic() + self._lock_timeout)
        self._queue.commit(self, call)
        return f"{call.writer}-{call.first}"

    @final
    def append_many(self, records: Iterable[Record]) -> list[str]:
        """
        Store *records* in one batch, all or none, and return their ids.

        It is one call: if it fails, that is one write error. A crash in the middle may leave the first records of
        a batch that was not acknowledged.

        Raises:
            RecordError, StoreLockedError, StoreFailedError, StoreIOError, StoreClosedError: as `append`.
        """
        bodies = self._encode(records)
        return self._commit(bodies).result() if bodies else []

    @final
    def append_soon(self, record: Record) -> None:
        """
        Take *record*, to be stored with the next append, before what that brings, or by `close`.

        It waits for nothing and raises nothing. So finalizers, weak reference callbacks and signal handlers may
        call it, also where they interrupt a call on this store. Records are stored in the order in which they
        were taken. Until then they are in memory alone, so the end of the program ends them; their number has no
        bound.

        A record is counted when it is written. One that cannot be stored, or comes after `close`, is one write
        error, and logged with the next append.
        """
        try:
            self._check_usable()
            call = Call((encode(record),), float("inf"))
        except Exception as error:  # noqa: BLE001  counted; no caller waits to see it raised
            self.metrics.increment("write_errors", 1)
            note_lost(self, 1, error)
            return
        call.is_soon = True
        self._queue.append_soon(self, call)

    @final
    def resend(self, error: WriteOutcomeUnknownError) -> list[str]:
        """
        Store the batch of *error* once, whatever became of it, and return the ids of its records.

        Only a store on a server raises such an error. It may be sent again any number of times, also by another
        process. Each time is a write call of its own and counts like one; after a success for one error, further
        ones count nothing.

        Raises:
            UnsupportedError: if *error* is another store's, or so old that its writer may be forgotten.
            WriteOutcomeUnknownError: if the outcome is unknown again.
            StoreClosedError, ForkedStoreError: as `append`.
        """
        with self._rejecting():
            self._queue.alone(self, partial(self._resend, error))
        return error.ids

    def _encode(self, records: Iterable[Record]) -> list[bytes]:
        """Return the bodies of *records*; one that cannot be stored is a write error."""
        try:  # as in `append`
            return [encode(record) for record in records]
        except Exception as error:  # noqa: BLE001  counted, and raised on
            self._reject(error)

    def _commit(self, bodies: Sequence[bytes], *, is_sealed: bool = False) -> Call:
        """Store *bodies*, or whole lines of another store if they are *sealed*, as one write call."""
        if not self._prepared:
            self._prepare_to_write()
        call = Call(bodies, monotonic() + self._lock_timeout)
        call.is_sealed = is_sealed
        self._queue.commit(self, call)
        return call

    def _prepare_to_write(self) -> None:
        with self._rejecting():
            self._prepare()

    def _rejecting(self) -> Counted:
        """Count an error of the block as that of a write call; an interrupt has not begun to write."""
        return Counted(self.metrics, "write_errors", kind=Exception)

    def _reject(self, error: Exception) -> NoReturn:
        """Raise *error* as that of a write call that is not written."""
        self.metrics.increment("write_errors")
        raise error

    @final
    def read(
        self,
        *,
        kind: str | None = None,
        since: float | None = None,
        limit: int | None = None,
        strict: bool = False,
    ) -> list[Record]:
        """
        Return the records that the retention keeps, oldest first.

        A record that is in the store more than once is returned where it comes last.

        Args:
            kind: Only records of this kind.
            since: Only records with a timestamp from this one on, in seconds since the epoch.
            limit: Only this many of them, the newest; older lines are not looked at.
            strict: Raise at the first damaged line. Otherwise damage is passed over, counted as anomalies and
                logged once.

        Raises:
            CorruptRecordError: if *strict* and a line is damaged.
            UnreadableRecordError: if a line is intact, by its checksum, and is not JSON.
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        findings = Findings()
        with Counted(self.metrics, "read_errors", findings):
            self._check_usable()
            query = query_of(kind, since, limit, strict=strict)
            found = read_all(self._source(), self._retention, query, time.time(), findings)
        self.metrics.increment("records_read", len(found))
        self._log_read_damage(findings)
        return found

    @final
    def records(
        self,
        *,
        kind: str | None = None,
        since: float | None = None,
        limit: int | None = None,
        strict: bool = False,
    ) -> Iterator[Record]:
        """
        Yield what `read` returns, without holding it all.

        The first record comes once the ids of all records were looked through. That is because a record that is in
        the store more than once is yielded where it comes last. With a *limit*, or a retention that counts records
        or bytes, nothing is looked through.

        It counts once, when the stream ends. If the stream was exhausted or closed, it counts the records yielded
        so far. If it raised, it counts one read error and no records.
        """
        query = self._query(kind, since, limit, strict=strict)
        findings = Findings()
        return self._count_yielded(partial(self._find, query, findings), findings)

    def _query(
        self, kind: str | None, since: float | None, limit: int | None, *, strict: bool
    ) -> Query:
        """Return what a read is asked for; if that is not valid, it is a read error."""
        with Counted(self.metrics, "read_errors"):
            self._check_usable()
            return query_of(kind, since, limit, strict=strict)

    def _count_yielded(
        self, find: Callable[[], Iterable[_Thing]], findings: Findings, *, is_reported: bool = False
    ) -> Generator[_Thing]:
        """Yield the records of *find*; at the end count them and, unless it *is reported*, log the damage."""
        yielded = 0
        try:
            with Counted(self.metrics, "read_errors", findings):
                self._check_usable()  # it may have been closed since the call
                for thing in find():
                    yielded += 1
                    yield thing
        except GeneratorExit:  # perhaps the garbage collector: no lock, no log
            self.metrics.increment("records_read", yielded)
            raise
        self.metrics.increment("records_read", yielded)
        if not is_reported:
            self._log_read_damage(findings)

    @final
    def scan(self) -> ScanReport:
        """
        Look at everything and report what is damaged; nothing is changed or created.

        Raises:
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        try:
            return self._scan(maintenance.scan)
        finally:
            self._share_counts()

    def _scan(self, look: Callable[[Self, Findings], _Thing]) -> _Thing:
        """Return what *look* returns, as one scan."""
        self.metrics.increment("scan_operations")
        findings = Findings()
        with Counted(self.metrics, None, findings):
            return look(self, findings)

    @final
    def recover(self, *, dry_run: bool = False, undo: str | None = None) -> RecoveryReport:
        """
        Take damage out of the store, after saving it in the quarantine.

        Args:
            dry_run: Only report what would be removed; it counts as a scan, not as an attempt.
            undo: Put back what was saved under this id instead, byte for byte; it counts nothing. That works
                while the store has only been appended to since.

        Raises:
            NotAStoreError: if the file is not a papyra store.
            UndoError: if what was saved cannot be put back; nothing was changed then.
            UnsupportedError: if the store cannot *undo* anything.
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        if undo is not None:
            if not isinstance(undo, str):
                raise TypeError(f"undo must be an id that quarantined() lists, got {undo!r:.80}")
            restored = self._undoable()._undo(undo, dry_run=dry_run)
            return maintenance.undone(undo, restored, dry_run=dry_run)
        try:
            return self._scan(maintenance.plan_recovery) if dry_run else self._recover()
        finally:
            self._share_counts()

    def _recover(self) -> RecoveryReport:
        self.metrics.increment("recovery_attempts")
        with Counted(self.metrics, "recovery_failures"):
            self._check_usable()
            self._prepare()
            report = self._scan(maintenance.recover)
        if maintenance.is_repairable(report.remaining):
            self.metrics.increment("recovery_failures")
        return report

    @final
    def compact(self, *, dry_run: bool = False) -> CompactionReport:
        """
        Drop what the retention does not keep, for good, and move damage to the quarantine.

        Args:
            dry_run: Only report what would be dropped and moved; it counts the damage that it meets, and is not
                counted as a compaction.

        Raises:
            NotAStoreError: if the file is not a papyra store.
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        try:
            if not dry_run:
                return self._compact()
            findings = Findings()
            with Counted(self.metrics, None, findings):
                return maintenance.plan_compaction(self, findings)
        finally:
            self._share_counts()

    def _compact(self) -> CompactionReport:
        self.metrics.increment("compactions_triggered")
        findings = Findings()
        with Counted(self.metrics, "compaction_errors", findings):
            return maintenance.compact(self, findings)

    def _compact_if_agreed(self, agree: Callable[[CompactionReport], object]) -> CompactionReport:
        """
        Plan a compaction, have *agree* raise if it is not to be done, and compact.

        Damage that both the plan and the compaction meet counts once: it is one operation. If *agree* raises, nothing
        is changed, and it counts as a dry run.
        """
        findings = Findings()
        nothing = findings.mark()
        try:
            with Counted(self.metrics, None, findings):
                agree(maintenance.plan_compaction(self, findings))
                findings.rewind(nothing)  # the compaction finds it again
            return self._compact()
        finally:
            self._share_counts()

    def _report_append_damage(self, findings: Sequence[Anomaly]) -> None:
        """Count and log damage that an append met, and log what else it did."""
        if findings:
            self.metrics.increment("anomaly_detected", len(findings))
            self._log_append_damage(findings)
        self._flush_warnings()
