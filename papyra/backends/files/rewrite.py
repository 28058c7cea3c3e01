"""
Replace files by the lines that a rewrite filter keeps, one after the other, while others append.

Recoveries and compactions call `rewrite`. A crash leaves each file whole, either old or new, and at most one
temporary file. Damaged bytes are on the disk a second time, in the quarantine, before they leave the store.
"""

from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from papyra.backends.files.concurrent_swap import CHUNK, Replacement, chunks
from papyra.backends.files.legacy.duplicates import Marker
from papyra.backends.files.line_reader import FileLine, forward
from papyra.backends.files.paths import Layout
from papyra.backends.files.quarantine.writer import Quarantine
from papyra.backends.files.read_view import DataFile, OpenedFile, View
from papyra.reading.keep import RewriteFilter, Verdict
from papyra.reports import Rewritten


def rewrite(layout: Layout, rewrite_filter: RewriteFilter, *, timeout: float) -> Rewritten:
    """
    Replace each file by what *rewrite_filter* keeps of it; the maintenance lock is held.

    Raises:
        StoreLockedError: if another process held the store for more than *timeout* seconds.
        PapyraError: if another program replaced or cut a file meanwhile; it is left as it is then.
    """
    before = after = 0
    untouched: set[str] = set()
    with (
        View(layout, timeout=timeout, make_lock=True) as view,
        Quarantine(layout) as quarantine,
    ):
        rewrite_filter.begin(view.lines)
        marker = view.marker()
        for file in view.files:
            opened = view.open(file)
            if opened is None:  # dropped by a rotation
                continue
            rewriting = _Rewriting(layout, file, opened, quarantine, view.last_number)
            try:
                lines = forward(opened.descriptor, opened.size, file.path)
                rewriting.sort(filtered(view, file, lines, marker, rewrite_filter))
                rewrite_filter.finish(file.path)
                if file is view.files[-1]:
                    view.close()  # Windows replaces no open file
                rewriting.replace(timeout=timeout)
            finally:
                rewriting.close()
            before += opened.size
            after += rewriting.size
            # Records of 0.3.0 may be in several files, so where it left any, all files are looked at again.
            if not (rewriting.is_new or file.path == layout.path or view.has_legacy):
                untouched.add(file.path)
    return Rewritten(before, after, quarantine.size, quarantine.id, untouched)


def filtered(
    view: View,
    file: DataFile,
    lines: Iterable[FileLine],
    marker: Marker | None,
    rewrite_filter: RewriteFilter,
) -> Iterator[tuple[FileLine, Sequence[Verdict]]]:
    """Yield the *lines* of *file*, and the verdicts on the parts of each."""
    if file.is_remains:
        yield from view.remains.verdicts(file.path, lines, rewrite_filter)
        return
    for at in marker.marked(lines) if marker else lines:
        yield at, rewrite_filter(*at)


class _Rewriting:
    """
    Take one file through the rewrite filter.

    Args:
        opened: The file, which is closed here, and how many of its bytes are filtered.
        last_number: The highest number of a segment when the store's files were found.

    Attributes:
        size: The bytes that the filtered part has become.
    """

    def __init__(
        self,
        layout: Layout,
        file: DataFile,
        opened: OpenedFile,
        quarantine: Quarantine,
        last_number: int,
    ) -> None:
        self._last_number = last_number
        self._layout = layout
        self._file = file
        self._opened = opened
        self._old, self._old_size = opened.descriptor, opened.size
        # CRC-32 of the filtered part; size and CRC-32 of that without the lines that are dropped for good.
        self._old_checksum = self._undone_size = self._undone_checksum = 0
        self._quarantine = quarantine
        self._new: Replacement | None = None

    @property
    def is_new(self) -> bool:
        """Whether a new file takes the place of the old one."""
        return self._new is not None

    @property
    def size(self) -> int:
        return self._old_size if self._new is None else self._new.size

    def sort(self, filtered: Iterable[tuple[FileLine, Sequence[Verdict]]]) -> None:
        """Keep, save or drop each line's parts; a new file begins with the first that goes."""
        kept: list[bytes] = []  # whole lines in a row
        size = 0
        for (place, line), verdicts in filtered:
            if (
                len(verdicts) == 1
                and isinstance(line, bytes)
                and verdicts[0] == (0, len(line), None)
            ):
                kept.append(line)
                size += len(line)
                if size < CHUNK:
                    continue
                self._keep_lines(kept)
            else:
                self._keep_lines(kept)
                self._sort_line(place[1], line, verdicts)
            kept, size = [], 0
        self._keep_lines(kept)

    def _keep_lines(self, lines: Sequence[bytes]) -> None:
        """Keep whole *lines* that lie one behind the other."""
        if not lines:
            return
        data = b"".join(lines)
        self._old_checksum = crc32(data, self._old_checksum)
        self._undone_checksum = crc32(data, self._undone_checksum)
        self._undone_size += len(data)
        if self._new is not None:
            self._keep(self._new, (data,))

    def _sort_line(self, offset: int, line: bytes | int, verdicts: Sequence[Verdict]) -> None:
        length = line if isinstance(line, int) else len(line)
        for chunk in self._bytes(line, offset, 0, length):
            self._old_checksum = crc32(chunk, self._old_checksum)
        for verdict in verdicts:
            for chunk in self._bytes(line, offset, verdict.start, verdict.stop):
                self._undone_checksum = crc32(chunk, self._undone_checksum)
                self._undone_size += len(chunk)
        new = self._new
        if new is None:
            if len(verdicts) == 1 and verdicts[0] == (0, length, None):
                return
            new = self._begin(offset)
        for verdict in verdicts:
            fragment = self._bytes(line, offset, verdict.start, verdict.stop)
            if verdict.anomaly is None:
                self._keep(new, fragment)
            elif verdict.stop > verdict.start:
                self._quarantine.save(verdict.anomaly, fragment, new_offset=new.size)

    def _bytes(self, line: bytes | int, offset: int, start: int, stop: int) -> Iterable[bytes]:
        """Return the bytes *start* to *stop* of the line at *offset*."""
        if isinstance(line, bytes):
            return (line[start:stop],)
        return chunks(self._old, offset + start, offset + stop)

    def _begin(self, offset: int) -> Replacement:
        """Make the new file, with all bytes before *offset*."""
        self._quarantine.begin(self._file.path)
        self._new = new = Replacement(self._layout, self._file.path, self._opened)
        for chunk in chunks(self._old, 0, offset):
            new.write(chunk)
        return new

    def _keep(self, new: Replacement, fragment: Iterable[bytes]) -> None:
        """Write a fragment that stays, on a line of its own."""
        if not new.ends_line:
            self._quarantine.note_newline(new_offset=new.size)
            new.write(b"\n")
        for chunk in fragment:
            new.write(chunk)

    def replace(self, *, timeout: float) -> None:
        """Have the new file take the place of the old one, if there is a new one."""
        new = self._new
        if new is None:
            return
        new.sync()
        self._quarantine.finish(
            old_size=self._old_size,
            old_checksum=self._old_checksum,
            new_size=new.size,
            new_checksum=new.checksum,
            inode=new.inode,
            last_number=self._last_number,
            undone_size=self._undone_size,
            undone_checksum=self._undone_checksum,
        )
        # Before the replacement, because an interrupt may strike right after the bytes have left the store.
        self._quarantine.keep()
        new.take_place(timeout=timeout)

    def close(self) -> None:
        """Close everything, and remove the new file if it did not take its place."""
        if self._new is None:
            self._opened.owner.close()
            return
        if not self._new.is_in_place:
            self._quarantine.take_back()
        self._new.discard()
