"""
Replacing a file by what a judge keeps of it, while others append.

The lines up to the size found at first are copied without keeping anybody out. Then, locked:
what came in meanwhile is copied as it is, the generation is raised, and the copy is renamed over
the file. A crash leaves the old file or the new one, whole, and at the most a temporary file.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO, Final
from zlib import crc32

from papyra.anomaly import Place
from papyra.backends.files.active import bump_generation
from papyra.backends.files.layout import Layout
from papyra.backends.files.quarantine import Quarantine
from papyra.backends.files.reading import forward
from papyra.errors import PapyraError
from papyra.reports import Rewritten
from papyra.selection import Judge, Part
from papyra.system import (
    LOCK_EXCLUSIVE,
    LOCK_SHARED,
    OPEN_FLAGS,
    locked,
    read_at,
    sync_data,
    sync_directory,
)

_CHUNK: Final = 256 * 1024


def rewrite(layout: Layout, judge: Judge, *, timeout: float) -> Rewritten:
    """
    Replace the active file by what *judge* keeps of it; the maintenance lock is held.

    Raises:
        StoreLockedError: when somebody held the store for more than *timeout* seconds.
        PapyraError: if a stranger replaced or cut the file meanwhile; nothing was changed then.
    """
    try:
        old = os.open(layout.path, os.O_RDONLY | OPEN_FLAGS)
    except FileNotFoundError:
        return Rewritten(0, 0)
    judge.begin()
    copy = _Copy(layout, old)
    try:
        with locked(layout.lock, LOCK_SHARED, timeout=timeout):
            size = os.fstat(old).st_size  # nobody is in the middle of a line
        try:
            for place, line in forward(old, size, layout.path):
                copy.take(place, line, judge(place, line))
            judge.finish()
            if not copy.begun:
                return Rewritten(size, size)
            copy.complete(size)
        except BaseException:
            copy.quarantine.remove()  # only from here on may it be the one place of its bytes
            raise
        with locked(layout.lock, LOCK_EXCLUSIVE, timeout=timeout, create_like=layout.owner) as lock:
            if lock is not None:
                copy.replace(size, lock)
        return Rewritten(size, copy.size, copy.quarantine.size, copy.quarantine.id)
    finally:
        copy.discard()
        os.close(old)


class _Copy:
    """
    The new file; begun with the first line that does not stay as it is.

    Attributes:
        size: Bytes written, what was appended meanwhile left out.
        quarantine: Where the damage is saved.
    """

    def __init__(self, layout: Layout, old: int) -> None:
        self._layout = layout
        self._old = old
        self._path = ""
        self._file: BinaryIO | None = None
        self._checksum = 0
        self._last = b"\n"
        self.size = 0
        self.quarantine = Quarantine(layout.quarantine, layout.path)

    @property
    def begun(self) -> bool:
        """Whether anything goes, so that there is a new file."""
        return self._file is not None

    def take(self, place: Place, line: bytes | int, parts: Sequence[Part]) -> None:
        """Write the *parts* of the line at *place* that stay, and save those that are damaged."""
        offset = place[1]
        if not isinstance(offset, int):
            raise TypeError(f"{offset!r} is no byte offset")
        stays = len(parts) == 1 and parts[0].anomaly is None
        if not self.begun:
            if stays:
                return
            self._begin(offset)
        for part in parts:
            if isinstance(line, int):
                piece = _chunks(self._old, offset + part.start, offset + part.stop)
            else:
                piece = iter((line[part.start : part.stop],))
            if part.anomaly is None:
                for chunk in piece:
                    self._write_line(chunk)
            elif part.stop > part.start:
                self.quarantine.save(part.anomaly, piece, new_offset=self.size)

    def complete(self, old_size: int) -> None:
        """Bring the copy and the quarantine to the disk; only the rename is left to do."""
        self._sync()
        self.quarantine.finish(
            old_size=old_size, new_size=self.size, new_crc=f"{self._checksum:08x}"
        )

    def replace(self, old_size: int, lock: int) -> None:
        """Add what was appended meanwhile and take the old file's place; *lock* is held."""
        size = os.fstat(self._old).st_size
        here = self._layout.stat()
        if here is None or not os.path.samestat(here, os.fstat(self._old)) or size < old_size:
            raise PapyraError(
                f"{self._layout.path}: somebody replaced or cut the file meanwhile;"
                " nothing was changed; try again"
            )
        if size > old_size:
            self._add_appended(old_size, size)
            self._sync()
        bump_generation(lock)
        os.replace(self._path, self._layout.path)
        self._path = ""
        sync_directory(self._layout.directory)

    def discard(self) -> None:
        """Close everything, and remove the copy unless it has taken its place."""
        self.quarantine.close()
        if self._file is not None:
            with suppress(OSError):  # it could not be written: that is being raised already
                self._file.close()
        if self._path:
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def _begin(self, offset: int) -> None:
        """Make the file, like the old one, with all that stands before *offset*."""
        self._path = self._layout.new_temporary()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS
        descriptor = os.open(self._path, flags, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=_CHUNK)
        like, mine = os.fstat(self._old), os.fstat(descriptor)
        if (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid):
            os.chown(self._path, like.st_uid, like.st_gid, follow_symlinks=False)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, like.st_mode & 0o7777)
        for chunk in _chunks(self._old, 0, offset):
            self._write(chunk)

    def _write_line(self, line: bytes) -> None:
        if self._last != b"\n":
            self._write(b"\n")
        self._write(line)

    def _write(self, data: bytes) -> None:
        if self._file is not None and data:
            self._file.write(data)
            self._checksum = crc32(data, self._checksum)
            self._last = data[-1:]
            self.size += len(data)

    def _add_appended(self, old_size: int, size: int) -> None:
        """Copy the bytes from *old_size* to *size* as they are, on a line of their own."""
        judged = self.size
        start = old_size
        seals = read_at(self._old, 1, start) == b"\n"  # an append closed an open last line
        if seals and self._last == b"\n":
            start += 1
        elif not seals and self._last != b"\n":
            self._write(b"\n")
        for chunk in _chunks(self._old, start, size):
            self._write(chunk)
        self.size = judged

    def _sync(self) -> None:
        if self._file is not None:
            self._file.flush()
            sync_data(self._file.fileno())


def _chunks(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        chunk = read_at(descriptor, min(_CHUNK, stop - start), start)
        if not chunk:
            raise PapyraError("somebody cut the file while it was copied; nothing was changed")
        start += len(chunk)
        yield chunk
