"""What went wrong while a fault was tried, and the records that it was tried with."""

import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from faults.outcome import Outcome

from papyra import Record

#: Findings and errors that are printed; the others are only counted.
_MOST_SHOWN: Final = 5


def made(who: str, number: int, size: int = 40) -> Record:
    """Return the record *number* of the writer *who*, whose content follows from both."""
    return Record("event", timestamp=1.7e9 + number, data=_content(who, number, size))


def _content(who: str, number: int, size: int) -> dict[str, object]:
    pad = f"{who}/{number}/" * (size // 8 + 1)
    return {"who": who, "n": number, "size": size, "pad": pad[:size]}


def _is_made(record: Record) -> bool:
    """Tell whether *record* holds what `made` put into it."""
    data = record.data
    try:
        return data == _content(data["who"], data["n"], data["size"])
    except (LookupError, TypeError):
        return False


class OutcomeLog:
    """
    Adds up what went wrong.

    Attributes:
        wrongs: How often each of an outcome's columns was wrong.
    """

    def __init__(self) -> None:
        self.wrongs: Counter[str] = Counter()
        self._reported: list[str] = []

    def note(self, wrong: str, what: str, n: int = 1) -> None:
        """Count *n* of a column of `Outcome`; print the first few."""
        self.wrongs[wrong] += n
        if len(self._reported) < _MOST_SHOWN:
            self._reported.append(f"{wrong}: {what}")

    def expect(self, wrong: str, what: str, *, holds: bool) -> None:
        """Count one of the column *wrong* unless something *holds*."""
        if not holds:
            self.note(wrong, what)

    def merge(self, other: "OutcomeLog") -> None:
        """Take in what went wrong in another process."""
        self.wrongs += other.wrongs
        self._reported += other._reported

    def check_records(
        self,
        records: Iterable[Record],
        acknowledged: Collection[str],
        *,
        oldest_dropped: bool = False,
    ) -> int:
        """
        Compare what is read with what was acknowledged; return the number of records.

        Args:
            records: All that a store holds, made by `made`.
            acknowledged: The ids that appends returned.
            oldest_dropped: Files were dropped, so that what was written before the oldest record
                of the same writer may be missing.
        """
        stored: Counter[str] = Counter()
        numbers: dict[str, list[int]] = defaultdict(list)
        first: dict[str, int] = {}
        for record in records:
            if record.id is None or not _is_made(record):
                self.note("glued", f"{record!r:.200}")
                continue
            stored[record.id] += 1
            numbers[record.data["who"]].append(record.data["n"])
            writer, _, position = record.id.rpartition("-")
            first.setdefault(writer, int(position))
        for id_ in acknowledged:
            writer, _, position = id_.rpartition("-")
            dropped = oldest_dropped and int(position) < first.get(writer, sys.maxsize)
            self.expect("lost", id_, holds=id_ in stored or dropped)
        self.note_repeated(stored)
        for who, found in numbers.items():
            self.expect("broken", f"{who} is out of order", holds=found == sorted(set(found)))
        return stored.total()

    def note_repeated(self, stored: Mapping[str, int]) -> None:
        """Count the records of which there is more than one."""
        for id_, n in stored.items():
            if n > 1:
                self.note("duplicated", id_, n - 1)

    def outcome(self, fault: str, tried: str) -> Outcome:
        """Return what came of it all; print the first few wrongs."""
        for line in self._reported:
            print(f"{fault}: {line}", file=sys.stderr)
        return Outcome(fault, tried, **self.wrongs)
