"""The cost of the first append of many store objects that all use one file."""

import resource
import tempfile
import warnings
from time import perf_counter
from typing import Final

from benchmarks.load import record
from benchmarks.side_by_side import Ratio
from benchmarks.table import Row
from papyra import open_store

_WANTED: Final = 3.0


def rows(*, long: bool) -> list[Row]:
    """Return what was measured."""
    number = 2_000 if long else 10
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        ratios = [
            _seconds("store", number) / _seconds("store{}", number) for _ in range(3 if long else 2)
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return [
        Row(
            f"the first append of each of {number:,} store objects of one file",
            "on a file of its own each",
            _WANTED,
            Ratio.of(ratios),
            at_least=False,
        )
    ]


def _seconds(name: str, number: int) -> float:
    with tempfile.TemporaryDirectory(dir=".") as place, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # closing them is not measured
        stores = [
            open_store(f"json:{place}/{name.format(n)}.ndjson?sync=none") for n in range(number)
        ]
        start = perf_counter()
        for n, store in enumerate(stores):
            store.append(record(n))
        seconds = perf_counter() - start
        del store
        stores.clear()
        return seconds
