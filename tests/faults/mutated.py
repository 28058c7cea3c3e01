"""papyra with one protective step of its text taken out: the test that is named for it must fail."""

import os
import random
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Final

from faults.asyncio_mutants import POSITIONS
from faults.count_mutants import COUNTS
from faults.file_mutants import FILES
from faults.fork_mutants import FORKS
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.record_mutants import RECORDS
from faults.scratch_stores import scratch
from faults.text_mutant import ROOT, TextMutant
from faults.thread_mutants import THREADS

#: Every one of them.
MUTANTS: Final = (*RECORDS, *POSITIONS, *THREADS, *FORKS, *FILES, *COUNTS)
#: Seconds after which a test that hangs has noticed; whoever runs them all has as many for each.
_PATIENCE: Final = 45
#: pytest's answers.
_PASSED, _FAILED = 0, 1


def text(*, long: bool) -> Outcome:
    """Take out one step after the other; in the short form a few, at random."""
    outcome_log = OutcomeLog()
    chosen = MUTANTS if long else random.sample(MUTANTS, 3)
    with scratch() as place:
        _copy(place)
        if long:
            answer = _answer(place, {mutant.test for mutant in MUTANTS})
            outcome_log.expect("broken", f"with all steps: {answer}", holds=answer == _PASSED)
        for mutant in chosen:
            answer = _without(mutant, place)
            outcome_log.expect("broken", f"{mutant.lacks}: {answer}", holds=answer == _FAILED)
    return outcome_log.outcome(
        "a step of records, files or asyncio taken out", f"{len(chosen)} steps"
    )


def _copy(place: Path) -> None:
    """Make a tree of papyra whose package can be changed."""
    copytree(ROOT / "papyra", place / "papyra", ignore=ignore_patterns("__pycache__"))
    for name in ("tests", "examples", "benchmarks", "papyra_otel", "pyproject.toml"):
        (place / name).symlink_to(ROOT / name)


def _without(mutant: TextMutant, place: Path) -> int:
    """Return what pytest says of the package that lacks a step."""
    module = place / "papyra" / mutant.module
    whole = module.read_text()
    module.write_text(mutant.applied(whole))
    try:
        return _answer(place, [mutant.test])
    finally:
        module.write_text(whole)


def _answer(place: Path, tests: Collection[str]) -> int:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(place)}
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            cwd=place,
            env=environment,
            timeout=_PATIENCE * len(tests),
        )
    except subprocess.TimeoutExpired:
        return _FAILED
    return done.returncode
