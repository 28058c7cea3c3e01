"""
Tries the faults of one kind of store for long, and writes what came of it to a page.

    PYTHONPATH=tests:examples python -m faults.report files|redis PAGE [PYTHON_WITH_PAPYRA_0.3.0]
"""

import json
import logging
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from faults.discovery import discovered
from faults.outcome import Outcome, UnavailableError

#: What Papyra 0.3.0 can be tried with, too: the fault here, and its name in `original`.
_SAME: Final = {
    "damaged.torn_tail": "torn_tail",
    "sigkill.run": "sigkill",
    "bits.cut": "cut",
    "bits.flip": "flip",
    "full_disk.disk": "disk",
    "damaged.invalid_utf8": "invalid_utf8",
    "damaged.recovered_twice": "recovered_twice",
    "side_by_side.run": "compaction",
}
#: The columns of an outcome that are shown.
_WRONGS: Final = ("lost", "duplicated", "glued", "miscounted", "broken")
#: P1, P2 and so on, and the faults that they were tried by.
_PROMISES: Final = {
    "an acknowledged record survives `kill -9` and a crash of the interpreter, at every `sync`": (
        "sigkill.run",
        "crash_points.run",
    ),
    'with `sync="always"` it survives a power cut, where the drive is honest': ("power.run",),
    'with `sync="interval"` a power cut costs what came since the last sync began, one a second; with'
    ' "none" what the kernel had not written': ("power.run",),
    "a new record is never glued to a torn one": (
        "damaged.torn_tail",
        "crash_points.run",
        "bits.cut",
    ),
    "reading and scanning change no byte and create no file": ("model.run",),
    "an interrupted rotation, compaction, recovery or undo leaves each record there once": (
        "crash_points.run",
        "power.run",
        "nth_call.run",
        "interrupted.storm",
    ),
    "processes may append, rotate, compact, recover, scan and read at once, and no process waits while"
    " a compaction copies": (
        "side_by_side.run",
        "beside_compaction.run",
        "interrupted.fork",
        "interrupted.stopped",
    ),
    "an interrupt (Ctrl-C), or a second one while the first is dealt with, anywhere in any operation: no record"
    " is lost or doubled, damage is in the store or the quarantine, counters and resets are exact, and no lock or"
    " descriptor is kept": ("interrupt_points.run",),
    "an append that raised left nothing half-written; the next one works as soon as it can": (
        "full_disk.disk",
        "full_disk.limit",
        "nth_call.run",
        "surroundings.read_only",
    ),
    "acknowledged <= `records_written` <= stored <= `records_written` + what was in flight": (
        "sigkill.run",
        "nth_call.run",
        "model.run",
        "full_disk.disk",
    ),
    "a damaged byte is never served as data, and costs at most the lines that it touches": (
        "bits.flip",
        "bits.cut",
        "bits.cut_legacy",
        "damaged.invalid_utf8",
        "fragments.served",
    ),
    "Redis: a lost connection or reply stores nothing twice, loses nothing acknowledged, and a batch whose"
    " outcome was not known is stored once when it is sent again": (
        "redis_connections.cut",
        "redis_connections.unknown",
        "redis_servers.stopped",
    ),
    "Redis: what a server refuses is not stored, and the store goes on by itself when the server is back": (
        "redis_servers.killed",
        "redis_servers.full",
        "redis_servers.replica",
    ),
    "Redis: processes may append, compact, recover, scan and read at once": (
        "redis_side_by_side.run",
    ),
    "Redis: an interrupt (Ctrl-C), or a second one while the first is dealt with, anywhere in any operation: no"
    " record is lost or doubled, counters and resets are exact, and no connection or import is kept": (
        "redis_interrupts.run",
    ),
}
_INTRODUCTION: Final = """\
# {title}

This page says what was done to papyra's {stores} so that a record might be lost, and what came of it.
`make faults` wrote it. That command tries everything again, and the line below says how long that took. The tests
(`make test-all`) try a shorter form of each. `PAPYRA_SEED={seed} make faults` makes the same random choices
again. Two things do not depend on that seed: hypothesis seeds the stateful model itself, and processes race each other.

{when}, commit {commit}, Python {python}, {machine}, {processors} processors, {kernel}. It took
{minutes} minutes.

An outcome is five numbers. **Lost** are records that an append acknowledged and a read did not
return; **duplicated** are those that it returned more than once. **Glued** is damage that was
served as data, or a record that a torn line swallowed. **Miscounted** are whole snapshots of the
ten counters that do not say exactly what happened. **Broken** is everything else that is not as
promised: records out of order, findings where nothing is wrong, errors of an undocumented kind.
"""
_FILE_LIMITS: Final = """\
## What is not promised

- Network file systems: appending and flock are not atomic between hosts.
- Drives that say that data is on the disk when it is not. The power cuts above are computed from
  recorded system calls, by the rules of POSIX; no plug was pulled.
- Programs that write without taking the lock, such as `echo >>` or Papyra 0.3.0, at the same time as papyra.
- A batch of `append_many` that a crash interrupts: a prefix of it may be there, and none of it was
  acknowledged.
- An interrupt (Ctrl-C) at the first or last instructions of a read, recovery or compaction: it may count
  as neither an error nor a success. A reset that `kill -9` ends after its last step has told its interval to no process.
- Records that a failed fsync leaves: they may or may not be there, and were not acknowledged.
- With `max_files` the oldest files are dropped, as asked; a record is then only promised to be
  there while its file is.
- A file that is not taken for a store, also where damage made it look so: appends are refused. Its first 64 KiB behind
  blanks and NUL bytes hold no record and do not begin like one. Neither papyra's lock nor a rotated segment is beside it.
- Systems other than Linux: nothing above was tried there. papyra is written for macOS, too, and for Windows, where there
  is no flock: one process at a time.
"""
_REDIS_LIMITS: Final = """\
## What is not promised

- Records that the server itself loses. With `appendfsync everysec` they are those of the last second or two at a power
  cut, and those that a promoted replica lacks. No power was cut. Killing the server loses nothing that it has in its
  append-only file.
- An eviction policy that drops the stream's key, and a client that deletes it.
- Counts that a killed process had not told the server. `records_written` is exact all the same.
"""


class _Page(NamedTuple):
    """What is told of the stores of one kind."""

    title: str
    stores: str
    limits: str


_PAGES: Final = {
    "files": _Page("Reliability", "stores of files", _FILE_LIMITS),
    "redis": _Page("Reliability of the Redis store", "Redis store", _REDIS_LIMITS),
}


def main(kind: str, page: str, original: str = "") -> int:
    """Try everything that there is for this *kind* of store; return 0 if nothing went wrong."""
    about = _PAGES[kind]
    logging.getLogger("papyra").disabled = True
    seed = os.environ.get("PAPYRA_SEED") or os.urandom(4).hex()
    began = time.monotonic()
    outcomes: dict[str, Outcome] = {}
    missing: dict[str, str] = {}
    for name, fault in discovered().items():
        if name.startswith("redis_") != (kind == "redis"):
            continue
        random.seed(f"{seed} {name}")
        try:
            outcomes[name] = fault(long=True)
            print(f"{time.monotonic() - began:5.0f} s  {outcomes[name]}", flush=True)
        except UnavailableError as reason:
            missing[name] = str(reason)
    theirs = {name: _of_original(original, its) for name, its in _SAME.items()} if original else {}
    minutes = round((time.monotonic() - began) / 60)
    introduction = _INTRODUCTION.format(
        title=about.title,
        stores=about.stores,
        seed=seed,
        commit=_commit(),
        when=time.strftime("%Y-%m-%d"),
        python=platform.python_version(),
        machine=platform.machine(),
        processors=os.cpu_count(),
        kernel=f"{platform.system()} {platform.release()}",
        minutes=minutes,
    )
    parts = [
        introduction,
        _promises(outcomes),
        _faults(outcomes, missing),
    ]
    if kind == "files":
        parts.append(_original(theirs, outcomes))
    Path(page).write_text("\n".join([*parts, about.limits]))
    return int(not all(outcome.flawless for outcome in outcomes.values()))


def _commit() -> str:
    """Return what is tried: the commit, and whether it was changed since."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=Path(__file__).parent
    )
    return done.stdout.strip() or "unknown"


def _of_original(python: str, name: str) -> dict[str, Any]:
    """Return what Papyra 0.3.0 does under a fault."""
    script = Path(__file__).with_name("original.py")
    # -P: the names of the modules beside the script are those of others in the library.
    done = subprocess.run([python, "-P", script, name], check=False, capture_output=True, text=True)
    reported: dict[str, Any] = json.loads(done.stdout or '{"tried": "it could not be tried here"}')
    print(f"0.3.0, {name}: {reported}", flush=True)
    return reported


def _promises(outcomes: dict[str, Outcome]) -> str:
    rows = []
    for number, (promise, names) in enumerate(_PROMISES.items(), 1):
        if tried := [outcomes[name] for name in names if name in outcomes]:
            figures = "; ".join(outcome.tried for outcome in tried)
            wrong = f"{sum(sum(outcome[2:]) for outcome in tried):,}"
            rows.append((f"P{number}", promise, figures, wrong))
    return "## What is promised\n\n" + _table(("", "promise", "tried", "violations"), rows)


def _faults(outcomes: dict[str, Outcome], missing: dict[str, str]) -> str:
    rows = [
        (outcome.fault, outcome.tried, *(f"{n:,}" for n in outcome[2:]))
        for outcome in outcomes.values()
    ]
    rows += [(name, f"not tried here: {why}", *"-" * len(_WRONGS)) for name, why in missing.items()]
    return "## What was tried\n\n" + _table(("fault", "tried", *_WRONGS), rows)


def _original(theirs: dict[str, dict[str, Any]], outcomes: dict[str, Outcome]) -> str:
    if not theirs:
        return "## Beside Papyra 0.3.0\n\nIt was not there to be tried.\n"
    rows = [
        (
            outcomes[name].fault,
            f"{outcomes[name].tried}: {sum(outcomes[name][2:])}",
            reported["tried"],
            *(f"{reported[wrong]:,}" if wrong in reported else "-" for wrong in _WRONGS),
        )
        for name, reported in theirs.items()
        if name in outcomes
    ]
    heading = ("fault", "papyra, and all that went wrong", "0.3.0", *_WRONGS)
    return (
        "## Beside Papyra 0.3.0\n\nThe older project of that name, as it is on PyPI, in an"
        " environment of its own; most often its store of one file. Each side tells how much was"
        " tried, which is not the same; only the kinds of harm compare. A dash: it has nothing that"
        ' could be compared. "Broken" here are operations that raised, or left damage.\n\n'
        + _table(heading, rows)
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
