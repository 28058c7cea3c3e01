"""
What is done to a store while its system calls are recorded.

Run as a program it does one thing after the other, each with a store of its own:

    workloads.py NOTES DIRECTORY MUTANT NAME:KIND:SYNC ...
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faults.mutants import MUTANTS
from faults.traced_pages import trace_pages
from faults.traced_program import Work, saying

from papyra import Retention

_TORN: Final = b'{"kind":"event","timestamp":1700000000.0,"n":1,"text":"torn'
_DAMAGE: Final = (
    b'{"kind":"event","timestamp":1.0,"n":77,"_id":"0123456789abcdef-1","_crc":"00000000"}\n',
    b"no JSON at all\n",
    b"\xff\xfe\n",
)


def append(work: Work) -> None:
    """Records one by one, in batches, and one that is longer than a page of memory."""
    work.start()
    with work.store() as store:
        for _ in range(6):
            work.append(store)
        work.append(store, 5)
        work.append_large(store)
        work.append(store)
    with work.store() as store:
        work.append(store, 3)


def torn(work: Work) -> None:
    """Appends behind a torn line, a whole one without its newline, and NULs."""
    with work.store() as store:
        work.append(store, 2)
    work.put(_TORN)
    work.start(_TORN)
    with work.store() as store:
        work.append(store)
        work.append(store, 2)
    work.cut(1)
    work.start(_TORN)
    with work.store() as store:
        work.append(store)
    work.put(bytes(20))
    work.start(_TORN)
    with work.store() as store:
        work.append(store)


def rotate(work: Work) -> None:
    """Many more records than one file holds, and a batch that no file holds."""
    work.start()
    with work.store() as store:
        for _ in range(10):
            work.append(store)
        work.append(store, 8)
        work.append_large(store)
        work.append(store, 2)


def drop(work: Work) -> None:
    """Rotation with the oldest files dropped."""
    work.start()
    with work.store(max_files=2) as store:
        for _ in range(14):
            work.append(store)
    with work.store(max_files=1) as store:
        for _ in range(5):
            work.append(store)


def compact(work: Work) -> None:
    """Compactions that drop records, and save damage, with appends before and after."""
    with work.store() as store:
        work.append(store, 3)
        for _ in range(7):
            work.append(store)
    work.put(_DAMAGE[0])
    work.start(_DAMAGE[0])
    with work.store(retention=Retention(max_records=6)) as store:
        work.append(store)
        work.compact(store, keep=6)
        work.append(store)
        work.append(store)
        work.compact(store, keep=6)
        work.append(store)


def recover(work: Work) -> None:
    """A repair of damage of every sort, in several files, and of what is left of one."""
    with work.store() as store:
        work.append(store, 3)
    for piece in _DAMAGE:
        work.put(piece)
        with work.store() as store:
            work.append(store, 2)
    work.put(_TORN)
    work.path.with_name(work.path.name + ".tmp.01234567").write_bytes(b"left")
    work.start(*_DAMAGE, _TORN)
    with work.store() as store:
        work.recover(store)
        work.append(store, 2)


def undo(work: Work) -> None:
    """A repair that is undone, with an append between."""
    with work.store() as store:
        work.append(store, 4)
        work.put(_DAMAGE[1])
        work.append(store, 4)
        work.put(_TORN)
    work.start(_DAMAGE[1], _TORN)
    with work.store() as store:
        id_ = work.recover(store)
        work.append(store)
        work.undo(store, id_)
        work.append(store)


def mixture(work: Work) -> None:
    """All of it in one store's life, with damage that comes on the way."""
    work.start()
    with work.store() as store:
        for _ in range(5):
            work.append(store)
    work.put(_TORN)
    work.start(_TORN)
    with work.store(retention=Retention(max_records=5)) as store:
        work.append(store, 2)
        work.compact(store, keep=5)
        work.append(store)
        work.put(_DAMAGE[2])
        work.start(_TORN, _DAMAGE[2])
        id_ = work.recover(store)
        work.append(store)
        work.undo(store, id_)
        work.append(store, 3)
        work.compact(store, keep=5)
        work.append(store)


def second(work: Work) -> None:
    """Appends with the sync of each second between them, in one file, over several, and rewritten."""
    work.start()
    with work.store(retention=Retention(max_records=20)) as store:
        for count in (1, 3, 1, 1, 4):
            work.append(store, count)
            work.sync(store)
        work.append(store)
        work.compact(store, keep=20)
        work.append(store)
        work.sync(store)
        work.append_large(store)
        work.append(store)
        work.sync(store)
        work.append(store)


def unclosed(work: Work) -> None:
    """Stores that nobody closes: dropped, and then one that the program ends with."""
    work.start()
    for count in (1, 4, 2):
        stores = [work.opened()]
        work.append(stores[0])
        work.append(stores[0], count)
        work.drop(stores)
    store = work.opened()
    work.append(store, 2)
    work.append(store)
    work.end(store)


WORKLOADS: Final[dict[str, Callable[[Work], None]]] = {
    function.__name__: function
    for function in (append, torn, rotate, drop, compact, recover, undo, mixture, second, unclosed)
}
#: A json store knows neither.
_ROTATING_ALONE: Final = frozenset({"rotate", "drop"})
#: What only `sync="interval"` does.
_LATER: Final = frozenset({"second", "unclosed"})


def tasks(sync: str) -> list[str]:
    """Return what can be done to both kinds of store; with "interval" that is what is synced later."""
    return [
        f"{name}:{kind}:{sync}"
        for name in WORKLOADS
        for kind in ("json", "rotating")
        if (kind == "rotating" or name not in _ROTATING_ALONE)
        and (name in _LATER) == (sync == "interval")
    ]


def _main(notes: str, directory: str, mutant: str, *todo: str) -> None:
    say = saying(notes)
    trace_pages(say)
    if mutant:
        MUTANTS[mutant].apply(setattr)
    for task in todo:
        name, kind, sync = task.split(":")
        place = Path(directory, task.replace(":", "-"))
        place.mkdir()
        say({"task": task, "place": str(place)})
        WORKLOADS[name](Work(place / "store.ndjson", kind, sync, say))


if __name__ == "__main__":
    _main(*sys.argv[1:])
