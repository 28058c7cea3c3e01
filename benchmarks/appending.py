"""Appends of one caller, beside a bare loop and beside 0.3.0."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.elsewhere import original as running_original
from benchmarks.load import plain, record, records, without_orjson
from benchmarks.side_by_side import Timings, each
from benchmarks.table import Row
from papyra import PersistenceBackend, open_store

_BARE: Final = "a bare loop of os.write(json.dumps(...)): its time"
_MANY: Final = 1000


def rows(original: str, *, long: bool) -> list[Row]:
    """Return what was measured; *original* is an interpreter with 0.3.0, or ""."""
    with ExitStack() as stack:
        # Where the stores of those who measure are, not in a tmpfs.
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
        timings = Timings(_contenders(stack, place, original, long=long), rounds=15 if long else 2)
    rows = [
        Row("json append", _BARE, 1.7, timings.faster("bare", "json"), at_least=False),
        Row("with orjson", _BARE, 1.4, timings.faster("bare", "json+"), at_least=False),
        Row(
            "rotating append",
            "json append: its time",
            1.05,
            timings.faster("json", "rotating"),
            at_least=False,
        ),
        Row(
            f"append_many of {_MANY:,} records that are there",
            "the bare loop",
            1.5,
            timings.faster("many", "bare"),
        ),
        Row("with orjson", "the bare loop", 3, timings.faster("many+", "bare")),
    ]
    if original:
        rows += [
            Row("json append", "0.3.0", 50, timings.faster("json", "0.3.0 json")),
            Row("with orjson", "0.3.0", 60, timings.faster("json+", "0.3.0 json")),
            Row("rotating append", "0.3.0", 55, timings.faster("rotating", "0.3.0 rotating")),
            Row("memory append", "0.3.0", 3.5, timings.faster("memory", "0.3.0 memory")),
            Row("with orjson", "0.3.0", 5, timings.faster("memory+", "0.3.0 memory")),
        ]
    return rows


def _contenders(
    stack: ExitStack, place: Path, original: str, *, long: bool
) -> dict[str, Callable[[], float]]:
    count = 3000 if long else 10
    bare = os.open(place / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    stack.callback(os.close, bare)

    def write_bare() -> None:
        for n in range(count):
            os.write(bare, plain(n).encode() + b"\n")

    found: dict[str, Callable[[], float]] = {"bare": lambda: each(count, write_bare)}
    for kind in ("json", "rotating", "memory"):
        url = "memory:" if kind == "memory" else f"{kind}:{place}/{kind}.ndjson"
        store = stack.enter_context(open_store(url))
        found[f"{kind}+"] = _one_by_one(store, count)
        found[kind] = without_orjson(found[f"{kind}+"])
        # 0.3.0 opens its file for each append: as many would take minutes.
        theirs = count if kind == "memory" else count // 10
        found |= stack.enter_context(
            running_original(original, kind, place / f"0.3.0-{kind}", callers=1, count=theirs)
        )
    store = stack.enter_context(open_store(f"json:{place}/many.ndjson"))
    many = records(_MANY)
    calls = 5 if long else 1

    def append_all() -> None:
        for _ in range(calls):
            store.append_many(many)

    found["many+"] = lambda: each(calls * _MANY, append_all)
    found["many"] = without_orjson(found["many+"])
    return found


def _one_by_one(store: PersistenceBackend, count: int) -> Callable[[], float]:
    def append() -> None:
        for n in range(count):
            store.append(record(n))

    return lambda: each(count, append)
