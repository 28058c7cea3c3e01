"""`papyra compact` looks before it drops most of a store."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from children import program
from cli.shell import STORE, STRANGE, Shell, everything, intact
from stores import counts

from papyra import Record, RotatingBackend, open_store

DAY = 86400.0
KEEP_ONE = f"json:{STORE}?max_records=1"


def fill(shell: Shell, *ages: float) -> None:
    """Store an event of each of the *ages*, in days, and an audit with the first."""
    with open_store(f"json:{shell.path}") as store:
        store.append(Record("audit", timestamp=time.time() - DAY * ages[0]))
        store.append_many(Record("event", timestamp=time.time() - DAY * age) for age in ages)


def records(shell: Shell) -> int:
    with open_store(f"json:{shell.path}") as store:
        return store.scan().records


def counted(shell: Shell) -> dict[str, int]:
    """Return what the shell shows of the counters, without the appends of `fill`."""
    shown = shell.papyra("metrics", "persistence", "--json").counters
    return {**shown, "records_written": 0}


@pytest.mark.parametrize("option", ["--dry-run", "--yes"])
def test_a_compaction_tells_how_much_goes_by_kind_and_time(shell: Shell, option: str) -> None:
    shell.path.write_bytes(intact(3))
    size = len(intact(1))

    done = shell.papyra("compact", STORE, "--max-records", "1", option)

    said = {
        "--dry-run": (
            f"{shell.path}: a compaction would drop 2 of 3 records ({2 * size} bytes; 2 event; of 1);"
            f" {3 * size} bytes before, {size} after; nothing was changed\n"
        ),
        "--yes": (
            f"{shell.path}: 1 record kept, 2 dropped ({2 * size} bytes; 2 event; of 1);"
            f" {3 * size} bytes before, {size} after\n"
        ),
    }
    assert done == (0, said[option], "")
    if option == "--dry-run":
        assert everything(shell.directory) == {STORE: intact(3)}
    else:
        assert shell.path.read_bytes() == intact(3)[2 * size :]


def test_a_dry_run_with_json_is_the_report(shell: Shell) -> None:
    shell.path.write_bytes(intact(3) + STRANGE)
    (strange,) = shell.findings()
    size = len(intact(1))

    done = shell.papyra("compact", STORE, "--max-records", "1", "--dry-run", "--json")

    assert (done.code, done.document) == (
        3,
        {
            "kept": 1,
            "dropped": 2,
            "bytes_before": 3 * size + len(STRANGE),
            "bytes_after": size,
            "anomalies": [strange._asdict()],
            "found": 1,
            "quarantine": None,
            "remaining": [strange._asdict()],
            "files_dropped": [],
            "dry_run": True,
            "dropped_bytes": 2 * size,
            "dropped_by_kind": {"event": 2},
            "dropped_oldest": 1.0,
            "dropped_newest": 1.0,
        },
    )
    assert everything(shell.directory) == {STORE: intact(3) + STRANGE}


def test_times_are_shown_as_the_clock_on_the_wall_has_them_and_the_commonest_kinds_first(
    shell: Shell,
) -> None:
    with open_store(f"json:{shell.path}") as store:
        store.append(Record("event", timestamp=1_700_000_000.0))
        for n in range(7):
            store.append_many(Record(f"k{n}", timestamp=1_700_000_000.0 + n) for _ in range(n + 1))

    done = shell.papyra("compact", STORE, "--max-records", "0", "--dry-run")

    assert (
        "; 7 k6, 6 k5, 5 k4, 4 k3, 3 k2 and 3 more kinds;"
        " 2023-11-15T03:43:20+05:30 to 2023-11-15T03:43:26+05:30)"
    ) in done.out


def test_files_that_would_go_whole_are_named(shell: Shell) -> None:
    with RotatingBackend(shell.path, max_bytes=100) as store:
        for n in range(4):
            store.append(Record("event", timestamp=1.0, data={"n": n}))

    done = shell.papyra("compact", f"rotating:{STORE}?max_files=2", "--dry-run")

    first, second = (f"{shell.path}.{n:012}" for n in (1, 2))
    *files, summary = done.out.splitlines()
    assert files == [f"would be dropped: {first}", f"would be dropped: {second}"]
    assert summary.startswith(
        f"{shell.path}: 2 files to be dropped beyond max_files; a compaction would drop 2 of 4 records"
    )
    assert done.code == 0
    assert Path(first).exists()


@pytest.mark.parametrize("keep", ["--max-age=7d", "--max-age=604800"])
def test_the_retention_is_an_option_too(shell: Shell, keep: str) -> None:
    fill(shell, 8, 6, 5, 1)

    assert shell.papyra("compact", STORE, keep).code == 0
    assert records(shell) == 3
    assert counted(shell) == counts(compactions_triggered=1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--max-age", "7 days"], "--max-age must be seconds from 0 on, or a number and one of "),
        (["--max-records", "1k"], "--max-records must be a whole number from 0 on, got '1k'."),
        (["--max-age", "7dd"], "(as 90, 1.5h, 7d; lower case), got '7dd'. 'papyra compact --help'"),
        (["--max-age", "soon"], "lower case), got 'soon'. "),
        (["--max-age", "1d 12h"], "lower case), got '1d 12h'. "),
        (["--max-age", ""], "lower case), got ''. "),
        (["--max-total-bytes", "-1"], "2GiB), got '-1'. "),
        (["--max-records", "9" * 99], f"whole number from 0 on, got '{'9' * 79}. "),
        (["--max-age", "me:word"], "lower case). 'papyra compact --help'"),
        (["--max-total-bytes", "2G"], "--max-total-bytes must be a whole number of bytes, or "),
        (["--max-age", "7d", f"{STORE}?max_records=3"], "give it once"),
    ],
    ids=str,
)
def test_a_retention_that_makes_no_sense_changes_nothing(
    shell: Shell, arguments: list[str], reason: str
) -> None:
    shell.path.write_bytes(intact(3))
    store = [] if arguments[-1].startswith(STORE) else [STORE]

    done = shell.papyra("compact", *arguments, *store)

    assert done[:2] == (2, "")
    assert reason in done.err
    assert everything(shell.directory) == {STORE: intact(3)}


@pytest.mark.parametrize("damaged", [False, True])
def test_where_nobody_can_be_asked_most_of_a_store_is_not_dropped_without_yes(
    shell: Shell, *, damaged: bool
) -> None:
    content = intact(3) + STRANGE * damaged
    shell.path.write_bytes(content)
    size = len(intact(1))
    going = (
        f"{shell.path}: a compaction would drop 2 of 3 records ({2 * size} bytes; 2 event; of 1)"
    )
    cause = (
        f"{going}, which is more than half; nothing was changed; add --yes to drop them,"
        " or look with --dry-run"
    )

    assert shell.papyra("compact", "--store", KEEP_ONE) == (2, "", f"papyra: {cause}\n")
    assert shell.papyra("compact", "--store", KEEP_ONE, "--json").error == {
        "type": "ConfirmationError",
        "message": cause,
        "exit": 2,
        "source": str(shell.path),
        "records": 3,
        "dropped": 2,
        "dropped_bytes": 2 * size,
    }
    assert everything(shell.directory) == {STORE: content}
    assert shell.papyra("metrics", "persistence").code == 4


def test_half_of_a_store_is_dropped_without_asking(shell: Shell) -> None:
    shell.path.write_bytes(intact(4))

    assert shell.papyra("compact", STORE, "--max-records", "2").code == 0
    assert records(shell) == 2


@pytest.mark.parametrize("url", [f"json:{STORE}", f"rotating:{STORE}?max_files=3"])
def test_where_no_record_can_go_the_store_is_looked_at_once(shell: Shell, url: str) -> None:
    shell.path.write_bytes(intact(3) + STRANGE)

    assert shell.papyra("compact", "--store", url).code == 0
    assert counted(shell) == counts(compactions_triggered=1, anomaly_detected=1)


@pytest.mark.parametrize("scheme", ["json", "rotating"])
def test_the_look_before_a_compaction_counts_nothing_of_its_own(shell: Shell, scheme: str) -> None:
    shell.path.write_bytes(intact(3) + STRANGE)

    assert shell.papyra("compact", f"{scheme}:{STORE}", "--max-records", "2").code == 0
    assert counted(shell) == counts(compactions_triggered=1, anomaly_detected=1)


def test_a_compaction_that_is_agreed_to_counts_each_damage_once(shell: Shell) -> None:
    shell.path.write_bytes(intact(3) + STRANGE)
    with at_terminal(shell) as terminal:
        terminal.read_until(QUESTION)
        assert terminal.answer(b"y\n")[0] == 0

    assert counted(shell) == counts(compactions_triggered=1, anomaly_detected=1)


def test_with_yes_the_store_is_looked_at_once(shell: Shell) -> None:
    shell.path.write_bytes(intact(3) + STRANGE)

    assert shell.papyra("compact", STORE, "--max-records", "0", "--yes").code == 0
    assert counted(shell) == counts(compactions_triggered=1, anomaly_detected=1)
    assert records(shell) == 0


@contextmanager
def at_terminal(shell: Shell, *arguments: str) -> Iterator["Terminal"]:
    """Run `papyra compact` of one record to keep, with a terminal for stdin and stderr."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        program("shell_with_ctrl_c", "compact", "--store", KEEP_ONE, *arguments),
        cwd=shell.directory,
        env=shell.environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)  # so that its end is the end of what is shown
    try:
        yield Terminal(ours, process)
    finally:
        with process:
            process.kill()
        os.close(ours)


class Terminal(NamedTuple):
    """Our end of the terminal of a *process*."""

    descriptor: int
    process: "subprocess.Popen[str]"

    def read_until(self, end: bytes) -> bytes:
        """Return what is shown until *end*, or until the process ends."""
        shown = b""
        while not shown.endswith(end) or not end:
            try:
                shown += os.read(self.descriptor, 1000)
            except OSError:  # Linux says so once the other end is closed
                break
        return shown

    def answer(self, typed: bytes) -> tuple[int, str, bytes]:
        """Type an answer, and return the exit code, stdout and what is shown until the end."""
        os.write(self.descriptor, typed)
        shown = self.read_until(b"")
        out, _ = self.process.communicate()
        return self.process.returncode, out, shown


QUESTION = b"Drop them? [y/N] "


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [(b"y\n", 0, 1), (b"YES\n", 0, 1), (b"\n", 2, 3), (b"no\n", 2, 3), (b"\x04", 2, 3)],
    ids=["y", "YES", "Enter", "no", "Ctrl-D"],
)
def test_on_a_terminal_it_asks_and_does_what_it_is_told(
    shell: Shell, typed: bytes, code: int, left: int
) -> None:
    shell.path.write_bytes(intact(3))
    with at_terminal(shell) as terminal:
        asked = terminal.read_until(QUESTION)
        assert b"a compaction would drop 2 of 3 records" in asked
        assert asked.endswith(QUESTION)
        assert everything(shell.directory) == {STORE: intact(3)}
        done, out, shown = terminal.answer(typed)

    assert (done, records(shell)) == (code, left)
    if code:
        assert out == ""
        assert b"the answer was not yes, so nothing was changed" in shown
        assert everything(shell.directory) == {STORE: intact(3)}
    else:
        assert out.startswith(f"{shell.path}: 1 record kept, 2 dropped")


def test_ctrl_c_at_the_question_changes_nothing_and_is_code_130(shell: Shell) -> None:
    shell.path.write_bytes(intact(3))
    with at_terminal(shell) as terminal:
        terminal.read_until(QUESTION)
        terminal.process.send_signal(signal.SIGINT)
        done, out, shown = terminal.answer(b"")

    assert (done, out) == (130, "")
    assert shown.endswith(b"papyra: interrupted\r\n")
    assert everything(shell.directory) == {STORE: intact(3)}


def test_what_is_appended_before_the_answer_is_kept_by_the_same_retention(shell: Shell) -> None:
    """The look is a guard against a mistyped retention; the compaction goes by the retention alone."""
    shell.path.write_bytes(intact(3))
    with at_terminal(shell) as terminal:
        terminal.read_until(QUESTION)
        with open_store(f"json:{shell.path}") as store:
            newest = store.append(Record("event", data={"n": 9}))
        _, out, _ = terminal.answer(b"y\n")

    assert out.startswith(f"{shell.path}: 1 record kept, 3 dropped")
    with open_store(f"json:{shell.path}") as store:
        assert [record.id for record in store.read()] == [newest]


def test_with_json_nobody_is_asked(shell: Shell) -> None:
    shell.path.write_bytes(intact(3))
    with at_terminal(shell, "--json") as terminal:
        done, out, shown = terminal.answer(b"n\n")  # to whatever might be asked

    assert (done, out) == (2, "")
    (document,) = (line for line in shown.splitlines() if line != b"n")  # which is the echo
    assert json.loads(document)["error"]["type"] == "ConfirmationError"
    assert everything(shell.directory) == {STORE: intact(3)}
