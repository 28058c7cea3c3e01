"""Which records of a set of Papyra 0.3.0's files were met before: they have no ids."""

from papyra.copies import Copies, First, Shared, fingerprint
from papyra.identity import Seen
from papyra.record import Record


class LegacySeen(Seen):
    """The records met so far; those of such a set are known by their contents."""

    __slots__ = ("_copies",)

    def __init__(self) -> None:
        super().__init__()
        self._copies = Copies()

    def _add_without_id(self, record: Record, line: bytes | int) -> bool:
        if not isinstance(line, Shared):
            return True
        if isinstance(line, First):
            self._copies.interrupt()
        return self._copies.add(fingerprint(record))
