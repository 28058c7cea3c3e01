"""
The cost of one append, one read of the newest ten and one scrape, as stores grow and as they become many.

As a program, with the arguments KIND RECORDS STORES, it measures one case. A process of its own makes the
memory that case's alone. It prints one line of JSON: the seconds of one append, of one read, and of one
store in a scrape, and the resident bytes of each record or store.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.load import fill, record
from benchmarks.side_by_side import each
from papyra import PersistenceBackend, open_store
from papyra.exposition import exposition

FIGURES: Final = ("append", "newest 10", "scrape", "bytes")


class Case(NamedTuple):
    """A number of stores of one kind, and how many records they hold together."""

    kind: str
    records: int
    stores: int


def cases(*, long: bool) -> tuple[list[Case], list[Case]]:
    """Return those that have more and more records, and those that have more and more stores."""
    sizes = (10_000, 100_000, 1_000_000) if long else (10, 20)
    growing = [Case(kind, size, 1) for kind in ("json", "memory") for size in sizes]
    files = [Case("json", 10 * number, number) for number in ((1, 10, 50, 200) if long else (1, 2))]
    memories = [
        Case("memory", 10 * number, number)
        for number in ((1, 10, 100, 1_000, 10_000) if long else (1, 2))
    ]
    return growing, files + memories


def measured(found: Iterable[Case], *, rounds: int) -> dict[Case, dict[str, float]]:
    """Return the medians of each case."""
    figures: dict[Case, list[dict[str, float]]] = {case: [] for case in found}
    for _ in range(rounds):
        for case, runs in figures.items():
            command = [sys.executable, "-m", "benchmarks.growth", *map(str, case)]
            done = subprocess.run(command, check=True, capture_output=True)
            runs.append(json.loads(done.stdout))
    return {
        case: {name: median(one[name] for one in runs) for name in FIGURES}
        for case, runs in figures.items()
    }


def table(found: dict[Case, dict[str, float]]) -> str:
    """Return the figures as ratios to the smallest case of the kind, and the bytes of one item."""
    lines = [
        "| stores | records | append | newest 10 | scrape, a store | memory, each |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case, figures in found.items():
        smallest = next(
            other
            for kind, other in zip(found, found.values(), strict=True)
            if kind.kind == case.kind
        )
        ratios = " | ".join(f"{figures[name] / smallest[name]:.2f} x" for name in FIGURES[:3])
        lines.append(
            f"| {case.stores:,} {case.kind} | {case.records:,} | {ratios} | {figures['bytes']:,.0f} bytes |"
        )
    return "\n".join(lines) + "\n"


def _measure(case: Case, place: str) -> dict[str, float]:
    before = _resident()
    stores = [_open(case, place, number) for number in range(case.stores)]
    for store in stores:
        fill(store, case.records // case.stores)
    held = _resident() - before
    turns = max(2_000, case.stores)
    scrapes = max(1, 2_000 // case.stores)
    some = stores[:: max(1, case.stores // 100)]
    figures = (
        each(turns, lambda: _append(stores, turns)),
        each(5 * len(some), lambda: [store.read(limit=10) for store in some for _ in range(5)]),
        each(scrapes * case.stores, lambda: [exposition(*stores) for _ in range(scrapes)]),
        held / max(case.stores, case.records if case.stores == 1 else 0),
    )
    for store in stores:
        store.close()
    return dict(zip(FIGURES, figures, strict=True))


def _open(case: Case, place: str, number: int) -> PersistenceBackend:
    return open_store("memory:" if case.kind == "memory" else f"json:{place}/{number}.ndjson")


def _append(stores: Sequence[PersistenceBackend], turns: int) -> None:
    for n in range(turns):
        stores[n % len(stores)].append(record(n))


def _resident() -> int:
    """Return the resident bytes of this process; on Linux alone."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


def main(kind: str, records: str, stores: str) -> None:
    """Measure one case."""
    with tempfile.TemporaryDirectory(dir=".") as place:
        print(json.dumps(_measure(Case(kind, int(records), int(stores)), place)))


if __name__ == "__main__":
    main(*sys.argv[1:])
