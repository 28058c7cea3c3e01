"""
What a recovery or compaction removes, saved before it is gone.

    PATH.quarantine/20261123T181530-4f2a9c1e/
        removed           the removed bytes, one after the other, as they were
        manifest.ndjson   a header; for each piece its old place, length and type, where it
                          lies in `removed` and where it would go in the new file; an end
                          with size and checksum of the old and the new file

The directory is complete, and on the disk, before the new file takes the old one's place.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO, Final

from papyra.anomaly import Anomaly
from papyra.system import OPEN_FLAGS, own_like, sync_data, sync_directory

FORMAT: Final = 1


class Quarantine:
    """
    One directory that is being filled; made with the first piece that is saved.

    Args:
        directory: The store's quarantine.
        source: Path of the file that the pieces come from.

    Attributes:
        id: The name of the directory; None while nothing was saved.
        size: Bytes saved.
    """

    def __init__(self, directory: str, source: str) -> None:
        self._parent = directory
        self._source = os.path.basename(source)
        self._like = source
        self._removed: BinaryIO | None = None
        self._manifest: BinaryIO | None = None
        self.id: str | None = None
        self.size = 0

    def save(self, anomaly: Anomaly, chunks: Iterable[bytes], *, new_offset: int) -> None:
        """
        Save what *anomaly* is about.

        Args:
            anomaly: Why it goes; its offset and length are those in the old file.
            chunks: The bytes.
            new_offset: Where in the new file they would stand.
        """
        if self._removed is None:
            self._open()
        self._note(
            type=anomaly.type,
            offset=anomaly.offset,
            length=anomaly.length,
            saved_at=self.size,
            new_offset=new_offset,
            detail=anomaly.detail,
        )
        for chunk in chunks:
            if self._removed is not None:
                self._removed.write(chunk)
                self.size += len(chunk)

    def finish(self, **files: Any) -> None:  # noqa: ANN401  whatever JSON holds
        """Note what the *files* were and become, and bring everything to the disk."""
        if self._removed is None or self._manifest is None or self.id is None:
            return
        self._note(end=True, **files)
        for file in (self._removed, self._manifest):
            file.flush()
            sync_data(file.fileno())
            file.close()
        sync_directory(os.path.join(self._parent, self.id))
        sync_directory(self._parent)
        sync_directory(os.path.dirname(self._parent))

    def close(self) -> None:
        """Close what is open; once more does no harm."""
        for file in (self._removed, self._manifest):
            if file is not None:
                with suppress(OSError):  # it could not be written: that is being raised already
                    file.close()

    def remove(self) -> None:
        """Remove the directory: its bytes stay where they were."""
        self.close()
        if self.id is not None:
            shutil.rmtree(os.path.join(self._parent, self.id), ignore_errors=True)
            self.id = None

    def _open(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self.id = f"{stamp}-{os.urandom(4).hex()}"
        directory = os.path.join(self._parent, self.id)
        if not os.path.isdir(self._parent):
            os.mkdir(self._parent, 0o700)
            own_like(self._parent, self._like)
        os.mkdir(directory, 0o700)
        own_like(directory, self._parent)
        self._removed = self._new_file(os.path.join(directory, "removed"))
        self._manifest = self._new_file(os.path.join(directory, "manifest.ndjson"))
        self._note(papyra_quarantine=FORMAT, id=self.id, source=self._source, saved=time.time())

    def _new_file(self, path: str) -> BinaryIO:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o600)
        own_like(path, self._parent)
        return os.fdopen(descriptor, "wb")

    def _note(self, **fields: Any) -> None:  # noqa: ANN401  whatever JSON holds
        if self._manifest is not None:
            self._manifest.write(json.dumps(fields).encode() + b"\n")
