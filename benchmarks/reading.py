"""Reads and scans of files, beside loops of json.loads, and beside themselves on a small store."""

import json
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.load import fill, parse, without_orjson
from benchmarks.side_by_side import Timings, each
from benchmarks.table import Row
from papyra import open_store

_LOOP: Final = "a loop of json.loads"


def rows(*, long: bool) -> list[Row]:
    """Return what was measured."""
    with tempfile.TemporaryDirectory(dir=".") as place:
        return [*_newest(place, long=long), *_all(place, long=long)]


def _newest(place: str, *, long: bool) -> list[Row]:
    large, small = (1_000_000, 10_000) if long else (2_000, 100)
    with (
        open_store(f"json:{place}/large.ndjson") as many,
        open_store(f"json:{place}/small.ndjson") as few,
    ):
        fill(many, large)
        fill(few, small)
        timings = Timings(
            {
                "large": lambda: each(50, lambda: [many.read(limit=10) for _ in range(50)]),
                "small": lambda: each(50, lambda: [few.read(limit=10) for _ in range(50)]),
            },
            rounds=15 if long else 2,
        )
    # The one target that is a time, which depends on the machine.
    took = f"{timings.seconds('large') * 1000:.2f} ms, at most 0.2"
    ratio = timings.faster("small", "large")
    return [
        Row(
            f"newest 10 of {large:,} ({took})",
            f"of {small:,}: its time",
            1.3,
            ratio,
            at_least=False,
        )
    ]


def _all(place: str, *, long: bool) -> list[Row]:
    count = 100_000 if long else 100
    path = Path(place) / "all.ndjson"
    with open_store(f"json:{path}") as store:
        fill(store, count)

        def turn(do: Callable[[], object]) -> Callable[[], float]:
            return lambda: each(count, do)

        stream = turn(lambda: deque(store.records(), 0))
        timings = Timings(
            {
                "loop": turn(lambda: parse(path)),
                "stream": without_orjson(stream),
                "stream+": stream,
                "scan": turn(store.scan),
                "list": without_orjson(turn(store.read)),
                "comprehension": turn(lambda: _listed(path)),
            },
            rounds=9 if long else 2,
        )
    return [
        Row("full read, streamed", _LOOP, 1.05, timings.faster("stream", "loop")),
        Row("with orjson", _LOOP, 1.4, timings.faster("stream+", "loop")),
        Row(
            "full read, a list",
            "a list of json.loads",
            0.9,
            timings.faster("list", "comprehension"),
        ),
        Row("scan", _LOOP, 2.8, timings.faster("scan", "loop")),
    ]


def _listed(path: Path) -> list[object]:
    with path.open("rb") as lines:
        return [json.loads(line) for line in lines]
