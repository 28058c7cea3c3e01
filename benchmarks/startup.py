"""The cost of a start: of an import, and of a command."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks.load import record
from benchmarks.side_by_side import Timings
from benchmarks.table import Row
from papyra import open_store


def rows(*, long: bool) -> list[Row]:
    """Return what was measured."""
    papyra = str(Path(sys.executable).with_name("papyra"))
    with tempfile.TemporaryDirectory() as place:
        url = f"json:{place}/store.ndjson"
        with open_store(url) as store:
            store.append(record(0))
        timings = Timings(
            {
                "python": _run(sys.executable, "-c", "pass"),
                "import": _run(sys.executable, "-c", "import papyra"),
                "Record": _run(sys.executable, "-c", "import papyra; papyra.Record"),
                "click": _run(sys.executable, "-c", "import click"),
                "help": _run(papyra, "--help"),
                "persistence": _run(papyra, "metrics", "persistence", "--store", url),
            },
            rounds=15 if long else 2,
        )
    click = "python -c 'import click': its time"
    bare = "later than bare Python"
    return [
        Row("import papyra", bare, 3, timings.later("import", "python"), at_least=False, unit="ms"),
        Row(
            "with Record used",
            bare,
            25,
            timings.later("Record", "python"),
            at_least=False,
            unit="ms",
        ),
        Row("papyra --help", click, None, timings.faster("click", "help"), at_least=False),
        Row(
            "papyra metrics persistence",
            click,
            1.25,
            timings.faster("click", "persistence"),
            at_least=False,
        ),
    ]


def _run(*command: str) -> Callable[[], float]:
    # The installed package, as users run it. Otherwise PYTHONPATH would put tests before it, and without the
    # right to write bytecode it would be compiled each time, while click was compiled at its installation.
    kept_out = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in kept_out}

    def turn() -> float:
        begin = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return perf_counter() - begin

    return turn
