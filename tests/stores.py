"""Every kind of store, opened and damaged alike, for the tests that run over all of them."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from own_backend import SqliteBackend

from papyra import JsonBackend, MemoryBackend, PersistenceBackend, Record, RotatingBackend
from papyra.backends.files.store import FileBackend
from papyra.metrics.names import NAMES
from papyra.system.descriptors import FileLock
from papyra.system.locks import LOCK_EXCLUSIVE


class Kind(ABC):
    """One kind of store in a place of its own."""

    name: str
    counts_compactions = True
    #: Another object of the same place finds what this one stored.
    outlives_object = True
    #: An append may have to wait, for a lock, a disk or a server.
    may_wait = True
    #: Options for a test with thousands of appends.
    busy: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def open(self, **options: Any) -> PersistenceBackend:
        """Open the store; the second time it is the same store, where it outlives its object."""

    @abstractmethod
    def put(self, store: PersistenceBackend, data: bytes) -> None:
        """Put raw bytes behind what is stored, as a crash or a stranger would."""


class Memory(Kind):
    """A MemoryBackend."""

    name = "memory"
    counts_compactions = False
    outlives_object = False
    may_wait = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, **options: Any) -> PersistenceBackend:
        return MemoryBackend(**options)

    def put(self, store: PersistenceBackend, data: bytes) -> None:
        assert isinstance(store, MemoryBackend)
        held, end = store._held
        lines = [*held[:end], *data.splitlines(keepends=True)]
        store._held = lines, len(lines)


class FileKind(Kind):
    """A store made of files; its active one is at *path*."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "store.ndjson"

    @property
    def url(self) -> str:
        """The URL that names the store."""
        return f"{self.name}:{self.path}"

    @abstractmethod
    def open(self, **options: Any) -> FileBackend: ...

    def put(self, store: PersistenceBackend, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)


class JsonFile(FileKind):
    """A JsonBackend."""

    name = "json"

    def open(self, **options: Any) -> FileBackend:
        return JsonBackend(self.path, **options)


class Rotating(FileKind):
    """A RotatingBackend, of files that hold a few of the tests' records each."""

    name = "rotating"
    busy: ClassVar = {"max_bytes": 400_000}

    def open(self, **options: Any) -> FileBackend:
        return RotatingBackend(self.path, **{"max_bytes": 2000} | options)


class Own(Kind):
    """The store of examples/own_backend.py: what papyra promises for everybody's own."""

    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self.path = directory / "store.sqlite"

    def open(self, **options: Any) -> PersistenceBackend:
        return SqliteBackend(self.path, **options)

    def put(self, store: PersistenceBackend, data: bytes) -> None:
        assert isinstance(store, SqliteBackend)
        for line in data.splitlines(keepends=True):
            store._writer.execute("INSERT INTO lines (line) VALUES (?)", (line,))


FILE_KINDS: dict[str, Callable[[Path], FileKind]] = {
    "json": JsonFile,
    "rotating": Rotating,
}
KINDS: dict[str, Callable[[Path], Kind]] = {"memory": Memory, **FILE_KINDS, "own": Own}


def counts(**expected: int) -> dict[str, int]:
    """Return a whole snapshot: the counters that are named, and 0 for every other."""
    assert set(expected) <= set(NAMES)
    return dict.fromkeys(NAMES, 0) | expected


def raiser(fault: BaseException) -> Callable[..., NoReturn]:
    """Return a function that raises *fault*, whatever it is called with."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise fault

    return fail


@contextmanager
def in_another_thread(hold: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """Have another thread call *hold* with what ends when the block does; it is there by then."""
    arrived, go_on = threading.Event(), threading.Event()

    def until_the_end() -> None:
        arrived.set()
        go_on.wait()

    holder = threading.Thread(target=hold, args=(until_the_end,))
    holder.start()
    arrived.wait()
    try:
        yield
    finally:
        go_on.set()
        holder.join()


def led_by_another_thread(store: PersistenceBackend) -> AbstractContextManager[None]:
    """Keep every batch of *store* out, as another thread does that is writing one."""
    return in_another_thread(partial(store._queue.alone, store))


def locked_by_another_thread(path: str) -> AbstractContextManager[None]:
    """Hold the lock file at *path*, as another thread, or process, does that changes the store."""

    def hold(until_the_end: Callable[[], None]) -> None:
        with FileLock(path, LOCK_EXCLUSIVE, timeout=1.0, create_like="."):
            until_the_end()

    return in_another_thread(hold)


def event(number: int = 1, **data: Any) -> Record:
    """Return a record that is like no other of another number."""
    return Record("event", timestamp=1_700_000_000.0 + number, data={"n": number, **data})


def original(*numbers: int) -> bytes:
    """Return the lines of records as Papyra 0.3.0 wrote them."""
    line = (
        b'{"system_id": "local", "actor_address": "local:1", "event_type": "tick",'
        b' "payload": {"n": %d}, "timestamp": 1700000000.0, "kind": "event"}\n'
    )
    return b"".join(line % number for number in numbers)


def numbers(records: list[Record]) -> list[int]:
    """Return the numbers that `event` gave."""
    return [record.data["n"] for record in records]
