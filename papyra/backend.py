"""
The public operations of every store: the one place where they are counted.

A store gives five primitives that know bytes only (see `papyra.primitives`); encoding, numbering,
retention, filters and every count lie here and above. Public operations never call one another,
and retries live inside a primitive, so nothing is counted twice.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NoReturn, Self, TypeVar, final

from papyra import maintenance
from papyra.errors import WriteOutcomeUnknownError, not_copied
from papyra.format.codec import encode
from papyra.primitives import Primitives
from papyra.reading.findings import Findings
from papyra.reading.query import Query, query_of, read_all, stream
from papyra.record import Record
from papyra.reports import (
    Anomaly,
    CompactionReport,
    Quarantined,
    RecoveryReport,
    ScanReport,
)
from papyra.system.clock import monotonic
from papyra.system.log import warn
from papyra.writing.call import Call, note_lost

#: The operations that a store inherits as they are, and the primitive that it implements.
_FINAL: Final = {
    "append": "_append",
    "append_many": "_append",
    "append_soon": "_append",
    "resend": "_send_again",
    "read": "_lines",
    "records": "_lines",
    "scan": "_check",
    "recover": "_rewrite",
    "quarantined": "_quarantined",
    "compact": "_rewrite",
    "close": "_close",
}
#: Addresses of damage that one log line names.
_MOST_LOGGED: Final = 5

_Thing = TypeVar("_Thing")


class PersistenceBackend(Primitives):
    """
    A store of records that counts what it does.

    A subclass implements `_append`, `_lines`, `_check`, `_rewrite` and `_close`, which know
    bytes only, and declares `kind`; it inherits everything else, and may use it from any number
    of threads. `_append` is never called by two threads at once; the others may be.

    Args:
        retention: What is kept; by default everything.
        sync: When written records are brought to the disk: "none" leaves it to the operating
            system, "interval" does it once a second, "always" before a write is acknowledged.
        lock_timeout: Seconds that a call waits for other threads and processes.

    Attributes:
        metrics: The counters of this object.
        name: What exporters call the store, unless told otherwise: the kind, or a file's stem.
        source: Where it is, for messages: a file's path, or the name.
    """

    __module__ = "papyra"

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401  object's own signature
        """Refuse a subclass that replaces an operation: it would not be counted."""
        super().__init_subclass__(**kwargs)
        for operation, primitive in _FINAL.items():
            if getattr(cls, operation) is not getattr(PersistenceBackend, operation):
                raise TypeError(
                    f"{cls.__name__}.{operation}: the operations are final, since they count;"
                    f" implement {primitive} instead"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied; a subclass that can be opened again may override it."""
        raise not_copied(self.source)

    @final
    def append(self, record: Record) -> str:
        """
        Store *record* and return its id.

        Raises:
            RecordError: if it cannot be stored as it is.
            StoreLockedError: if somebody else held the store for too long.
            StoreFailedError: if an earlier failure made the store read-only.
            StoreIOError: if the operating system refused, as on a full disk.
            StoreClosedError: after close().
        """
        try:
            if not self._prepared:
                self._prepare()
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

        It is one call: if it fails, that is one write error. A crash in the middle may leave
        the first records of a batch that was not acknowledged.

        Raises:
            RecordError, StoreLockedError, StoreFailedError, StoreIOError, StoreClosedError: as
                `append`.
        """
        bodies = self._encode(records)
        if not bodies:
            return []
        try:
            if not self._prepared:
                self._prepare()
        except Exception as error:  # noqa: BLE001  counted, and raised on
            self._reject(error)
        call = Call(bodies, monotonic() + self._lock_timeout)
        self._queue.commit(self, call)
        return call.ids

    @final
    def append_soon(self, record: Record) -> None:
        """
        Take *record*, to be stored with the next append, before what that brings, or by `close`.

        It waits for nothing and raises nothing, so it may be called from finalizers, weak reference
        callbacks and signal handlers, also where they interrupt a call on this store. Records are
        stored in the order in which they were taken. Until then they are in memory alone, and
        their number has no bound; what ends the program ends them.

        A record is counted when it is written; one that cannot be stored, or comes after `close`, is
        one write error, and logged with the next append.
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

        Only a store on a server raises such an error. It may be sent again however often, also by
        another process. That is a write call of its own and counts like one; the second success
        for one error counts nothing.

        Raises:
            UnsupportedError: if *error* is another store's, or too old: nobody knows its writer.
            WriteOutcomeUnknownError: if nobody can say, again.
            StoreClosedError, ForkedStoreError: as `append`.
        """
        try:
            self._queue.alone(self, partial(self._resend, error))
        except Exception as refused:  # noqa: BLE001  counted, and raised on
            self._reject(refused)
        return error.ids

    def _resend(self, error: WriteOutcomeUnknownError) -> None:
        self._check_usable()
        self._check_lost_here(error)
        self._send_again(error)

    def _encode(self, records: Iterable[Record]) -> list[bytes]:
        """Return what is written of *records*; one that cannot be stored is a write error."""
        try:
            return [encode(record) for record in records]
        except Exception as error:  # noqa: BLE001  counted, and raised on
            self._reject(error)

    def _reject(self, error: Exception) -> NoReturn:
        """Raise *error* as that of a write call that goes no further."""
        self.metrics.increment("write_errors")
        raise error

    def _commit_all(self, calls: Sequence[Call]) -> None:
        """Have the *calls* of many callers written; each has an outcome of its own."""
        try:
            if not self._prepared:
                self._prepare()
        except Exception as error:  # noqa: BLE001  each caller's own
            self._queue.fail(self, calls, error)
        else:
            self._queue.commit_all(self, calls)

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
            limit: Only the newest so many of these; what lies before them is not looked at.
            strict: Raise at the first damaged line. Otherwise damage is passed over, counted
                as anomalies and logged once.

        Raises:
            CorruptRecordError: if *strict* and a line is damaged.
            UnreadableRecordError: if a line is intact, by its checksum, and is not JSON.
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        findings = Findings()
        try:
            self._check_usable()
            query = query_of(kind, since, limit, strict=strict)
            found = read_all(
                maintenance.source_of(self), self._retention, query, time.time(), findings
            )
        except BaseException:
            self.metrics.increment("read_errors")
            self.metrics.increment("anomaly_detected", findings.found)
            raise
        self.metrics.increment("records_read", len(found))
        self._report_read_damage(findings)
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

        The first record comes once the ids of all records were looked through, since a record that
        is in the store more than once is yielded where it comes last. With a *limit*, or a retention
        that counts records or bytes, nothing is looked through.

        It counts once, when it ends: used up or closed, the records handed over; raised, one
        read error and no records.
        """
        query = self._query(kind, since, limit, strict=strict)
        findings = Findings()
        return self._count_yielded(partial(self._find, query, findings), findings)

    def _query(
        self, kind: str | None, since: float | None, limit: int | None, *, strict: bool
    ) -> Query:
        """Return what a stream is asked for; if that cannot be, it is a read error."""
        try:
            self._check_usable()
            return query_of(kind, since, limit, strict=strict)
        except BaseException:
            self.metrics.increment("read_errors")
            raise

    def _find(self, query: Query, findings: Findings) -> Iterable[Record]:
        """Return what *query* selects, uncounted."""
        return stream(maintenance.source_of(self), self._retention, query, time.time(), findings)

    def _count_yielded(
        self,
        find: Callable[[], Iterable[_Thing]],
        findings: Findings,
        *,
        is_reported: bool = False,
    ) -> Generator[_Thing]:
        """
        Yield what *find* returns, a record each, and count them when it ends.

        The damage is logged then, unless it *is_reported* to the caller anyway.
        """
        yielded = 0
        try:
            self._check_usable()  # it may have been closed since the call
            for thing in find():
                yielded += 1
                yield thing
        except GeneratorExit:  # perhaps the garbage collector: no lock, no log
            self.metrics.increment("records_read", yielded)
            self.metrics.increment("anomaly_detected", findings.found)
            raise
        except BaseException:
            self.metrics.increment("read_errors")
            self.metrics.increment("anomaly_detected", findings.found)
            raise
        self.metrics.increment("records_read", yielded)
        self._report_read_damage(findings, is_reported=is_reported)

    def _append_lines(self, lines: Sequence[bytes]) -> None:
        """Store whole *lines* of another store as they are; it counts as `append_many` does."""
        try:
            if not self._prepared:
                self._prepare()
        except Exception as error:  # noqa: BLE001  counted, and raised on
            self._reject(error)
        call = Call(lines, monotonic() + self._lock_timeout)
        call.is_sealed = True
        self._queue.commit(self, call)

    @final
    def scan(self) -> ScanReport:
        """
        Look at everything and report what is damaged; nothing is changed or created.

        Raises:
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        self.metrics.increment("scan_operations")
        findings = Findings()
        try:
            return maintenance.scan(self, findings)
        finally:
            self.metrics.increment("anomaly_detected", findings.found)
            self._share_counts()

    @final
    def recover(self, *, dry_run: bool = False, undo: str | None = None) -> RecoveryReport:
        """
        Take damage out of the store; what is removed is saved in the quarantine first.

        Args:
            dry_run: Only report what would be removed; it counts as a scan, not as an attempt.
            undo: Put back what was saved under this id instead, byte for byte; it counts nothing.
                That works while the store has only been appended to since.

        Raises:
            NotAStoreError: if the file is none of papyra's.
            UndoError: if what was saved cannot be put back; nothing was changed then.
            UnsupportedError: if the store cannot *undo* anything.
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        if undo is not None:
            if not isinstance(undo, str):
                raise TypeError(f"undo is {undo!r}: an id is needed, as quarantined() gives it")
            self._check_usable()
            restored = self._undo(undo, dry_run=dry_run)
            return maintenance.undone(undo, restored, dry_run=dry_run)
        try:
            return self._plan_recovery() if dry_run else self._recover()
        finally:
            self._share_counts()

    @final
    def quarantined(self) -> list[Quarantined]:
        """
        Return what recoveries and compactions saved, oldest first; it counts nothing.

        Raises:
            UnsupportedError: if the store saves nothing that it could put back.
            StoreIOError, StoreClosedError: as `append`.
        """
        self._check_usable()
        return list(self._quarantined())

    @final
    def compact(self, *, dry_run: bool = False) -> CompactionReport:
        """
        Drop what the retention does not keep, for good, and move damage to the quarantine.

        Args:
            dry_run: Only report what would be dropped and moved; it counts the damage that it
                meets, and is not counted as a compaction.

        Raises:
            NotAStoreError: if the file is none of papyra's.
            StoreLockedError, StoreIOError, StoreClosedError: as `append`.
        """
        try:
            return self._plan_compaction() if dry_run else self._compact()
        finally:
            self._share_counts()

    @final
    def close(self) -> None:
        """
        Write out what `append_soon` took and *sync* asks for, and let go of everything.

        Closing again does nothing.

        Raises:
            StoreIOError: if the last sync failed; everything is let go of all the same.
            StoreBusyError: if it interrupts another call in this very thread; it stays open then.
        """
        queue = self._queue
        queue.refuse_reentry(self)
        if queue.soon and not self._closed:
            self._write_soon()
        try:
            queue.alone(self, self._release)
        finally:
            if self._closed:
                queue.refuse_soon(self)
            self._flush_warnings()

    def _write_soon(self) -> None:
        """Write what `append_soon` took; whatever cannot be stored is counted and to be logged."""
        try:
            if not self._prepared:
                self._prepare()
        except Exception as error:  # noqa: BLE001  that of each record
            calls = self._queue.soon
            self._queue.fail(self, calls, error)
            note_lost(self, len(calls), error)
        else:
            self._queue.commit_soon(self)

    def _release(self) -> None:
        self._closed = True
        if self._released:
            return
        try:
            self._close()
        except Exception:
            self._released = True
            raise
        self._released = True

    def _plan_recovery(self) -> RecoveryReport:
        self.metrics.increment("scan_operations")
        findings = Findings()
        try:
            return maintenance.plan_recovery(self, findings)
        finally:
            self.metrics.increment("anomaly_detected", findings.found)

    def _recover(self) -> RecoveryReport:
        self.metrics.increment("recovery_attempts")
        try:
            self._check_usable()
            self._prepare()
            self.metrics.increment("scan_operations")
            findings = Findings()
            try:
                report = maintenance.recover(self, findings)
            finally:
                self.metrics.increment("anomaly_detected", findings.found)
        except BaseException:
            self.metrics.increment("recovery_failures")
            raise
        if maintenance.is_repairable(report.remaining):
            self.metrics.increment("recovery_failures")
        return report

    def _plan_compaction(self) -> CompactionReport:
        findings = Findings()
        try:
            return maintenance.plan_compaction(self, findings)
        finally:
            self.metrics.increment("anomaly_detected", findings.found)

    def _compact(self) -> CompactionReport:
        self.metrics.increment("compactions_triggered")
        findings = Findings()
        try:
            return maintenance.compact(self, findings)
        except BaseException:
            self.metrics.increment("compaction_errors")
            raise
        finally:
            self.metrics.increment("anomaly_detected", findings.found)

    def _compact_if_agreed(self, agree: Callable[[CompactionReport], object]) -> CompactionReport:
        """
        Plan a compaction, have *agree* raise if it is not to be done, and compact.

        It is one operation: what both the plan and the compaction meet counts once. Where *agree*
        raises, nothing is changed, and it counts as a dry run.
        """
        findings = Findings()
        try:
            try:
                agree(maintenance.plan_compaction(self, findings))
            except BaseException:
                self.metrics.increment("anomaly_detected", findings.found)
                raise
            return self._compact()
        finally:
            self._share_counts()

    def _report_append_damage(self, findings: Sequence[Anomaly]) -> None:
        """Count and log damage that an append met, and log what else it did."""
        if findings:
            self.metrics.increment("anomaly_detected", len(findings))
            places = "; ".join(map(str, findings))
            warn("an append met damage and went on behind it: %s", places, about=self.source)
        self._flush_warnings()

    def _flush_warnings(self) -> None:
        """Log what was done while a lock was held."""
        # No more than there are now: other threads may add to them without end.
        for _ in range(len(self._pending_warnings)):
            with suppress(IndexError):  # another thread was faster
                warn("%s", self._pending_warnings.pop(0), about=self.source)

    def _report_read_damage(self, findings: Findings, *, is_reported: bool = False) -> None:
        if not findings.found:
            return
        self.metrics.increment("anomaly_detected", findings.found)
        if is_reported:
            return
        places = "; ".join(map(str, findings.listed[:_MOST_LOGGED]))
        more = findings.found - min(findings.found, _MOST_LOGGED)
        warn(
            "%s: a read passed over damage in %d place%s, which scan() lists and recover() mends: %s%s",
            self.source,
            findings.found,
            "" if findings.found == 1 else "s",
            places,
            f"; and {more} more" if more else "",
            about=self.source,
        )
