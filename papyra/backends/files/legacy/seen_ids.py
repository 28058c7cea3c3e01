"""Tell which records of a set of Papyra 0.3.0's files were met before, though they have no ids."""

from papyra.backends.files.legacy.duplicates import Copies, First, Shared
from papyra.reading.fingerprints import fingerprint
from papyra.reading.seen_ids import SeenIds
from papyra.record import Record


class LegacySeenIds(SeenIds):
    """
    Remember the records met so far; those of such a set are known by their contents.

    Its lines are marked as `Shared`. So the store is not asked whether it has such a set: that would take a tenth
    of the time of a short read.
    """

    __slots__ = ("_copies",)

    def __init__(self) -> None:
        super().__init__()
        self._copies: Copies | None = None

    def _add_without_id(self, record: Record, line: bytes | int) -> bool:
        if not isinstance(line, Shared):
            return True
        if self._copies is None:
            self._copies = Copies()
        if isinstance(line, First):
            self._copies.interrupt()
        return self._copies.add(fingerprint(record))
