"""`papyra recover` and `papyra compact`."""

import os
from pathlib import Path

import pytest
from cli.shell import PICTURE, STORE, STRANGE, TORN, Shell, everything, intact
from stores import counts

from papyra import Anomaly, Record, RotatingBackend


def quarantined(shell: Shell) -> Path:
    (directory,) = (shell.directory / f"{STORE}.quarantine").iterdir()
    return directory


def files_of(shell: Shell) -> list[Path]:
    """Return the active file and the rotated ones."""
    return [shell.path, *shell.directory.glob(f"{STORE}.[0-9]*")]


def step(anomaly: Anomaly) -> dict[str, object]:
    """Return the step of a plan that moves *anomaly* to the quarantine."""
    return {
        "file": anomaly.source,
        "start": anomaly.offset,
        "stop": anomaly.stop,
        "type": anomaly.type,
        "action": "quarantine",
    }


def test_a_dry_run_says_what_a_recovery_would_remove_and_changes_nothing(shell: Shell) -> None:
    shell.path.write_bytes(intact(2) + TORN + STRANGE)
    torn, strange = shell.findings()

    assert shell.papyra("recover", "--dry-run") == (
        3,
        (
            f"quarantine: {torn}\nquarantine: {strange}\n"
            f"{shell.path}: 2 anomalies; a recovery would move {len(TORN + STRANGE)} bytes"
            " to the quarantine; nothing was changed\n"
        ),
        "",
    )
    shown = shell.papyra("recover", "--dry-run", "--json")
    listed = [torn._asdict(), strange._asdict()]
    assert (shown.code, shown.document) == (
        3,
        {
            "dry_run": True,
            "anomalies": listed,
            "found": 2,
            "removed": len(TORN + STRANGE),
            "quarantine": None,
            "remaining": listed,
            "restored": 0,
            "plan": [step(torn), step(strange)],
        },
    )
    assert everything(shell.directory) == {STORE: intact(2) + TORN + STRANGE}


def test_a_recovery_tells_where_it_saved_what_it_removed_and_the_next_scan_is_clean(
    shell: Shell,
) -> None:
    shell.path.write_bytes(intact(2) + TORN + STRANGE)
    torn, strange = shell.findings()

    done = shell.papyra("recover")

    saved = quarantined(shell)
    assert done == (
        0,
        (
            f"{torn}\n{strange}\n"
            f"{shell.path}: 2 anomalies; {len(TORN + STRANGE)} bytes saved in quarantine {saved.name};"
            " the store is clean now\n"
        ),
        "",
    )
    assert (saved / "removed").read_bytes() == TORN + STRANGE
    assert shell.path.read_bytes() == intact(2)
    assert shell.papyra("scan").code == 0
    assert shell.papyra("recover") == (
        0,
        f"{shell.path}: no anomalies; there is nothing to recover\n",
        "",
    )


def test_with_json_a_recovery_is_one_object(shell: Shell) -> None:
    shell.path.write_bytes(intact(2) + STRANGE)
    (strange,) = shell.findings()

    done = shell.papyra("recover", "--json")

    assert (done.code, done.document) == (
        0,
        {
            "dry_run": False,
            "anomalies": [strange._asdict()],
            "found": 1,
            "removed": len(STRANGE),
            "quarantine": quarantined(shell).name,
            "remaining": [],
            "restored": 0,
            "plan": [step(strange)],
        },
    )


def test_a_dry_run_says_what_is_done_about_each_kind_of_damage(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    for name in ("bak", "tmp.0123abcd"):
        (shell.directory / f"{STORE}.{name}").write_bytes(b"mine")

    plan = shell.papyra("recover", "--dry-run", "--json").document["plan"]

    assert [(Path(entry["file"]).name, entry["start"], entry["action"]) for entry in plan] == [
        (f"{STORE}.bak", 0, "leave"),
        (f"{STORE}.tmp.0123abcd", 0, "delete"),
        (STORE, len(intact(1)), "quarantine"),
    ]


def test_a_recovery_is_undone_and_listed_until_then(shell: Shell) -> None:
    damaged = intact(1) + STRANGE + intact(2)[len(intact(1)) :]
    shell.path.write_bytes(damaged)
    assert shell.papyra("recover", "--list") == (0, f"{shell.path}: nothing is in quarantine\n", "")
    assert shell.papyra("recover").code == 0
    saved = quarantined(shell).name

    assert shell.papyra("recover", "--list") == (
        0,
        (
            f"{saved}  6 bytes out of {STORE}; can be undone\n"
            f"{shell.path}: 'papyra recover --undo ID' puts back what can be undone\n"
        ),
        "",
    )
    (entry,) = shell.papyra("recover", "--list", "--json").document["quarantined"]
    assert (entry["id"], entry["files"], entry["bytes"], entry["obstacle"]) == (
        saved,
        [STORE],
        6,
        "",
    )
    assert shell.papyra("recover", "--undo", saved, "--dry-run") == (
        0,
        f"{shell.path}: would put back 6 bytes from quarantine {saved}\n",
        "",
    )
    assert shell.path.read_bytes() == intact(2)
    assert shell.papyra("recover", "--undo", saved) == (
        0,
        f"{shell.path}: put back 6 bytes from quarantine {saved}\n",
        "",
    )
    assert shell.path.read_bytes() == damaged
    again = shell.papyra("recover", "--undo", saved, "--json")
    assert (again.code, again.error["type"]) == (1, "UndoError")


def test_what_was_saved_is_listed_when_the_store_is_gone(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    shell.papyra("recover")
    shell.path.unlink()

    listed = shell.papyra("recover", "--list")

    assert (listed.code, listed.err) == (0, "")
    assert listed.out.startswith(f"{quarantined(shell).name}  6 bytes out of {STORE}; ")
    nowhere = shell.papyra("recover", "--list", "--store", "json:misspelt")
    assert nowhere[:2] == (6, "")
    assert "no such store" in nowhere.err


@pytest.mark.parametrize("command", [("recover",), ("recover", "--list"), ("compact",)])
def test_a_file_in_the_place_of_the_quarantine_is_to_be_moved_away(
    shell: Shell, command: tuple[str, ...]
) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    (shell.directory / f"{STORE}.quarantine").touch()

    done = shell.papyra(*command)

    assert done[:2] == (1, "")
    assert done.err.startswith(f"papyra: {shell.path}.quarantine: ")
    assert done.err.rstrip().endswith(("move that away", "move the file away"))
    assert shell.path.read_bytes() == intact(1) + STRANGE


def test_a_list_goes_with_nothing_else(shell: Shell) -> None:
    for more in (("--dry-run",), ("--undo", "x")):
        done = shell.papyra("recover", "--list", *more)
        assert (done.code, done.out) == (2, "")
        assert "--list goes with neither --dry-run nor --undo" in done.err


def test_what_a_recovery_must_leave_is_shown_once_and_is_code_3(shell: Shell) -> None:
    shell.path.write_bytes(intact(1))
    (shell.directory / f"{STORE}.bak").write_bytes(b"mine")
    (stray,) = shell.findings()

    assert shell.papyra("recover") == (
        3,
        (
            f"remains: {stray}\n"
            f"{shell.path}: 1 anomaly; nothing had to be saved; 1 anomaly left in it\n"
        ),
        "",
    )
    done = shell.papyra("recover", "--json")
    assert (done.code, done.document["remaining"]) == (3, [stray._asdict()])


def test_a_recovery_does_not_disturb_a_program_and_both_are_counted(shell: Shell) -> None:
    with shell.program() as program:
        program.ask("append 2")
        with shell.path.open("ab") as file:
            file.write(STRANGE)

        assert shell.papyra("recover").code == 0

        program.ask("append 1")
        assert program.ask("read") == 3
        assert program.ask("snapshot") == counts(records_written=3, records_read=3)
        assert shell.papyra("metrics", "persistence", "--json").counters == counts(
            records_written=3,
            records_read=3,
            scan_operations=1,
            anomaly_detected=1,
            recovery_attempts=1,
        )


@pytest.mark.parametrize("command", ["recover", "compact"])
def test_a_picture_is_refused_and_stays_as_it_is(shell: Shell, command: str) -> None:
    shell.path.write_bytes(PICTURE)
    cause = (
        f"{shell.path}: not a papyra store (no line of its first 64 KiB is a record);"
        " nothing was changed; name another path, or move the file away;"
        " without STORE, --store and PAPYRA_STORE the store is the default json:papyra.ndjson"
    )

    assert shell.papyra(command) == (1, "", f"papyra: {cause}\n")
    assert shell.papyra(command, "--json").error == {
        "type": "NotAStoreError",
        "message": cause,
        "exit": 1,
        "source": str(shell.path),
    }
    assert everything(shell.directory) == {STORE: PICTURE}


@pytest.mark.parametrize("command", ["recover", "compact"])
def test_a_store_that_somebody_else_repairs_is_code_5(shell: Shell, command: str) -> None:
    fcntl = pytest.importorskip("fcntl")
    shell.path.write_bytes(intact(1) + STRANGE)
    held = f"{shell.path}.maint.lock"
    with open(held, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shell.papyra(command, "--store", f"json:{STORE}?lock_timeout=0.2")
        error = shell.papyra(command, "--json", "--store", f"json:{STORE}?lock_timeout=0.2").error

    assert done[:2] == (5, "")
    assert done.err.startswith(f"papyra: {held}: held by ")
    assert done.err.endswith("try again, or allow more time with lock_timeout\n")
    assert done.err.count("\n") == 1
    assert list(error) == ["type", "message", "exit", "source"]
    assert (error["type"], error["exit"], error["source"]) == ("StoreLockedError", 5, held)
    assert shell.path.read_bytes() == intact(1) + STRANGE


def test_a_compaction_without_a_retention_drops_no_record(shell: Shell) -> None:
    shell.path.write_bytes(intact(3))
    size = len(intact(3))

    assert shell.papyra("compact") == (
        0,
        f"{shell.path}: 3 records kept, 0 dropped; {size} bytes before, {size} after\n",
        "",
    )
    assert shell.path.read_bytes() == intact(3)


def test_a_compaction_drops_what_the_retention_in_the_url_does_not_keep(shell: Shell) -> None:
    shell.path.write_bytes(intact(3))
    size, kept = len(intact(3)), intact(3).splitlines(keepends=True)[2]

    done = shell.papyra("compact", "--json", "--yes", "--store", f"json:{STORE}?max_records=1")

    assert (done.code, done.document) == (
        0,
        {
            "kept": 1,
            "dropped": 2,
            "bytes_before": size,
            "bytes_after": len(kept),
            "anomalies": [],
            "found": 0,
            "quarantine": None,
            "remaining": [],
            "files_dropped": [],
            "dry_run": False,
            "dropped_bytes": size - len(kept),
            "dropped_by_kind": {"event": 2},
            "dropped_oldest": 1.0,
            "dropped_newest": 1.0,
        },
    )
    assert shell.path.read_bytes() == kept
    assert shell.papyra("metrics", "persistence", "--json").counters == counts(
        compactions_triggered=1
    )


def test_a_compaction_tells_the_damage_that_it_moved_away(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    (strange,) = shell.findings()
    size = len(intact(1))

    assert shell.papyra("compact") == (
        0,
        (
            f"{strange}\n"
            f"{shell.path}: 1 record kept, 0 dropped; {size + len(STRANGE)} bytes before, {size} after;"
            f" 1 anomaly; the damage is saved in quarantine {quarantined(shell).name}\n"
        ),
        "",
    )
    assert shell.papyra("scan").code == 0


def test_a_recovery_of_a_store_whose_directory_is_closed_fails_and_says_that_nobody_sees_it_counted(
    shell: Shell, unprivileged: list[str]
) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    shell.directory.chmod(0o555)
    try:
        done = shell.papyra("recover", prefix=unprivileged)
        as_json = shell.papyra("recover", "--json", prefix=unprivileged)
    finally:
        shell.directory.chmod(0o755)

    assert done[:2] == (1, "")
    warning, error = done.err.splitlines()
    assert warning.startswith(
        f"papyra: warning: {shell.path}: other processes do not see its counters: "
    )
    # The command is over by then: it does not say that it tries again.
    assert "every" not in warning
    assert warning.endswith("the counts of a program without one end with the program")
    assert error.startswith(f"papyra: {shell.path}")
    assert as_json.error["type"] == "StoreIOError"  # the one document on stderr
    assert os.listdir(shell.directory) == [STORE]


@pytest.mark.parametrize("command", ["scan", "recover", "compact"])
def test_a_store_that_this_user_may_not_read_is_one_line(
    shell: Shell, unprivileged: list[str], command: str
) -> None:
    shell.path.write_bytes(intact(1))
    shell.path.chmod(0)

    done = shell.papyra(command, prefix=unprivileged)

    assert done[:2] == (1, "")
    assert done.err.startswith(f"papyra: {shell.path}: ")
    assert done.err.endswith(
        ": Permission denied; let this user read and write the store and its directory\n"
    )
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["persistence", "reset"])
def test_counters_that_this_user_may_not_read_are_one_line(
    shell: Shell, unprivileged: list[str], command: str
) -> None:
    with shell.program() as program:
        program.ask("append 1")
        os.chmod(f"{shell.path}.metrics", 0)
        done = shell.papyra("metrics", command, prefix=unprivileged)
        error = shell.papyra("metrics", command, "--json", prefix=unprivileged).error
        os.chmod(f"{shell.path}.metrics", 0o700)

    assert done[:2] == (1, "")
    assert done.err.startswith(f"papyra: {shell.path}.metrics")
    assert "Permission denied" in done.err
    assert done.err.count("\n") == 1
    assert error["source"].startswith(f"{shell.path}.metrics")


def test_what_cannot_be_put_back_is_not_advised(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    shell.papyra("recover")
    shell.path.write_bytes(intact(2)[len(intact(1)) :])

    assert shell.papyra("recover", "--list").out.endswith("none of it can be put back\n")


def test_files_that_a_compaction_dropped_are_told_apart_from_records(shell: Shell) -> None:
    with RotatingBackend(shell.path, max_bytes=100) as store:
        for n in range(4):
            store.append(Record("event", timestamp=1.0, data={"n": n}))

    before = sum(file.stat().st_size for file in files_of(shell))

    done = shell.papyra("compact", "--store", f"rotating:{shell.path}?max_files=2")

    after = sum(file.stat().st_size for file in files_of(shell))
    assert done.code == 0
    assert done.out.splitlines()[-1] == (
        f"{shell.path}: 2 files dropped beyond max_files; 2 records kept, 2 dropped"
        f" ({before - after} bytes; 2 event; of 1); {before} bytes before, {after} after"
    )
