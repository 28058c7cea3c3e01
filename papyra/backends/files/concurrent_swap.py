"""
A new file that takes the place of one that other processes append to meanwhile.

Rewrites and undos fill it; it does not decide which bytes it gets.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final
from zlib import crc32

from papyra.backends.files.generation import bump_generation, last_number_in
from papyra.backends.files.paths import NAMES_UNSYNCED, NOT_LIKE_THE_OLD, Layout
from papyra.backends.files.read_view import OpenedFile
from papyra.errors import PapyraError
from papyra.system.descriptors import FileLock, open_file
from papyra.system.files import lacking, read_at
from papyra.system.locks import LOCK_EXCLUSIVE, LOCK_SHARED
from papyra.system.sync import sync_data, sync_directory

#: Bytes that are copied or written at once.
CHUNK: Final = 256 * 1024
#: While more new bytes than this are to be copied, that is done without the lock, and asked again.
_LITTLE: Final = 1024 * 1024
#: The most rounds of that, because writers may be faster than the copy.
_ROUNDS: Final = 8


class Replacement:
    """
    Write a temporary file, with mode and owner of the old file, until it takes that one's place.

    Args:
        layout: The store's names.
        path: The path that the old file had; a rotation may rename it meanwhile.
        old: The old file, which is closed here, and how many of its bytes are replaced; the bytes behind
            them are copied as they are.

    Attributes:
        size: Bytes written in place of the filtered part.
        checksum: Their CRC-32.
        inode: The inode that the file has, and will have.
        ends_line: Whether the last byte written was a newline, or none was written.
    """

    def __init__(self, layout: Layout, path: str, old: OpenedFile) -> None:
        self.size: int = 0
        self.checksum: int = 0
        self.ends_line: bool = True
        self._layout = layout
        self._place = path
        self._owner, self._old = old.owner, old.descriptor
        self._filtered = self._copied = old.size
        self._path = layout.new_temporary()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        self._file = open_file(self._path, flags, "wb", buffering=CHUNK)
        try:
            self.inode: int = os.fstat(self._file.fileno()).st_ino
            self._become_like(os.fstat(self._old))
        except BaseException:
            self.discard()
            raise

    def _become_like(self, old: os.stat_result) -> None:
        mine = os.fstat(self._file.fileno())
        if (old.st_uid, old.st_gid) != (mine.st_uid, mine.st_gid):
            chown = partial(os.chown, follow_symlinks=False)
            lack = lacking(chown, self._path, old.st_uid, old.st_gid)
            if lack and old.st_gid != mine.st_gid:
                # The group alone lets the other users of the store go on using it.
                lacking(chown, self._path, -1, old.st_gid)
            self._layout.miss(lack, NOT_LIKE_THE_OLD)
        if hasattr(os, "fchmod"):
            lack = lacking(os.fchmod, self._file.fileno(), old.st_mode & 0o7777)
            self._layout.miss(lack, NOT_LIKE_THE_OLD)

    @property
    def is_in_place(self) -> bool:
        """Whether it replaced the old file; the disk is asked, because an interrupt may strike at any time."""
        return not os.path.lexists(self._path)

    def write(self, data: bytes) -> None:
        """Add *data* to what replaces the filtered part."""
        if data:
            self._write(data)
            self.checksum = crc32(data, self.checksum)
            self.size += len(data)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.ends_line = data.endswith(b"\n")

    def sync(self) -> None:
        """Bring what was written to the disk."""
        self._file.flush()
        sync_data(self._file.fileno())

    def take_place(self, *, timeout: float) -> None:
        """
        Add the bytes that were appended to the old file meanwhile, and replace it.

        A segment of which nothing stays is removed instead.

        Raises:
            StoreLockedError: if another process held the store for more than *timeout* seconds.
            PapyraError: if another program replaced or cut the old file.
        """
        layout = self._layout
        for _ in range(_ROUNDS):
            with FileLock(layout.lock, LOCK_SHARED, timeout=timeout):
                # Under the lock no append is in the middle of a line.
                size = os.fstat(self._old).st_size
            if size - self._copied <= _LITTLE:
                break
            self._copy_until(size)
            self.sync()
        with FileLock(
            layout.lock, LOCK_EXCLUSIVE, timeout=timeout, create_like=layout.owner
        ) as held:
            lock = held.descriptor
            if lock is not None and (target := self._find_old(lock)):
                self._replace(target, lock)

    def _replace(self, target: str, lock: int) -> None:
        """Take the place of *target*; the lock is held."""
        if self._copy_until(os.fstat(self._old).st_size):
            self.sync()
        is_empty = not self._file.tell()
        self._close()  # Windows renames no open file, and replaces none
        if target == self._layout.path:
            bump_generation(lock)
        os.replace(self._path, target)
        if is_empty and target != self._layout.path:
            os.unlink(target)
        self._layout.miss(sync_directory(self._layout.directory), NAMES_UNSYNCED)

    def _find_old(self, lock: int) -> str:
        """Return the path that the old file has now; "" if a rotation dropped it."""
        status = os.fstat(self._old)
        names = [self._place]
        if self._place == self._layout.path:  # a rotation renames it
            names += [slot.path for slot in reversed(self._layout.slots()) if not slot.is_legacy]
        for name in names:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(name), status):
                    break
        else:
            is_gone = not os.path.lexists(self._place)
            if self._place == self._layout.path:  # it was renamed first, by a store that rotates
                is_gone = not status.st_nlink and last_number_in(lock) > 0
            if is_gone:
                return ""
            name = ""
        if not name or status.st_size < self._copied:
            raise PapyraError(
                f"{self._place}: another program replaced or cut the file meanwhile;"
                " it was left as it is; try again"
            )
        return name

    def _copy_until(self, size: int) -> bool:
        """Copy the bytes appended until the old file had *size* bytes; False if there are none."""
        start = self._copied
        if size <= start:
            return False
        if start == self._filtered:
            # The first append to a file with an open last line closes it.
            closes = (
                start > 0 and read_at(self._old, 1, start) == b"\n" and not self._old_ends_line()
            )
            if closes and self.ends_line:
                start += 1
            elif not closes and not self.ends_line:
                self._write(b"\n")
        for chunk in chunks(self._old, start, size):
            self._write(chunk)
        self._copied = size
        return True

    def _old_ends_line(self) -> bool:
        return read_at(self._old, 1, self._filtered - 1) == b"\n"

    def discard(self) -> None:
        """Close everything, and remove the file unless it has taken its place."""
        with suppress(OSError):  # it could not be written: that is being raised already
            self._close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def _close(self) -> None:
        self._owner.close()
        self._file.close()


def chunks(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    """
    Yield the bytes from *start* to *stop* of a file.

    Raises:
        PapyraError: if the file is shorter.
    """
    while start < stop:
        chunk = read_at(descriptor, min(CHUNK, stop - start), start)
        if not chunk:
            raise PapyraError(
                "another program cut the file while it was copied; nothing was changed"
            )
        start += len(chunk)
        yield chunk
