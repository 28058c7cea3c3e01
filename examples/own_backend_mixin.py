"""
The ten counters in a class that needs nothing more of papyra: `papyra.PersistenceMetricsMixin`.

`Journal` has an API, a file format and errors of its own. It derives from the mixin, which needs
no `__init__` call, and counts by hand what it does:

- a write when it is done, by its rows; a failed one, whatever the reason, as one error;
- a read by the rows that it took in, and the rows that it had to skip as anomalies.

It names the counters that it never moves in *unsupported*: exporters leave them out.

By hand, an interrupt (Ctrl-C) between a write and its count leaves the count out. A store made
from papyra's primitives is exact there, too, and counts nothing itself: see own_backend.py.

Run as a program, it writes five rows, fails once, meets one damaged row, and prints its counters.
"""

import csv
import io
import tempfile
from threading import Lock

import papyra


class Journal(papyra.PersistenceMetricsMixin):
    """Amounts by purpose, in a CSV file that any number of threads may use through one object."""

    kind = "journal"
    unsupported = frozenset(
        {"recovery_attempts", "recovery_failures", "compactions_triggered", "compaction_errors"}
    )

    def __init__(self, path: str) -> None:
        self._path = path
        self._writing = Lock()

    def book(self, *entries: tuple[str, int]) -> None:
        """Append *entries*, all or none."""
        try:
            text = io.StringIO()
            csv.writer(text).writerows(entries)
            with self._writing:
                self._write(text.getvalue().encode())
        except BaseException:
            self.metrics.increment("write_errors")
            raise
        self.metrics.increment("records_written", len(entries))

    def balance(self, purpose: str) -> int:
        """Return the sum of all amounts for *purpose*."""
        try:
            entries, damaged = self._read()
        except BaseException:
            self.metrics.increment("read_errors")
            raise
        self.metrics.increment("records_read", len(entries))
        self.metrics.increment("anomaly_detected", damaged)
        return sum(amount for name, amount in entries if name == purpose)

    def damaged(self) -> int:
        """Return how many rows are not entries."""
        self.metrics.increment("scan_operations")
        _, damaged = self._read()
        self.metrics.increment("anomaly_detected", damaged)
        return damaged

    def _write(self, data: bytes) -> None:
        with open(self._path, "ab", buffering=0) as file:
            end = file.tell()
            try:
                while data:
                    data = data[file.write(data) :]
            except BaseException:
                file.truncate(end)
                raise

    def _read(self) -> tuple[list[tuple[str, int]], int]:
        """Return the entries, and how many rows are not entries."""
        entries, damaged = [], 0
        with open(self._path, encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                try:
                    purpose, amount = row
                    entries.append((purpose, int(amount)))
                except ValueError:
                    damaged += 1
        return entries, damaged


def main() -> None:
    """Show what the module says."""
    with tempfile.TemporaryDirectory() as place:
        journal = Journal(f"{place}/journal.csv")
        journal.book(("rent", -900), ("salary", 2500))
        journal.book(("rent", -900), ("food", -60), ("food", -45))
        try:
            journal.book(("food", -30), ("\udc80", 1))
        except UnicodeEncodeError as error:
            print("refused:", error.reason)
        with open(f"{place}/journal.csv", "a") as file:
            file.write("food,a lot\r\n")
        print("damaged:", journal.damaged())
        print("food:   ", journal.balance("food"))
        for name in journal.metrics.supported:
            print(f"{name:16}  {journal.metrics.snapshot()[name]}")


if __name__ == "__main__":
    main()
