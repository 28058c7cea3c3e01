"""
Read, reset and report the counters that all store objects of one Redis store share.

The server keeps them. A program's `metrics.reset()` leaves them alone, and a reset of theirs leaves the program's
alone. The append script raises `records_written`. A store object reports the totals of the other nine with its next
append, after a scan, recovery or compaction, and when it is closed. The counts that a killed process had not reported
are lost.
"""

import json
import os
from contextlib import suppress
from typing import Final

from papyra.backends.redis.client import Link, Message
from papyra.backends.redis.scripts.counters import REPORT, REPORTED, RESET
from papyra.backends.redis.startup_check import check_nodes
from papyra.errors import NotPublishedError, PapyraError, StoreIOError, StoreNotFoundError
from papyra.metrics.names import NAMES
from papyra.metrics.persistence import PersistenceMetrics
from papyra.metrics.totals import RESET_DONE, CounterTotals

_NOTHING: Final = (0,) * len(REPORTED)


class CounterReports:
    """
    Report the counters of one store object to the server.

    Args:
        metrics: The object's counters.
    """

    __slots__ = ("_known", "_metrics", "_object")

    def __init__(self, metrics: PersistenceMetrics) -> None:
        self._metrics = metrics
        self._object = os.urandom(8).hex()
        self._known = _NOTHING

    def rename(self) -> None:
        """Report under another name from now on; remember the totals that the server took in."""
        self._object = os.urandom(8).hex()

    def report(self) -> "Report":
        """Return the report that is due now."""
        totals = self._metrics.totals()
        return Report(self._object, self._known, tuple(totals[name] for name in REPORTED))

    def note(self, report: "Report") -> None:
        """Note that the server took in *report*."""
        self._known = report.totals

    def send(self, link: Link) -> None:
        """Send the totals that were not reported yet; if that fails, the next append sends them."""
        report = self.report()
        if not report.text:
            return
        try:
            taken = link.run(REPORT, report.object, report.text, patient=False)
        except StoreIOError:
            return
        if taken:
            self.note(report)


class Report:
    """
    The nine totals of one moment.

    Attributes:
        object: The id of the store object.
        totals: The totals, in the order of `REPORTED`.
        text: For the scripts: of each total the value that the server took in last, and the value now;
            "" if no total rose.
    """

    __slots__ = ("object", "text", "totals")

    def __init__(self, object_: str, known: tuple[int, ...], totals: tuple[int, ...]) -> None:
        self.object: str = object_
        self.totals: tuple[int, ...] = totals
        pairs = zip(known, totals, strict=True)
        self.text: str = "" if known == totals else " ".join(f"{old} {new}" for old, new in pairs)


class SharedCounters:
    """
    Read and reset the counters of all store objects, open and closed, from any host.

    Attributes:
        source: The stream's key.
        kind: The kind of the store.
        name: What exporters call the store.
    """

    def __init__(self, link: Link) -> None:
        self.source: str = link.keys.records
        self.kind: str = "redis"
        self.name: str = link.keys.name
        self._link = link
        self._place = link.address.shown, link.keys.records
        # Tokens of resets whose reply was lost.
        self._unanswered: list[str] = []

    def __eq__(self, other: object) -> bool:
        """Whether both are the counters of one store."""
        return isinstance(other, SharedCounters) and other._place == self._place

    def __hash__(self) -> int:
        return hash(self._place)

    def read(self) -> CounterTotals:
        """
        Return the counts of all store objects. The server does not know which objects are open.

        Raises:
            StoreNotFoundError: if the store does not exist.
            NotPublishedError: if nothing was ever counted.
            StoreIOError: if the server refuses, or cannot be reached.
        """
        check_nodes(self._link)
        flat = self._link.ask("HGETALL", self._link.keys.counters)
        if not flat:
            raise self._nothing()
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        counter_totals = CounterTotals()
        try:
            counter_totals.add(
                [int(fields.get(name.encode(), 0)) for name in NAMES],
                [int(fields.get(b"baseline:" + name.encode(), 0)) for name in NAMES],
                float(fields.get(b"since", 0)),
            )
        except ValueError as error:
            raise self._damaged("a value is not a number") from error
        return counter_totals

    def reset(self) -> dict[str, int]:
        """
        Reset the counters of all store objects, and return the counts of the interval that ends.

        An interrupted reset has reset nothing, or a note of the exception holds the interval. After a lost
        connection neither is known. Then the next reset of this object asks again: if the first reset was
        done, it returns the interval that the first one ended.

        Raises:
            StoreNotFoundError, NotPublishedError, StoreIOError: as `read`.
        """
        check_nodes(self._link)
        tokens: list[str] = []
        sent: list[Message] = []
        try:
            with suppress(IndexError):
                # One call into C, so no interrupt comes between taking a token and noting it.
                tokens.extend(map(self._unanswered.pop, (0,)))
            return self._reset(tokens, sent)
        except BaseException as error:
            try:
                if sent and sent[0].doubtful and not isinstance(error, Exception):
                    self._finish_reset(error, tokens, sent[0])
            finally:
                # Any token may be kept: for one that the server does not know, it does a new reset.
                self._unanswered += tokens
            raise

    def _reset(self, tokens: list[str], sent: list[Message]) -> dict[str, int]:
        """Reset under the token in *tokens*, or under a new one, which is put there before it is sent."""
        if not tokens:
            tokens.append(os.urandom(8).hex())
        message = self._link.message(RESET, tokens[0])
        sent.append(message)
        return self._interval(self._link.deliver(message))

    def _finish_reset(self, error: BaseException, tokens: list[str], message: Message) -> None:
        """Finish a reset that was sent, and note its interval on the interrupt that struck."""
        try:
            counts = self._interval(self._link.deliver(message, patient=False))
        except PapyraError:
            return  # The next reset asks again.
        notes = [*getattr(error, "__notes__", ()), RESET_DONE + json.dumps(counts)]
        # The only call is one into C, so an interrupt strikes before both or after both.
        error.__notes__ = notes
        tokens.clear()

    def _interval(self, ended: "bytes | list[bytes] | None") -> dict[str, int]:
        """Return the counts in the reply to a reset."""
        if ended is None:
            raise self._nothing()
        if isinstance(ended, list):
            raise self._damaged(f"{ended[0].decode()} is not a number")
        return dict(zip(NAMES, map(int, ended.split()), strict=True))

    def _damaged(self, how: str) -> NotPublishedError:
        return NotPublishedError(
            f"{self._link.keys.counters}: the counters are damaged ({how}); delete this key to count from zero"
        )

    def _nothing(self) -> Exception:
        keys = self._link.keys
        if not self._link.ask("EXISTS", keys.records):
            return StoreNotFoundError(keys.records)
        return NotPublishedError(f"{keys.counters}: nothing was counted yet; append a record first")
