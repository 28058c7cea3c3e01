"""Readers that go away, streams that are closed or full, and what they cannot show."""

import os
import subprocess
import sys

import pytest
from cli.shell import STRANGE, Shell, intact

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


@pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="no shell that closes stdout")
@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_the_shell_closed_are_done_without(shell: Shell, closing: str) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    sh = ["/bin/sh", "-c", f'exec "$@" {closing}', "sh"]

    done = shell.papyra("scan", prefix=sh)
    refused = shell.papyra("scan", "--store", "tape:x", prefix=sh)

    assert done.code == 3
    assert done.err == ""
    assert refused.code == 2
    assert refused.out == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("arguments", [("scan",), ("scan", "--json"), ("--help",)], ids=" ".join)
def test_output_that_a_full_disk_does_not_take_is_a_failure(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    shell.path.write_bytes(intact(1))
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
    assert done.stderr.count("\n") == 1


def test_a_path_that_a_terminal_would_obey_is_shown_escaped(shell: Shell) -> None:
    shown = shell.papyra("scan", "--store", "json:\x1b[31mred\n\u202e")

    assert shown == (
        6,
        "",
        (
            f"papyra: {shell.directory}/\\x1b[31mred\\n\\u202e: no such store;"
            " a program makes it with its first append\n"
        ),
    )


def test_a_stream_that_cannot_show_a_path_gets_it_escaped(shell: Shell) -> None:
    (shell.directory / "дом").write_bytes(intact(1))

    shown = shell.papyra("scan", "--store", "json:дом", PYTHONIOENCODING="latin-1")

    assert shown.code == 0
    assert shown.out.startswith(f"{shell.directory}/\\u0434\\u043e\\u043c: 1 record in ")
