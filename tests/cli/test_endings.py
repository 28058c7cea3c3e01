"""How commands end: misuse, interrupts, a missing click, bugs."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from cli.shell import STORE, STRANGE, Shell, everything, intact
from stores import raiser

import papyra
from papyra.cli import main

#: Tells the descriptor in its first argument when it begins to wait for a lock.
INTERRUPTIBLE = """
import os, signal, sys, time
from papyra.cli import main

def announced(seconds, sleep=time.sleep):
    os.write(int(sys.argv[1]), b"w")
    sleep(seconds)

signal.signal(signal.SIGINT, signal.default_int_handler)
time.sleep = announced
sys.exit(main(sys.argv[2:]))
"""
WITHOUT = """
import sys

sys.modules[sys.argv[1]] = None
from papyra.cli import main

sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("recoverr",), "papyra"),
        (("--verbose", "scan"), "papyra"),
        (("scan", "--dry-run"), "papyra scan"),
        (("scan", "papyra.ndjson", "more"), "papyra scan"),
        (("metrics", "persistence", "--jsno"), "papyra metrics persistence"),
        (("compact", "--store"), "papyra"),
    ],
    ids=str,
)
def test_misuse_is_one_line_that_names_the_help_and_code_2(
    arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(arguments)
    out, err = capsys.readouterr()

    assert (code, out) == (2, "")
    assert err.startswith("papyra: ")
    assert err.endswith(f" '{hint} --help' tells more.\n")
    assert err.count("\n") == 1


def test_misuse_with_json_is_an_object(shell: Shell) -> None:
    shown = shell.papyra("scan", "--json", "--deep")

    assert shown.code == 2
    assert list(shown.error) == ["type", "message", "exit"]
    assert shown.error["type"] == "UsageError"
    assert shown.error["message"].startswith("No such option")


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":x",
        "https://x",
        "json:",
        "tape:x",
        "json:x?depth=1",
        "json:x?max_records=few",
        "memory:x",
    ],
)
def test_a_url_that_names_no_store_is_code_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--store", url]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_is_code_130_and_nothing_is_changed(shell: Shell, *, as_json: bool) -> None:
    fcntl = pytest.importorskip("fcntl")
    shell.path.write_bytes(intact(1) + STRANGE)
    reading, writing = os.pipe()
    command = ["recover", "--store", f"json:{STORE}?lock_timeout=100", *(["--json"] * as_json)]
    with open(f"{shell.path}.maint.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, str(writing), *command],
            cwd=shell.directory,
            env=shell.environment,
            pass_fds=[writing],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writing)
        assert os.read(reading, 1) == b"w"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        os.close(reading)

    assert (process.returncode, out) == (130, "")
    if as_json:
        error = {"type": "KeyboardInterrupt", "message": "interrupted", "exit": 130}
        assert json.loads(err) == {"error": error}
    else:
        assert err == "\npapyra: interrupted\n"  # the first newline ends the line of the ^C
    assert shell.path.read_bytes() == intact(1) + STRANGE


@pytest.mark.parametrize("option", [(), ("--json",)], ids=["plain", "json"])
def test_without_click_one_sentence_says_how_to_install_it(
    shell: Shell, option: tuple[str, ...]
) -> None:
    shown = shell.python("-c", WITHOUT, "click", "scan", *option)
    sentence = "the command line needs click: pip install 'papyra[cli]'"

    if option:
        error = {"type": "ModuleNotFoundError", "message": sentence, "exit": 1}
        assert (shown.code, shown.error) == (1, error)
    else:
        assert shown == (1, "", f"papyra: {sentence}\n")


def test_another_module_that_is_missing_is_not_blamed_on_click(shell: Shell) -> None:
    shown = shell.python("-c", WITHOUT, "papyra.cli.wording", "scan")

    assert shown[:2] == (1, "")
    assert shown.err.startswith("papyra: this is a bug in papyra, please report it: ")
    assert "papyra.cli.wording" in shown.err
    assert "papyra[cli]" not in shown.err


def test_a_bug_is_one_line_with_its_type_and_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PAPYRA_TRACEBACK", raising=False)
    monkeypatch.setattr(papyra, "open_store", raiser(ZeroDivisionError("by zero")))
    line = (
        "this is a bug in papyra, please report it: ZeroDivisionError: by zero"
        " (PAPYRA_TRACEBACK=1 shows where)"
    )

    assert main(["scan"]) == 1
    assert capsys.readouterr() == ("", f"papyra: {line}\n")
    assert main(["scan", "--json"]) == 1
    out, err = capsys.readouterr()
    error = {"type": "ZeroDivisionError", "message": line, "exit": 1}
    assert (out, json.loads(err)) == ("", {"error": error})


def test_the_traceback_is_there_for_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAPYRA_TRACEBACK", "1")
    monkeypatch.setattr(papyra, "open_store", raiser(ZeroDivisionError("by zero")))

    assert main(["scan"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2] == "ZeroDivisionError: by zero"
    assert lines[-1].startswith("papyra: this is a bug")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            papyra.CorruptRecordError("/x", 7, "torn"),
            {
                "type": "CorruptRecordError",
                "message": "/x, byte 7: torn; recover() can repair it",
                "exit": 1,
                "source": "/x",
                "offset": 7,
            },
        ),
        (
            PermissionError(13, "Permission denied", "/x"),
            {
                "type": "PermissionError",
                "message": "/x: Permission denied",
                "exit": 1,
                "source": "/x",
            },
        ),
        (
            papyra.UnsupportedError("it cannot"),
            {"type": "UnsupportedError", "message": "it cannot", "exit": 1},
        ),
    ],
    ids=["a strict read", "the operating system", "unsupported"],
)
def test_an_error_tells_its_place_where_it_knows_one(
    error: Exception,
    expected: dict[str, str | int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(papyra, "open_store", raiser(error))

    assert main(["scan", "--json"]) == 1
    assert json.loads(capsys.readouterr().err) == {"error": expected}


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell.papyra("--version") == (0, f"papyra {version('papyra')}\n", "")


def test_the_command_papyra_is_main_and_takes_the_arguments_of_the_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (script,) = entry_points(group="console_scripts", name="papyra")
    monkeypatch.setattr(sys, "argv", ["papyra", "scan", "--store", f"json:{tmp_path / 'none'}"])

    assert script.load() is main
    assert main() == 6
    assert capsys.readouterr().out == ""
    assert everything(tmp_path) == {}
