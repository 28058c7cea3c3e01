"""Collects the damage that one operation finds: each once, in bounded memory."""

from typing import Final

from papyra.reports import FILE_ANOMALIES, Anomaly

#: The most findings that a report holds; the number of all of them is always exact.
MOST_LISTED: Final = 10_000


class Findings:
    """
    The findings of one operation: each counts once, and memory stays bounded.

    Attributes:
        listed: The first of them.
        found: The number of all of them.
        bytes_removable: Damaged bytes in lines, which a recovery would remove.
        duplicates: The number of findings that are further copies of a record.
    """

    __slots__ = ("_identities", "bytes_removable", "duplicates", "found", "listed")

    def __init__(self) -> None:
        self.listed: list[Anomaly] = []
        self.found: int = 0
        self.bytes_removable: int = 0
        self.duplicates: int = 0
        self._identities: set[tuple[str, str, int | str]] = set()

    def add(self, anomaly: Anomaly) -> None:
        """Take *anomaly* in, unless it is known already."""
        if len(self.listed) < MOST_LISTED:
            if anomaly.identity in self._identities:
                return
            self._identities.add(anomaly.identity)
            self.listed.append(anomaly)
        self.found += 1
        if anomaly.type == "duplicate_record":
            self.duplicates += 1
        if anomaly.type not in FILE_ANOMALIES:
            self.bytes_removable += anomaly.length

    def mark(self) -> tuple[int, int, int, int]:
        """Return a mark with which `rewind` forgets all findings that are added from now on."""
        return len(self.listed), self.found, self.bytes_removable, self.duplicates

    def rewind(self, mark: tuple[int, int, int, int]) -> None:
        """Forget the findings that were added since *mark* was taken, because they will be found again."""
        listed, self.found, self.bytes_removable, self.duplicates = mark
        del self.listed[listed:]
        self._identities = {anomaly.identity for anomaly in self.listed}

    def merge(self, again: "Findings") -> None:
        """Take in the findings of a second pass over the same store, most of which are known."""
        if len(self.listed) < MOST_LISTED:
            for anomaly in again.listed:
                self.add(anomaly)
        self.found = max(self.found, again.found)
