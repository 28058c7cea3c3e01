"""The operations that are interrupted, and the stores that they are done with."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from faults.outcome_log import made
from faults.scratch_stores import data_files

from papyra import (
    PersistenceBackend,
    Record,
    Retention,
    WriteOutcomeUnknownError,
    import_store,
    open_counters,
    open_store,
)
from papyra.format.codec import encode, seal
from papyra.metrics.exportable import CounterSource

#: Damage that must stay in the store or in the quarantine.
PRECIOUS: Final = b"precious bytes that are not a record\n"
_FILES: Final = ("json", "rotating")
_SHARED: Final = (*_FILES, "redis")
_ALL: Final = ("memory", *_SHARED)


class World:
    """
    One store that an operation is interrupted with, and other objects of it. Nobody waits for a lock.

    Attributes:
        store: The object whose operation it is.
        opened: All objects.
        acknowledged: The ids that appends returned.
        taken: The numbers of records that `append_soon` took.
        lost: A batch that nobody knows the outcome of.
        resets: What resets of `store`, or of all, returned.
        is_damaged: It had the precious bytes.
        saved: The id under which they were saved beforehand.
        kept: The fewest records that its retention keeps; None without one.
        is_closed_next: Nothing is appended between the interrupt and the close.
    """

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.path = directory / "store.ndjson"
        self.url = self._url()
        self.opened: list[PersistenceBackend] = []
        self.acknowledged: list[str] = []
        self.taken: list[int] = []
        self.lost: WriteOutcomeUnknownError | None = None
        self.resets: list[dict[str, int]] = []
        self.is_damaged = False
        self.saved = ""
        self.kept: int | None = None
        self.is_closed_next = False
        self._appended = 0
        self._counters: CounterSource | None = None
        self.store = self.open()

    def _url(self) -> str:
        if self.kind == "memory":
            return "memory:"
        # Sealed by the fifth record.
        options = "max_bytes=900&sync=interval" if self.kind == "rotating" else "sync=always"
        return f"{self.kind}:{self.path}?{options}&lock_timeout=0"

    #: What is removed can be put back.
    can_undo = True

    @property
    def is_shared(self) -> bool:
        """Other objects can have the same store."""
        return self.kind != "memory"

    def open(self) -> PersistenceBackend:
        """Return another object of the store."""
        store = open_store(self.url)
        self.opened.append(store)
        return store

    @property
    def counters(self) -> CounterSource:
        """Those that all objects share: always the same object."""
        if self._counters is None:
            self._counters = open_counters(self.url)
        return self._counters

    def made(self) -> Record:
        """Return a record like no other."""
        self._appended += 1
        return made("world", self._appended, 30)

    def append(self, store: PersistenceBackend | None = None) -> None:
        """Append a record."""
        store = self.store if store is None else store
        self.acknowledged.append(store.append(self.made()))

    def append_three(self) -> None:
        """Append three records in one batch."""
        self.acknowledged.extend(self.store.append_many([self.made() for _ in range(3)]))

    def append_soon(self) -> None:
        """Have a record taken."""
        self.store.append_soon(self.made())
        self.taken.append(self._appended)

    def lose(self) -> None:
        """Have a batch whose outcome is not known: it was not stored."""
        writer, now = os.urandom(8).hex(), time.time()
        line = seal(encode(self.made()), writer, 1)
        self.lost = WriteOutcomeUnknownError(self.store.source, "cut", writer, 1, (line,), now)

    def resend(self) -> None:
        """Send the batch again."""
        assert self.lost is not None
        self.acknowledged += self.store.resend(self.lost)

    def reset(self) -> None:
        """Reset the counters of all."""
        self.resets.append(self.counters.reset())

    def put(self, damage: bytes) -> None:
        """Write *damage* behind the records."""
        self.is_damaged = self.is_damaged or damage == PRECIOUS
        self._put(damage)

    def _put(self, damage: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(damage)

    @property
    def data(self) -> bytes:
        """What stands among the records."""
        return b"".join(file.read_bytes() for file in data_files(self.path))

    @property
    def removed(self) -> bytes:
        """What stands in the quarantine."""
        files = Path(f"{self.path}.quarantine").rglob("removed")
        return b"".join(file.read_bytes() for file in files)

    def left(self) -> str:
        """Return what keeps others out though nobody is at work; "" if nothing does."""
        return ""


class Operation(NamedTuple):
    """
    What is interrupted.

    Attributes:
        act: The operation.
        prepare: What is done before, without interrupts.
        kinds: The stores that it is tried with.
        counts: How much each counter of the store moves at most. Records are not in it: what is
            written is compared with what is stored.
    """

    act: Callable[[World], object]
    prepare: Callable[[World], object]
    kinds: tuple[str, ...]
    counts: dict[str, int]


def _some(world: World) -> None:
    for _ in range(4):
        world.append()


def _some_and_no_more(world: World) -> None:
    _some(world)
    world.is_closed_next = True


def _taken(world: World) -> None:
    _some(world)
    world.append_soon()


def _lost(world: World) -> None:
    _some(world)
    world.lose()


def _damaged(world: World) -> None:
    _some(world)
    world.put(PRECIOUS)
    world.append()


def _torn(world: World) -> None:
    _some(world)
    world.put(b'{"kind":"event","torn')


def _several(world: World) -> None:
    _some(world)
    for _ in range(2):
        world.append(world.open())
    gone = world.open()
    world.append(gone)
    gone.close()


def _recovered(world: World) -> None:
    _damaged(world)
    world.saved = world.store.recover().quarantine or ""


def _full(world: World) -> None:
    _damaged(world)
    world.kept = 3
    world.store._retention = Retention(max_records=world.kept)


def _stream(world: World) -> None:
    for _ in world.store.records():
        pass


def _stream_left(world: World) -> None:
    records: Any = world.store.records()
    with closing(records):
        next(records)


def _copy(world: World) -> None:
    with open_store("memory:") as source:
        source.append_many([made("copied", n) for n in range(3)])
        import_store(source, world.store)


_ERROR: Final = {"write_errors": 1}
_READ: Final = {"read_errors": 1, "anomaly_detected": 1}

OPERATIONS: Final[dict[str, Operation]] = {
    "first append": Operation(World.append, lambda _: None, _ALL, _ERROR),
    "append": Operation(World.append, _some, _ALL, _ERROR),
    "last append": Operation(World.append, _some_and_no_more, _ALL, _ERROR),
    "append_many": Operation(World.append_three, _some, _ALL, _ERROR),
    "append_soon": Operation(World.append_soon, _some, _ALL, _ERROR),
    "append behind a torn line": Operation(
        World.append, _torn, _FILES, _ERROR | {"anomaly_detected": 1}
    ),
    "read": Operation(lambda world: world.store.read(), _some, _ALL, _READ | {"records_read": 4}),
    "read of the newest": Operation(
        lambda world: world.store.read(limit=2), _damaged, _SHARED, _READ | {"records_read": 2}
    ),
    "records": Operation(_stream, _damaged, _SHARED, _READ | {"records_read": 5}),
    "records, left": Operation(_stream_left, _some, _ALL, _READ | {"records_read": 1}),
    "scan": Operation(
        lambda world: world.store.scan(),
        _damaged,
        _SHARED,
        {"scan_operations": 1, "anomaly_detected": 1},
    ),
    "recover": Operation(
        lambda world: world.store.recover(),
        _damaged,
        _SHARED,
        {
            "scan_operations": 1,
            "anomaly_detected": 1,
            "recovery_attempts": 1,
            "recovery_failures": 1,
        },
    ),
    "undo": Operation(lambda world: world.store.recover(undo=world.saved), _recovered, _FILES, {}),
    "compact": Operation(
        lambda world: world.store.compact(),
        _full,
        _SHARED,
        {"anomaly_detected": 1, "compactions_triggered": 1, "compaction_errors": 1},
    ),
    "import": Operation(_copy, _some, _ALL, _ERROR),
    "reset": Operation(
        lambda world: world.resets.append(world.store.metrics.reset()),
        _some,
        ("memory", *_FILES),
        {},
    ),
    "reset of all": Operation(World.reset, _several, _SHARED, {}),
    "read of all": Operation(lambda world: world.counters.read(), _several, _SHARED, {}),
    "resend": Operation(World.resend, _lost, ("redis",), _ERROR),
    "open and close": Operation(lambda world: world.open().close(), _some, _ALL, {}),
    "close": Operation(lambda world: world.store.close(), _some, _ALL, {}),
    "close behind append_soon": Operation(lambda world: world.store.close(), _taken, _ALL, _ERROR),
}


def descriptors() -> set[str]:
    """Return the descriptors of this process, and what is open there."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number}: {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


#: What makes the stores that operations are tried with; see `faults.redis_interrupts` for another.
WORLDS: Final[dict[str, Callable[[Path], World]]] = {
    kind: partial(World, kind) for kind in ("memory", *_FILES)
}
