"""
A program that uses a store and says what it does: what is in flight, acknowledged, dropped.

It looks at the store's files itself, with nothing of papyra's, where a bound may drop some.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from weakref import ref

from stores import event

from papyra import JsonBackend, Record, Retention, RotatingBackend
from papyra.backends.files import background_sync
from papyra.backends.files.store import FileBackend

#: Bytes of a file of the rotating store: three or four records.
MAX_BYTES: Final = 600
#: A record of this number and its multiples is longer than a page of memory.
_LARGE: Final = 50


def numbered(number: int) -> Record:
    """Return the record *number*: no two have the same bytes, or the same length as the next."""
    length = 5000 if number % _LARGE == 0 else 7 + 5 * number % 31
    return event(number, text=chr(ord("a") + number % 26) * length)


def numbers_by_file(path: Path) -> dict[Path, list[int]]:
    """Return the numbers of the records in each of the store's files, oldest first."""
    found: dict[Path, list[int]] = {}
    for file in [*sorted(path.parent.glob(path.name + "." + "[0-9]" * 12)), path]:
        if file.exists():
            found[file] = []
            for line in file.read_bytes().split(b"\n"):
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict) and "n" in value:
                    found[file].append(value["n"])
    return found


class Work:
    """
    One store that is worked on, from nothing, in a directory of its own.

    Args:
        path: The store.
        kind: "json" or "rotating".
        sync: As the store's.
        say: Takes what is said.
    """

    def __init__(
        self, path: Path, kind: str, sync: Any, say: Callable[[dict[str, Any]], None]
    ) -> None:
        self.path = path
        self.kind = kind
        self._sync = sync
        self._say = say
        self._next = 1
        self._max_files: int | None = None

    @contextmanager
    def store(
        self, *, retention: Retention | None = None, max_files: int | None = None
    ) -> Iterator[FileBackend]:
        """Give the store, opened."""
        with self.opened(retention=retention, max_files=max_files) as store:
            yield store

    def opened(
        self, *, retention: Retention | None = None, max_files: int | None = None
    ) -> FileBackend:
        """Return the store, opened, for the caller to close, or not."""
        options = {"retention": retention, "sync": self._sync}
        store: FileBackend
        if self.kind == "json":
            store = JsonBackend(self.path, **options)
        else:
            self._max_files = max_files
            store = RotatingBackend(self.path, max_bytes=MAX_BYTES, max_files=max_files, **options)
        self._keep_from_syncing(store)
        return store

    def start(self, *evidence: bytes) -> None:
        """
        Say that from now on power may fail; all that is there is on the disk.

        The bytes *evidence*, damage that is there, are never to be lost.
        """
        self._say({"start": [piece.hex() for piece in evidence]})

    def put(self, data: bytes) -> None:
        """Put raw bytes behind what is in the active file, as a stranger; `start` goes on."""
        self._say({"pause": True})
        with self.path.open("ab") as file:
            file.write(data)

    def cut(self, count: int) -> None:
        """Take bytes off the active file's end, as a stranger; `start` goes on."""
        self._say({"pause": True})
        os.truncate(self.path, self.path.stat().st_size - count)

    def append(self, store: FileBackend, count: int = 1) -> None:
        """Append *count* records in one call."""
        adds = list(range(self._next, self._next + count))
        self._next += count
        with self._doing("append", adds=adds, drops=self._oldest()):
            if count == 1:
                store.append(numbered(adds[0]))
            else:
                store.append_many(map(numbered, adds))

    def append_large(self, store: FileBackend) -> None:
        """Append a record that is longer than a page of memory, and than a rotating file."""
        self._next += _LARGE - self._next % _LARGE
        self.append(store)

    def sync(self, store: FileBackend) -> None:
        """Do what the thread of `sync="interval"` does each second."""
        with self._doing("sync"):
            store._sync_written()
        self._keep_from_syncing(store)

    def drop(self, stores: list[FileBackend]) -> None:
        """Free the only one of *stores*, which nobody closed."""
        with self._doing("sync"):
            stores.clear()

    def end(self, store: FileBackend) -> None:
        """Do what the end of a program does, where nobody closed the *store*."""
        syncer = background_sync._Syncer()
        syncer._dirty.put(ref(store))
        with self._doing("sync"):
            syncer.end()

    def _keep_from_syncing(self, store: FileBackend) -> None:
        """Have *store* believe that the thread comes soon, so that none is started."""
        store._is_dirty = self._sync == "interval"

    def compact(self, store: FileBackend, keep: int) -> None:
        """Compact; the store's retention keeps the newest *keep* records."""
        there = [number for numbers in self._look().values() for number in numbers]
        with self._doing("compact", drops=there[: max(0, len(there) - keep)]):
            store.compact()

    def recover(self, store: FileBackend) -> str:
        """Recover, and return the quarantine's id."""
        with self._doing("recover"):
            id_ = store.recover().quarantine
        assert id_ is not None
        return id_

    def undo(self, store: FileBackend, id_: str) -> None:
        """Undo a recovery."""
        with self._doing("undo"):
            store.recover(undo=id_)

    def _look(self) -> dict[Path, list[int]]:
        return numbers_by_file(self.path)

    def _oldest(self) -> list[int]:
        """Return the records that the next append may drop."""
        files = list(self._look().values())
        if self._max_files is None or len(files) < self._max_files:
            return []
        return [number for file in files[: len(files) - self._max_files + 1] for number in file]

    @contextmanager
    def _doing(self, what: str, *, adds: Iterable[int] = (), drops: Iterable[int] = ()) -> Any:
        adds, drops = list(adds), list(drops)
        self._say({"begin": what, "adds": adds, "drops": drops})
        yield
        found = self._look()
        there = {number for numbers in found.values() for number in numbers}
        sealed = [number for file in found if file != self.path for number in found[file]]
        gone = [number for number in drops if number not in there]
        self._say({"end": what, "adds": adds, "gone": gone, "sealed": sealed})


def saying(notes: str) -> Callable[[dict[str, Any]], None]:
    """Return what writes each thing said to the file *notes*, at once."""
    descriptor = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def say(said: dict[str, Any]) -> None:
        os.write(descriptor, json.dumps(said).encode())

    return say
