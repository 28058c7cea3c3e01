"""The store that is one NDJSON file."""

import os

from papyra.backends.files.store import FileBackend
from papyra.errors import StoreURLError
from papyra.primitives import Sync
from papyra.retention import Retention


class JsonBackend(FileBackend):
    """
    Keep all records in one file, one record a line.

    Any number of processes may append, read, scan, compact and recover it at once. On Windows,
    where there is no flock, one process may, and its counters are not published.

    Args:
        path: The file; made by the first append, in a directory that exists.
        retention: What is kept; by default everything.
        sync: When written records are brought to the disk. "none" leaves it to the operating
            system, "interval" does it once a second, "always" before a write is acknowledged.
        lock_timeout: Seconds that a call waits for other threads and processes.

    Raises:
        StoreURLError: if rotated segments lie beside the file, because it is a rotating store then.
    """

    __module__ = "papyra"

    kind = "json"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        retention: Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        super().__init__(path, retention=retention, sync=sync, lock_timeout=lock_timeout)
        if segment := self._layout.newest_numbered():
            raise StoreURLError(
                f"{self.source}: it has rotated segments, such as {segment}; open it as rotating:{path},"
                " or move them away"
            )
