"""
What Papyra 0.3.0 left beside its files: moved away by a repair, or written and never renamed.

Such a file may be the only copy of its records, or repeat what the others hold, in part or whole.
Its records count where no other file has them; the rest of it is nothing to complain of.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from papyra.backends.files.reading import FileLine
from papyra.copies import Copies
from papyra.damage import Flaw, Piece
from papyra.record import Record, has_checksum
from papyra.selection import Judge, Part
from papyra.sifting import DUPLICATE, anomaly_at, pieces_of


class Remains:
    """
    Tells what in such files stands nowhere else.

    Args:
        others: Gives the lines of all other files; they are read when the first such file's
            turn comes, if it does.
    """

    def __init__(self, others: Callable[[], Iterable[FileLine]]) -> None:
        self._others = others
        self._copies: Copies | None = None

    def only_here(self, lines: Iterable[FileLine], *, newest_first: bool) -> Iterator[FileLine]:
        """Yield the records in the *lines* of one file that stand nowhere else, each as a line."""
        copies = self._known()
        for (source, offset), line in lines:
            pieces = _pieces(copies, line)
            for piece in reversed(pieces) if newest_first else pieces:
                if isinstance(line, bytes) and isinstance(piece.content, Record):
                    yield (source, offset + piece.start), line[piece.start : piece.stop]

    def parts(
        self, lines: Iterable[FileLine], judge: Judge
    ) -> Iterator[tuple[FileLine, Sequence[Part]]]:
        """
        Yield the *lines* of one file, and what becomes of their parts.

        *judge* decides on the records that stand nowhere else. The rest goes, and is saved.
        """
        copies = self._known()
        for place, line in lines:
            parts: list[Part] = []
            for piece in _pieces(copies, line):
                if isinstance(piece.content, Flaw):
                    anomaly = anomaly_at(place, piece, piece.content)
                    parts.append(Part(piece.start, piece.stop, anomaly))
                elif isinstance(line, bytes):
                    at = place[0], place[1] + piece.start
                    parts += (
                        Part(piece.start + start, piece.start + stop, anomaly)
                        for start, stop, anomaly in judge(at, line[piece.start : piece.stop])
                    )
            yield (place, line), parts

    def _known(self) -> Copies:
        """Return the records met so far, those of all other files included."""
        if self._copies is None:
            self._copies = Copies()
            for _, line in self._others():
                # 0.3.0 wrote no checksums, and what it left has none.
                if isinstance(line, bytes) and not has_checksum(line):
                    for piece in pieces_of(line):
                        if isinstance(piece.content, Record):
                            self._copies.add(piece.content)
        self._copies.interrupt()
        return self._copies


def _pieces(copies: Copies, line: bytes | int) -> list[Piece]:
    """Return what *line* consists of; a record that was met before is a flaw."""
    return [
        piece._replace(content=DUPLICATE)
        if isinstance(piece.content, Record) and not copies.add(piece.content)
        else piece
        for piece in pieces_of(line)
    ]
