"""`papyra metrics persistence` and `papyra metrics reset`."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cli.shell import STORE, Shell, everything, intact
from stores import counts, event

from papyra import COUNTERS, open_counters, open_store
from papyra.cli import main
from papyra.metrics.multiprocess import PublishedCounters
from papyra.metrics.totals import CounterTotals

NAMES = [counter.name for counter in COUNTERS]


def counter_totals(shell: Shell) -> CounterTotals:
    return open_counters(f"json:{shell.path}").read()


def test_the_counters_of_a_running_program_are_shown_and_it_is_told_whose_they_are(
    shell: Shell,
) -> None:
    with shell.program() as program:
        program.ask("append 12")
        program.ask("read")
        shown = shell.papyra("metrics", "persistence")
        east = timezone(timedelta(hours=5, minutes=30))
        since = datetime.fromtimestamp(counter_totals(shell).since, UTC).astimezone(east)

    assert shown == (
        0,
        f"""\
store   {shell.path}
live    1 store object, open now
exited  0 store objects, closed or gone with the process
since   {since.isoformat(timespec="seconds")}

COUNTER                COUNT  MEANING
records_written           12  Records whose write was acknowledged.
write_errors               0  Write calls that failed.
records_read              12  Records handed out by reads that succeeded.
read_errors                0  Read calls that failed.
scan_operations            0  Scans started.
anomaly_detected           0  Damages found, by any operation.
recovery_attempts          0  Recoveries started.
recovery_failures          0  Recoveries that failed or left damage.
compactions_triggered      0  Compactions started.
compaction_errors          0  Compactions that failed.
""",
        "",
    )


def test_json_is_one_flat_object_of_the_ten_counters_in_the_order_of_the_specification(
    shell: Shell,
) -> None:
    with shell.program() as program:
        program.ask("append 3")
        shown = shell.papyra("metrics", "persistence", "--json")

    assert shown.code == 0
    assert list(shown.counters) == NAMES
    assert shown.counters == counts(records_written=3)
    assert shown.out.count("\n") == 1


def test_a_reset_shows_the_interval_that_ended_and_does_not_disturb_the_program(
    shell: Shell,
) -> None:
    with shell.program() as program:
        program.ask("append 3")
        done = shell.papyra("metrics", "reset")
        after_reset = program.ask("snapshot")
        program.ask("append 2")
        shown = shell.papyra("metrics", "persistence", "--json")

        assert program.ask("snapshot") == counts(records_written=2)
        assert program.ask("totals") == counts(records_written=5)

    assert done == (
        0,
        f"""\
store   {shell.path}

COUNTER                COUNT  MEANING
records_written            3  Records whose write was acknowledged.
write_errors               0  Write calls that failed.
records_read               0  Records handed out by reads that succeeded.
read_errors                0  Read calls that failed.
scan_operations            0  Scans started.
anomaly_detected           0  Damages found, by any operation.
recovery_attempts          0  Recoveries started.
recovery_failures          0  Recoveries that failed or left damage.
compactions_triggered      0  Compactions started.
compaction_errors          0  Compactions that failed.

These are the counts of the interval that ended; from now on the counters count from zero.
""",
        "",
    )
    assert after_reset == counts()
    assert shown.counters == counts(records_written=2)


def test_a_reset_with_json_prints_ten_zeros_and_tells_stderr_the_interval_that_ended(
    shell: Shell,
) -> None:
    with shell.program() as program:
        program.ask("append 3")
        done = shell.papyra("metrics", "reset", "--json")

        assert done.code == 0
        assert list(json.loads(done.out)) == NAMES
        assert json.loads(done.out) == counts()
        assert (done.out.count("\n"), done.err.count("\n")) == (1, 1)
        reported = json.loads(done.err)
        assert reported == {"store": str(shell.path), "interval": counts(records_written=3)}
        assert list(reported["interval"]) == NAMES
        assert program.ask("totals") == counts(records_written=3)


def test_a_reset_moves_the_time_since_which_is_counted(shell: Shell) -> None:
    with shell.program() as program:
        program.ask("append 1")
        opened = counter_totals(shell).since
        shell.papyra("metrics", "reset")

        assert counter_totals(shell).since > opened


def test_the_counters_outlive_a_store_that_is_closed_and_go_on_when_it_is_opened_again(
    shell: Shell,
) -> None:
    with shell.program() as program:
        program.ask("append 3")
        program.close()
    closed = shell.papyra("metrics", "persistence", "--json")
    with shell.program() as program:
        program.ask("append 2")
        reopened = shell.papyra("metrics", "persistence", "--json")

        assert program.ask("snapshot") == counts(records_written=2)

    assert closed.counters == counts(records_written=3)
    assert reopened.counters == counts(records_written=5)


def test_the_counters_of_a_killed_program_are_there_and_can_be_reset(shell: Shell) -> None:
    with shell.program() as program:
        program.ask("append 3")
        program.kill()
    killed = shell.papyra("metrics", "persistence")
    reset = shell.papyra("metrics", "reset", "--json")
    interval = json.loads(reset.err)["interval"]
    again = shell.papyra("metrics", "persistence", "--json")

    assert killed.out.splitlines()[1:3] == [
        "live    0 store objects, open now",
        "exited  1 store object, closed or gone with the process",
    ]
    assert killed.out.splitlines()[6].split()[:2] == ["records_written", "3"]
    assert (reset.code, json.loads(reset.out)) == (0, counts())
    assert interval == counts(records_written=3)
    assert (again.code, again.counters) == (0, counts())


def test_programs_that_use_one_store_at_once_are_added_up(shell: Shell) -> None:
    with shell.program() as one, shell.program() as other, shell.program() as gone:
        one.ask("append 1")
        other.ask("append 2")
        gone.ask("append 4")
        gone.close()
        shown = shell.papyra("metrics", "persistence")
        document = shell.papyra("metrics", "persistence", "--json").counters

    assert shown.out.splitlines()[1:3] == [
        "live    2 store objects, open now",
        "exited  1 store object, closed or gone with the process",
    ]
    assert document == counts(records_written=7)


def test_showing_the_counters_changes_nothing(shell: Shell) -> None:
    with shell.program() as program:
        program.ask("append 1")
        program.kill()
    before = everything(shell.directory)

    assert shell.papyra("metrics", "persistence").code == 0
    assert everything(shell.directory) == before


@pytest.mark.parametrize("command", ["persistence", "reset"])
def test_where_nothing_was_published_nothing_is_shown_and_it_is_code_4(
    shell: Shell, command: str
) -> None:
    shell.path.write_bytes(intact(2))
    cause = (
        f"{shell.path}.metrics: no counters are published there; a program publishes its own"
        " with its first append, recover or compact"
    )

    assert shell.papyra("metrics", command) == (4, "", f"papyra: {cause}\n")
    assert shell.papyra("metrics", command, "--json").error == {
        "type": "NotPublishedError",
        "message": cause,
        "exit": 4,
    }
    assert everything(shell.directory) == {STORE: intact(2)}


@pytest.mark.parametrize("command", ["persistence", "reset"])
def test_counters_that_no_store_object_ever_filled_are_unknown_not_zero(
    shell: Shell, command: str
) -> None:
    shell.path.write_bytes(intact(2))
    # As a full disk leaves it: the directory was made, and then no page.
    (shell.directory / f"{STORE}.metrics").mkdir()
    (shell.directory / f"{STORE}.metrics" / "lock").touch()

    shown = shell.papyra("metrics", command, "--json")

    assert shown.code == 4
    assert shown.error["type"] == "NotPublishedError"


@pytest.mark.parametrize("command", ["persistence", "reset"])
def test_a_file_in_the_place_of_the_counters_is_named(shell: Shell, command: str) -> None:
    shell.path.write_bytes(intact(2))
    (shell.directory / f"{STORE}.metrics").touch()
    cause = (
        f"{shell.path}.metrics: it is not a directory, so programs cannot publish their counters;"
        " move it away: each program publishes them with its next append, some seconds later"
    )

    assert shell.papyra("metrics", command) == (4, "", f"papyra: {cause}\n")


@pytest.mark.parametrize("command", ["persistence", "reset"])
def test_the_counters_of_a_store_in_memory_are_not_published(shell: Shell, command: str) -> None:
    shown = shell.papyra("metrics", command, "--store", "memory:", "--json")

    assert shown.code == 4
    assert shown.error["type"] == "NotPublishedError"


def test_a_reset_that_cannot_get_the_lock_is_code_5(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl")
    with shell.program() as program:
        program.ask("append 1")
        with open(f"{shell.path}.metrics/lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code = main(
                ["metrics", "reset", "--json", "--store", f"json:{shell.path}?lock_timeout=0"]
            )

        assert code == 5
        error = json.loads(capsys.readouterr().err)["error"]
        assert error["type"] == "StoreLockedError"
        assert error["source"] == os.fspath(shell.path) + ".metrics/lock"
        assert program.ask("snapshot") == counts(records_written=1)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Ctrl-C cannot be held back")
@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_right_after_a_reset_does_not_hide_the_interval_that_it_ended(
    shell: Shell,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    as_json: bool,
) -> None:
    """In 9 of 575 tries of a user's it did."""
    real = PublishedCounters.reset

    def interrupted(self: PublishedCounters) -> dict[str, int]:
        interval = real(self)
        signal.raise_signal(signal.SIGINT)  # of this thread, as the only one of a command
        return interval

    monkeypatch.setattr(PublishedCounters, "reset", interrupted)
    with open_store(f"json:{shell.path}") as store:
        store.append(event(1))
        assert main(["metrics", "reset", f"json:{shell.path}", *["--json"] * as_json]) == 130
    out, err = capsys.readouterr()
    if as_json:
        assert json.loads(err.splitlines()[0])["interval"] == counts(records_written=1)
        assert json.loads(out) == counts()
    else:
        assert "records_written            1" in out
    assert "interrupted" in err
    assert counter_totals(shell).snapshot() == counts()


def test_the_note_of_a_reset_that_was_interrupted_is_shown(
    shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: PublishedCounters) -> dict[str, int]:
        interrupt = KeyboardInterrupt()
        interrupt.add_note("the reset was done")
        raise interrupt

    monkeypatch.setattr(PublishedCounters, "reset", interrupted)
    shell.path.write_bytes(intact(1))
    assert main(["metrics", "reset", f"json:{shell.path}"]) == 130
    assert capsys.readouterr().err.endswith("papyra: interrupted; the reset was done\n")
