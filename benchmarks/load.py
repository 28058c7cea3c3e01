"""The records of all benchmarks: an event of an actor system, with and without orjson."""

import json
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import papyra.format.codec
from papyra import PersistenceBackend, Record

#: With a kind, a time and a number 215 bytes of JSON, nested as events are.
DATA: Final = {
    "actor": "local:42",
    "event": "OrderPaid",
    "payload": {
        "order": 10042,
        "customer": "c-7781",
        "amount": 129.9,
        "express": False,
        "trace": "4bf92f3577b34da",
    },
}

_Result = TypeVar("_Result")


def record(n: int) -> Record:
    """Return a record."""
    return Record("event", timestamp=time.time(), data={**DATA, "n": n})


def records(count: int) -> list[Record]:
    """Return *count* records."""
    return [record(n) for n in range(count)]


def plain(n: int) -> str:
    """Return the line that a program without papyra would write."""
    return json.dumps({"kind": "event", "timestamp": time.time(), **DATA, "n": n})


def fill(store: PersistenceBackend, count: int) -> PersistenceBackend:
    """Append *count* records, and return the store."""
    for done in range(0, count, 1000):
        store.append_many(records(min(1000, count - done)))
    return store


def parse(path: Path) -> None:
    """Read a file of lines as a program without papyra would."""
    with path.open("rb") as lines:
        for line in lines:
            json.loads(line)


def without_orjson(do: Callable[[], _Result]) -> Callable[[], _Result]:
    """Return *do*, done by the standard library alone."""
    codec: Any = papyra.format.codec

    @wraps(do)
    def turn() -> _Result:
        found, codec.orjson = codec.orjson, None
        try:
            return do()
        finally:
            codec.orjson = found

    return turn
