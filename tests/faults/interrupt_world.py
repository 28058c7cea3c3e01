"""The operations that are interrupted, and the stores that they are done with."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from faults.account import made

from papyra import PersistenceBackend, Retention, import_store, open_counters, open_store

#: Damage that must stay in the store or in the quarantine.
PRECIOUS: Final = b"precious bytes that are not a record\n"
_FILES: Final = ("json", "rotating")
_ALL: Final = ("memory", *_FILES)


class World:
    """
    One store that an operation is interrupted with, and other objects of it. Nobody waits for a lock.

    Attributes:
        store: The object whose operation it is.
        opened: All objects.
        acknowledged: The ids that appends returned.
        resets: What resets of `store`, or of all, returned.
        is_damaged: It had the precious bytes.
        saved: The id under which they were saved beforehand.
        kept: The fewest records that its retention keeps; None without one.
        is_closed_next: Nothing is appended between the interrupt and the close.
    """

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.path = directory / "store.ndjson"
        # Sealed by the fifth record.
        options = "max_bytes=900&sync=interval" if kind == "rotating" else "sync=always"
        self.url = "memory:" if kind == "memory" else f"{kind}:{self.path}?{options}&lock_timeout=0"
        self.opened: list[PersistenceBackend] = []
        self.acknowledged: list[str] = []
        self.resets: list[dict[str, int]] = []
        self.is_damaged = False
        self.saved = ""
        self.kept: int | None = None
        self.is_closed_next = False
        self._appended = 0
        self.store = self.open()

    def open(self) -> PersistenceBackend:
        """Return another object of the store."""
        store = open_store(self.url)
        self.opened.append(store)
        return store

    def append(self, store: PersistenceBackend | None = None) -> None:
        """Append a record."""
        self._appended += 1
        store = self.store if store is None else store
        self.acknowledged.append(store.append(made("world", self._appended, 30)))

    def append_three(self) -> None:
        """Append three records in one batch."""
        self._appended += 3
        records = [made("world", self._appended - n, 30) for n in (2, 1, 0)]
        self.acknowledged.extend(self.store.append_many(records))

    def put(self, damage: bytes) -> None:
        """Write *damage* behind the records."""
        self.is_damaged = self.is_damaged or damage == PRECIOUS
        with self.path.open("ab") as file:
            file.write(damage)


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
    "append behind a torn line": Operation(
        World.append, _torn, _FILES, _ERROR | {"anomaly_detected": 1}
    ),
    "read": Operation(lambda world: world.store.read(), _some, _ALL, _READ | {"records_read": 4}),
    "read of the newest": Operation(
        lambda world: world.store.read(limit=2), _damaged, _FILES, _READ | {"records_read": 2}
    ),
    "records": Operation(_stream, _damaged, _FILES, _READ | {"records_read": 5}),
    "records, left": Operation(_stream_left, _some, _ALL, _READ | {"records_read": 1}),
    "scan": Operation(
        lambda world: world.store.scan(),
        _damaged,
        _FILES,
        {"scan_operations": 1, "anomaly_detected": 1},
    ),
    "recover": Operation(
        lambda world: world.store.recover(),
        _damaged,
        _FILES,
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
        _FILES,
        {"anomaly_detected": 1, "compactions_triggered": 1, "compaction_errors": 1},
    ),
    "import": Operation(_copy, _some, _ALL, _ERROR),
    "reset": Operation(
        lambda world: world.resets.append(world.store.metrics.reset()), _some, _ALL, {}
    ),
    "reset of all": Operation(
        lambda world: world.resets.append(open_counters(world.url).reset()), _several, _FILES, {}
    ),
    "read of all": Operation(lambda world: open_counters(world.url).read(), _several, _FILES, {}),
    "open and close": Operation(lambda world: world.open().close(), _some, _ALL, {}),
    "close": Operation(lambda world: world.store.close(), _some, _ALL, {}),
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
