"""Readers that go away, streams that are closed or full, and what they cannot show."""

import json
import os
import subprocess
import sys

import pytest
from cli.shell import STORE, STRANGE, Shell, everything, intact
from stores import counts

PAPYRA = [sys.executable, "-m", "papyra"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["scan"], 3), (["scan", "--json"], 3), (["--help"], 0)], ids=str
)
def test_a_reader_that_has_gone_changes_neither_the_code_nor_stderr(
    shell: Shell, arguments: list[str], code: int
) -> None:
    shell.path.write_bytes(STRANGE * 10_000)  # more than a pipe holds
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run(
            [*PAPYRA, *arguments],
            cwd=shell.directory,
            env=shell.environment,
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (done.returncode, done.stderr) == (code, b"")


EVERY_COMMAND = [
    ("scan",),
    ("scan", "--json"),
    ("recover", "--json"),
    ("recover", "--dry-run"),
    ("recover", "--list"),
    ("compact", "--max-records", "0", "--yes"),
    ("import", STORE, "json:copy"),
    ("metrics", "persistence"),
    ("metrics", "reset"),
    ("metrics", "reset", "--json"),
    ("metrics",),
    ("--help",),
    ("scan", "--help"),
    ("--version",),
    (),
]
CLOSED = (
    "papyra: <{}>: the stream is closed; nothing was done, because the outcome could not be shown; redirect"
    " it to /dev/null instead\n"
)


def published(shell: Shell) -> None:
    """Make a store that has damage, and counters in the shell."""
    with shell.program() as program:
        program.ask("append 3")
        program.close()
    with shell.path.open("ab") as file:
        file.write(STRANGE)


def closing(streams: str) -> list[str]:
    return ["/bin/sh", "-c", f'exec "$@" {streams}', "sh"]


@pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="no shell that closes stdout")
@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_a_command_that_cannot_show_its_outcome_does_nothing_and_fails(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    published(shell)
    before = everything(shell.directory)

    done = shell.papyra(*arguments, prefix=closing(">&-"))
    silent = shell.papyra(*arguments, prefix=closing(">&- 2>&-"))

    assert (done.code, done.out) == (1, "")
    if "--json" in arguments:
        assert done.error["type"] == "OSError"
        assert done.error["source"] == "<stdout>"
    else:
        assert done.err == CLOSED.format("stdout")
    assert silent == (1, "", "")
    assert everything(shell.directory) == before


@pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="no shell that closes stderr")
@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_a_closed_stderr_is_done_without_where_it_is_not_needed(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    published(shell)
    before = everything(shell.directory)
    quiet = shell.papyra(*arguments, prefix=closing("2>&-"))

    if arguments == ("metrics", "reset", "--json"):  # the interval that it ends would be lost
        assert quiet == (1, "", "")
        assert everything(shell.directory) == before
        return
    assert quiet.code in {0, 3}
    assert quiet.out != ""
    assert quiet.err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_output_that_a_full_disk_does_not_take_is_a_failure(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    published(shell)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PAPYRA, *arguments],
            cwd=shell.directory,
            env=shell.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    interval = arguments == ("metrics", "reset", "--json")
    warned = done.stderr.count("papyra: warning: ")
    assert done.stderr.count("\n") == 1 + warned + interval
    if any(word in arguments for word in ("--yes", "import", "reset")) or arguments[:2] == (
        "recover",
        "--json",
    ):
        assert (
            "<stdout>: No space left on device; the report is lost, but the command is done: "
            in (done.stderr)
        )
    else:
        assert (
            "<stdout>: No space left on device; nothing was changed; free some space, or redirect it elsewhere, and"
            " try again"
        ) in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("recover",), "{store}: 1 anomaly; 6 bytes saved in quarantine {id}; the store is clean now"),
        (("recover", "--undo", "{id}"), "{store}: put back 6 bytes from quarantine {id}"),
        (("compact", "--max-records", "9"), "1 anomaly; the damage is saved in quarantine {id}"),
        (("import", STORE, "json:copy"), "{copy}: 3 records in {store}; 3 copied, 0 there already; 1 anomaly, not copied"),
        (("metrics", "reset"), "{store}: the counters were reset; the interval that ended is {interval}"),
    ],
    ids=str,
)  # fmt: skip
def test_what_was_done_is_told_on_stderr_where_a_full_disk_does_not_take_the_report(
    shell: Shell, arguments: tuple[str, ...], words: str, *, as_json: bool
) -> None:
    published(shell)
    if "--undo" in arguments:
        assert shell.papyra("recover").code == 0
    saved = [path.name for path in shell.path.parent.glob("*.quarantine/*")]
    done = shell.papyra(
        *(word.format(id="".join(saved)) for word in arguments),
        *(["--json"] if as_json else []),
        prefix=closing(">/dev/full"),
    )
    # What is undone is not in quarantine any more.
    saved += [path.name for path in shell.path.parent.glob("*.quarantine/*")]
    expected = words.format(
        store=shell.path,
        copy=shell.directory / "copy",
        id="".join(saved),
        interval=json.dumps(counts(records_written=3)),
    )

    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    message = json.loads(last)["error"]["message"] if as_json else last.removeprefix("papyra: ")
    assert message.startswith(
        "<stdout>: No space left on device; the report is lost, but the command is done: "
    )
    assert message.endswith(expected)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_an_interval_that_a_full_disk_does_not_take_is_a_failure(shell: Shell) -> None:
    published(shell)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PAPYRA, "metrics", "reset", "--json"],
            cwd=shell.directory,
            env=shell.environment,
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
        )

    assert done.returncode == 1
    assert json.loads(done.stdout) == counts()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("scan", "json:none"), 6),
        (("scan", "tape:x"), 2),
        (("scam",), 2),
        (("metrics", "persistence"), 4),
        (("recover",), 0),
        (("scan",), 3),
    ],
    ids=str,
)
def test_an_error_that_a_full_disk_does_not_take_keeps_its_code(
    shell: Shell, arguments: tuple[str, ...], code: int
) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PAPYRA, *arguments],
            cwd=shell.directory,
            env=shell.environment,
            stdout=subprocess.DEVNULL,
            stderr=full,
            check=False,
        )

    assert done.returncode == code


def test_a_path_that_a_terminal_would_obey_is_shown_escaped(shell: Shell) -> None:
    shown = shell.papyra("scan", "--store", "json:\x1b[31mred\n\u202e")

    assert shown == (
        6,
        "",
        (
            f"papyra: {shell.directory}/\\x1b[31mred\\n\\u202e: no such store;"
            " correct the name, or start the program: its first append makes the store\n"
        ),
    )


def test_a_stream_that_cannot_show_a_path_gets_it_escaped(shell: Shell) -> None:
    (shell.directory / "дом").write_bytes(intact(1))

    shown = shell.papyra("scan", "--store", "json:дом", PYTHONIOENCODING="latin-1")

    assert shown.code == 0
    assert shown.out.startswith(f"{shell.directory}/\\u0434\\u043e\\u043c: 1 record in ")
