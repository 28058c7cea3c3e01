"""
Everything of a store object that is not an operation: closing it once, logging, and keeping its operations final.

`papyra.backend` derives the operations from this. Nothing is counted here.
"""

import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, Self

from papyra.errors import not_copied
from papyra.primitives import Primitives
from papyra.reading.findings import Findings
from papyra.reading.query import Query, stream
from papyra.reading.scanner import Source
from papyra.record import Record
from papyra.reports import Anomaly
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
        self._close_once()

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

    def _close_once(self) -> None:
        """Do what `close` does."""
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
        warn("an append met damage and went on behind it: %s", places, about=self.source)

    def _log_read_damage(self, findings: Findings) -> None:
        """Log what a read passed over."""
        if not findings.found:
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
