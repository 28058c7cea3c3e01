"""What the processes of a test do to a store, each in a process of its own."""

import os
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from faults.outcome_log import made

from papyra import PapyraError, PersistenceBackend, open_store
from papyra.backends.files.store import FileBackend
from papyra.system.descriptors import FileLock
from papyra.system.locks import LOCK_EXCLUSIVE

#: The most records that one call appends.
MOST_AT_ONCE: Final = 3
#: Seconds to wait for others: nobody is to give up on a busy machine.
PATIENCE: Final = 60.0


def opened(url: str) -> FileBackend:
    """Return the file store that *url* names."""
    store = open_store(url, lock_timeout=PATIENCE)
    assert isinstance(store, FileBackend)
    return store


def write(url: str, acks: Path, who: str, threads: int, calls: int | None) -> None:
    """
    Append as fast as it goes, and put each id that an append returned into *acks*.

    Args:
        threads: Writers at once, each with a name that begins with *who*.
        calls: Of each thread; None for ever.
    """
    with open_store(url, lock_timeout=PATIENCE) as store:
        writers = [
            threading.Thread(target=_write, args=(store, acks, f"{who}.{n}", calls))
            for n in range(threads)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()


def _write(store: PersistenceBackend, acks: Path, who: str, calls: int | None) -> None:
    chance = random.Random(who)
    to = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    number = 0
    for call in count(1):
        n = chance.choice((1, 1, 1, MOST_AT_ONCE))
        records = [made(who, number + i, size=chance.randrange(200)) for i in range(n)]
        ids = [store.append(*records)] if n == 1 else store.append_many(records)
        os.write(to, "".join(f"{id_}\n" for id_ in ids).encode())
        number += n
        if call == calls:
            break
    os.close(to)


def acknowledged(acks: Path) -> list[str]:
    """Return the ids in *acks*; the last one may be half written, which counts as not acknowledged."""
    return acks.read_text().split("\n")[:-1] if acks.exists() else []


def compact(url: str, until: Path) -> int:
    """Compact again and again *until* a file is there; return how often."""
    return _again_and_again(url, until, lambda store: store.compact())


def repair(url: str, until: Path) -> int:
    """Damage the store, recover it, and undo some of the recoveries, *until* a file is there."""
    return _again_and_again(url, until, _repair)


def _again_and_again(url: str, until: Path, do: Callable[[FileBackend], object]) -> int:
    done = 0
    with opened(url) as store:
        while not until.exists():
            # What comes later, or a rotation that drops files, may stand in the way of an undo.
            with suppress(PapyraError):
                do(store)
                done += 1
    return done


def _repair(store: FileBackend) -> None:
    damage(store)
    report = store.recover()
    if report.quarantine is not None and random.random() < 0.5:
        store.recover(undo=report.quarantine)
        store.recover()


def damage(store: FileBackend) -> None:
    """Put a line of garbage behind the records, beside those who append."""
    with FileLock(store._layout.lock, LOCK_EXCLUSIVE, timeout=PATIENCE) as lock:
        # Garbage before every record would make it somebody else's file.
        path = Path(store.source)
        if lock.descriptor is not None and path.exists() and path.stat().st_size:
            with path.open("ab") as file:
                file.write(b"\nno record\n")
