"""
Everything of a store object that is not counted: closing, undoing, logging, and keeping its operations final.

`papyra.backend` adds the operations that count.
"""

import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, Self, final

from papyra.capabilities import Resendable, Undoable
from papyra.errors import UnsupportedError, WriteOutcomeUnknownError, not_copied
from papyra.primitives import Primitives
from papyra.reading.findings import Findings
from papyra.reading.query import Query, stream
from papyra.reading.scanner import Source
from papyra.record import Record
from papyra.reports import Anomaly, Quarantined
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


class StoreObject(Primitives):
    """One opened store in one program."""

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401  object's own signature
        """Refuse a subclass that replaces an operation: it would not be counted."""
        super().__init_subclass__(**kwargs)
        for operation, primitive in _FINAL.items():
            if len({vars(base)[operation] for base in cls.__mro__ if operation in vars(base)}) > 1:
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
    def quarantined(self) -> list[Quarantined]:
        """
        Return what recoveries and compactions saved, oldest first; it counts nothing.

        Raises:
            UnsupportedError: if the store saves nothing that it could put back.
            StoreIOError, StoreClosedError: as `append`.
        """
        return list(self._undoable()._quarantined())

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
        """Write the records that `append_soon` took; those that cannot be stored fail, and are logged later."""
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

    def _resend(self, error: WriteOutcomeUnknownError) -> None:
        """Store the batch of *error*, if it is this store's."""
        self._check_usable()
        if not isinstance(error, WriteOutcomeUnknownError):
            raise TypeError(
                f"error must be a papyra.WriteOutcomeUnknownError, got {type(error).__name__}; pass the one"
                " that the write call raised"
            )
        if error.source != self.source:
            raise UnsupportedError(
                f"{self.source}: the batch is one of {error.source}; send it again there"
            )
        if not isinstance(self, Resendable):
            raise self._cannot("send a batch again: the outcome of each write is always known")
        self._send_again(error)

    def _undoable(self) -> Undoable:
        """Return the store as one that can undo, if it can."""
        self._check_usable()
        if not isinstance(self, Undoable):
            raise self._cannot("undo anything")
        return self

    def _cannot(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{self.source}: a store of kind {self.kind} cannot {what}")

    def _source(self) -> Source:
        """Return what a look at the store needs of it."""
        return Source(self._lines, self._view, self._new_seen_ids)

    def _find(self, query: Query, findings: Findings) -> Iterable[Record]:
        """Return the records that *query* selects, oldest first."""
        return stream(self._source(), self._retention, query, time.time(), findings)

    @abstractmethod
    def _report_append_damage(self, findings: Sequence[Anomaly]) -> None:
        """Count and log damage that an append met, and log what else it did."""

    def _flush_warnings(self) -> None:
        """Log what was done while a lock was held."""
        # No more than there are now: other threads may add to them without end.
        for _ in range(len(self._pending_warnings)):
            with suppress(IndexError):  # another thread was faster
                warn("%s", self._pending_warnings.pop(0), about=self.source)

    def _log_append_damage(self, findings: Sequence[Anomaly]) -> None:
        """Log what an append met."""
        places = "; ".join(map(str, findings))
        warn(
            "%s: an append met damage and went on behind it; scan() lists it and recover() repairs it: %s",
            self.source,
            places,
            about=self.source,
        )

    def _log_read_damage(self, findings: Findings) -> None:
        """Log what a read passed over."""
        if not findings.found:
            return
        places = "; ".join(map(str, findings.listed[:_MOST_LOGGED]))
        more = findings.found - min(findings.found, _MOST_LOGGED)
        warn(
            "%s: a read passed over damage in %d place%s, which scan() lists and recover() repairs: %s%s",
            self.source,
            findings.found,
            "" if findings.found == 1 else "s",
            places,
            f"; and {more} more" if more else "",
            about=self.source,
        )
