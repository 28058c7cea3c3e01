"""
Save the bytes that a recovery or compaction removes, before they leave the store.

    PATH.quarantine/20261123T181530-4f2a9c1e/
        removed           the removed bytes, one after the other, as they were
        manifest.ndjson   what they are, and where they were

The manifest begins with a header. Each file that was rewritten adds a line with its name, a line for each
fragment, and an end. A fragment's line has its old offset, length and type, its offset in `removed`, and the
offset in the new file where it would go. The end has size and CRC-32 of the old file, of the new one, and of
the file that an undo makes of that. That file is the old one without the records that were dropped for good.
All lines about a file, and its bytes, are on the disk before the new file takes the old one's place.
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, Any, Final, Self
from zlib import crc32

from papyra.backends.files.paths import NAMES_UNSYNCED, Layout
from papyra.reports import Anomaly
from papyra.system.descriptors import open_file
from papyra.system.files import own_like
from papyra.system.sync import sync_data, sync_directory

FORMAT: Final = 3
MANIFEST: Final = "manifest.ndjson"
REMOVED: Final = "removed"
#: The ending of the name of a directory that is about to be removed.
_DONE: Final = ".undone"


class Quarantine:
    """
    Fill one directory of the quarantine; it is made when the first bytes are saved.

    Attributes:
        id: The name of the directory; None before that, and once it is removed.
        size: The number of bytes saved.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._file = ""
        self._noted_file = ""
        self._removed: IO[bytes] | None = None
        self._manifest: IO[bytes] | None = None
        self._is_needed = self._was_needed = False
        # Of the current file: where its bytes begin in `removed`, and their checksum.
        self._begin = self._checksum = 0
        self.id: str | None = None
        self.size: int = 0

    def begin(self, path: str) -> None:
        """Begin with the file at *path*: the next calls are about it."""
        self._was_needed = self._is_needed
        self._file = os.path.basename(path)
        self._begin, self._checksum = self.size, 0

    def save(self, anomaly: Anomaly, chunks: Iterable[bytes], *, new_offset: int) -> None:
        """
        Save the bytes that *anomaly* is about.

        Args:
            anomaly: Why they go; its offset and length are those in the old file.
            chunks: The bytes.
            new_offset: The offset in the new file at which they would go.
        """
        saved_at = self.size
        removed, _ = self._open()
        for chunk in chunks:
            removed.write(chunk)
            self.size += len(chunk)
            self._checksum = crc32(chunk, self._checksum)
        self._note(
            type=anomaly.type,
            offset=anomaly.offset,
            length=anomaly.length,
            saved_at=saved_at,
            new_offset=new_offset,
            detail=anomaly.detail,
        )

    def note_newline(self, *, new_offset: int) -> None:
        """Note that the new file has a newline that the old one did not have."""
        self._note(inserted=1, new_offset=new_offset)

    def finish(self, **files: int) -> None:
        """Note sizes and checksums of the *files*, old and new, if any bytes were saved, and sync all."""
        if self._noted_file != self._file:
            return
        removed, manifest = self._open()
        self._note(
            end=self._file,
            **files,
            saved_from=self._begin,
            saved_to=self.size,
            saved_checksum=self._checksum,
        )
        for file in (removed, manifest):
            file.flush()
            sync_data(file.fileno())
        parent = self._layout.quarantine
        for directory in (os.path.join(parent, self.id or ""), parent, self._layout.directory):
            self._layout.miss(sync_directory(directory), NAMES_UNSYNCED)

    def keep(self) -> None:
        """
        Keep the directory, because bytes of the file are about to leave the store.

        If they stay in the store after all, the directory does no harm: an undo finds nothing to do.
        """
        self._is_needed = True

    def take_back(self) -> None:
        """Withdraw `keep`, because all bytes of the file have stayed in the store."""
        self._is_needed = self._was_needed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, and remove it if all of its bytes are still in the store."""
        for file in (self._removed, self._manifest):
            if file is not None:
                with suppress(OSError):  # it could not be written: that is being raised already
                    file.close()
        if self.id is not None and not self._is_needed:
            with suppress(OSError):
                remove(self._layout, self.id)
            self.id, self.size = None, 0

    def _open(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._removed is None or self._manifest is None:
            parent = self._layout.quarantine
            # The fraction of the second first: ids sort by their time.
            seconds, rest = divmod(time.time(), 1)
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
            self.id = f"{stamp}-{int(rest * 0x10000):04x}{os.urandom(2).hex()}"
            directory = os.path.join(parent, self.id)
            if not os.path.isdir(parent):
                os.mkdir(parent, 0o700)
                own_like(parent, self._layout.owner)
            os.mkdir(directory, 0o700)
            own_like(directory, parent, is_inside=True)
            self._manifest = _new_file(os.path.join(directory, MANIFEST), like=parent)
            _write(self._manifest, papyra_quarantine=FORMAT, id=self.id)
            self._removed = _new_file(os.path.join(directory, REMOVED), like=parent)
        return self._removed, self._manifest

    def _note(self, **fields: Any) -> None:  # noqa: ANN401  whatever JSON holds
        _, manifest = self._open()
        if self._noted_file != self._file:
            self._noted_file = self._file
            _write(manifest, file=self._file)
        _write(manifest, **fields)


def remove(layout: Layout, id_: str) -> None:
    """
    Remove the directory of *id_*, because all of its bytes are in the store.

    It is renamed first. Otherwise an interrupt could leave half of it, which would look as if another program
    had changed it. The next call removes such a half.
    """
    directory = os.path.join(layout.quarantine, id_)
    os.rename(directory, f"{directory}{_DONE}")
    for done in os.listdir(layout.quarantine):
        if done.endswith(_DONE):
            # Not shutil.rmtree: interrupted, it closes a descriptor twice.
            for name in os.listdir(os.path.join(layout.quarantine, done)):
                os.unlink(os.path.join(layout.quarantine, done, name))
            os.rmdir(os.path.join(layout.quarantine, done))


def _new_file(path: str, *, like: str) -> IO[bytes]:
    file = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb")
    try:
        own_like(path, like, is_inside=True)
    except BaseException:
        file.close()
        raise
    return file


def _write(to: IO[bytes], /, **fields: Any) -> None:  # noqa: ANN401  whatever JSON holds
    line = json.dumps(fields).encode()[:-1]
    to.write(b'%b,"_crc":"%08x"}\n' % (line, crc32(line)))
