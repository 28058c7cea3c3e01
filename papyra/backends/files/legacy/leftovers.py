"""
Find the records of 0.3.0's leftovers that are in no other file.

A leftover is a file that a repair of Papyra 0.3.0 moved away, or wrote and never renamed. It may be the only copy
of its records, or repeat what other files hold, in part or whole. A record in it counts if neither the files in
place nor an older leftover have it. The rest of the file is not reported as damage.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from papyra.backends.files.legacy.duplicates import Copies
from papyra.backends.files.line_reader import FileLine
from papyra.format.codec import has_checksum
from papyra.format.flaws import Flaw, Fragment
from papyra.reading.fingerprints import fingerprint
from papyra.reading.keep import RewriteFilter, Verdict
from papyra.reading.scanner import DUPLICATE, anomaly_at, fragments_of
from papyra.record import Record

_BLANK: Final = Flaw("corrupted_line", "a blank line")


class Remains:
    """
    Tell which records in leftovers are in no other file.

    Args:
        others: Gives the lines of all other files. These and the leftovers are read when the turn of
            the first leftover comes, if it does.
        remains: Gives the lines of each leftover by its path, oldest first.
    """

    def __init__(
        self,
        others: Callable[[], Iterable[FileLine]],
        remains: Mapping[str, Callable[[], Iterable[FileLine]]],
    ) -> None:
        self._remains = remains
        self._paths = list(remains)
        self._sources = [others, *remains.values()]
        # The records in each source; of no more sources than were asked for.
        self._known: list[Copies] = []
        self._repeated: dict[str, frozenset[int]] = {}

    def only_here(
        self, path: str, lines: Iterable[FileLine], *, newest_first: bool
    ) -> Iterator[FileLine]:
        """Yield the records in the *lines* of the file that are in no other file, each as a line."""
        for (source, offset), line, fragments in self._split_fragments(path, lines):
            for fragment in reversed(fragments) if newest_first else fragments:
                if isinstance(line, bytes) and isinstance(fragment.content, Record):
                    yield (source, offset + fragment.start), line[fragment.start : fragment.stop]

    def verdicts(
        self, path: str, lines: Iterable[FileLine], rewrite_filter: RewriteFilter
    ) -> Iterator[tuple[FileLine, Sequence[Verdict]]]:
        """
        Yield the *lines* of the file, and the verdicts on each.

        *rewrite_filter* decides on the records that are in no other file. The rest goes to the quarantine.
        """
        for place, line, fragments in self._split_fragments(path, lines):
            verdicts: list[Verdict] = []
            for fragment in fragments or [
                Fragment(0, len(line) if isinstance(line, bytes) else line, _BLANK)
            ]:
                if isinstance(fragment.content, Flaw):
                    anomaly = anomaly_at(place, fragment, fragment.content)
                    verdicts.append(Verdict(fragment.start, fragment.stop, anomaly))
                elif isinstance(line, bytes):
                    at = place[0], place[1] + fragment.start
                    verdicts += (
                        Verdict(fragment.start + start, fragment.start + stop, anomaly)
                        for start, stop, anomaly in rewrite_filter(
                            at, line[fragment.start : fragment.stop]
                        )
                    )
            yield (place, line), verdicts

    def _split_fragments(
        self, path: str, lines: Iterable[FileLine]
    ) -> Iterator[tuple[tuple[str, int], bytes | int, list[Fragment]]]:
        """Yield each line and its fragments; a record that another file holds, too, is a flaw."""
        elsewhere = self._before(path)
        repeated = self._repeated_in(path)

        def is_new(record: Record, at: int) -> bool:
            print_ = fingerprint(record)
            return at not in repeated and not any(print_ in copies for copies in elsewhere)

        for place, line in lines:
            fragments = [
                fragment._replace(content=DUPLICATE)
                if isinstance(fragment.content, Record)
                and not is_new(fragment.content, place[1] + fragment.start)
                else fragment
                for fragment in fragments_of(line)
            ]
            yield place, line, fragments

    def _repeated_in(self, path: str) -> frozenset[int]:
        """
        Return where the records begin that the file at *path* holds a second time.

        This is known before a line is shown. So the same one of two copies is the record, from whichever end
        the file is read.
        """
        if path not in self._repeated:
            here = Copies()
            self._repeated[path] = frozenset(
                offset + fragment.start
                for (_, offset), line in self._remains[path]()
                for fragment in fragments_of(line)
                if isinstance(fragment.content, Record)
                and not here.add(fingerprint(fragment.content))
            )
        return self._repeated[path]

    def _before(self, path: str) -> list[Copies]:
        """Return the records of the other files, and of the leftovers older than the one at *path*."""
        wanted = self._paths.index(path) + 1
        for source in self._sources[len(self._known) : wanted]:
            copies = Copies()
            for _, line in source():
                # 0.3.0 wrote no checksums, and what it left has none.
                if isinstance(line, bytes) and not has_checksum(line):
                    for fragment in fragments_of(line):
                        if isinstance(fragment.content, Record):
                            copies.add(fingerprint(fragment.content))
            self._known.append(copies)
        return self._known[:wanted]
