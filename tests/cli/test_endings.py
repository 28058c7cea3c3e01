"""How commands end: misuse, interrupts, a missing click, bugs."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import click
import pytest
from children import program
from cli.shell import STORE, STRANGE, Shell, everything, intact
from stores import raiser

import papyra
from papyra.cli import main


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("recoverr",), "papyra"),
        (("--verbose", "scan"), "papyra"),
        (("scan", "--dry-run"), "papyra scan"),
        (("scan", "papyra.ndjson", "more"), "papyra scan"),
        (("metrics", "persistence", "--jsno"), "papyra metrics persistence"),
        (("compact", "--store"), "papyra compact"),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recover", "--undo"), "--undo needs a value, as in '--undo ID'. 'papyra recover"),
        (("recover", "--undo", "--dry-run"), "--undo needs a value, as in '--undo ID'. "),
        (
            ("compact", "x", "--max-records"),
            "--max-records needs a value, as in '--max-records N'.",
        ),
        (("compact", "--max-records", "--yes", "x"), "--max-records needs a value, as in '"),
        (("compact", "--max-age"), "--max-age needs a value, as in '--max-age TIME'. "),
        (("compact", "--max-total-bytes"), "as in '--max-total-bytes SIZE'. 'papyra compact"),
        (("scan", "--store"), "--store needs a value, as in '--store URL'. 'papyra scan --help'"),
        (("metrics", "reset", "--store"), "as in '--store URL'. 'papyra metrics reset --help'"),
        (
            ("compact", "--yes=no"),
            "compact: --yes does not take a value; leave it out. 'papyra compact --help'",
        ),
    ],
    ids=str,
)
def test_an_option_without_its_value_is_told_which_value_is_missing(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (
            ("--undo", "1", "recover"),
            "--undo goes after the command, as in 'papyra recover --undo ID'.",
        ),
        (("--store", "x", "compact"), "as in 'papyra compact --store URL'."),
        (("--store=x", "metrics", "reset"), "as in 'papyra metrics reset --store URL'."),
        (("--dry-run", "scan"), "as in 'papyra recover --dry-run'."),
        (("--max-age", "7d"), "as in 'papyra compact --max-age TIME'."),
        (("--maxage", "7d", "compact"), "as in 'papyra compact --max-age TIME'."),
        (("metrics", "--store", "x", "reset"), "as in 'papyra metrics reset --store URL'."),
        (("metrics", "--store", "x"), "as in 'papyra metrics persistence --store URL'."),
    ],
    ids=str,
)
def test_an_option_before_its_command_is_told_where_it_goes(
    arguments: tuple[str, ...], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f" goes after the command, {where.partition('command, ')[2] or where} '" in err


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--json", "scan", "x"), "papyra scan --json"),
        (("--json", "metrics", "persistence"), "papyra metrics persistence --json"),
        (("metrics", "--json", "reset", "x"), "papyra metrics reset --json"),
    ],
    ids=str,
)
def test_json_before_the_command_is_answered_with_json(
    arguments: tuple[str, ...], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    group = "metrics: " if arguments[0] == "metrics" else ""
    assert error["message"].startswith(f"{group}--json goes after the command, as in '{where}'. '")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("scan", ""), 2),
        (("scan", "--store", ""), 2),
        (("compact", "", "--json"), 2),
        (("metrics", "persistence", ""), 2),
        (("import", "", "json:x"), 2),
        (("import", STORE, ""), 2),
    ],
    ids=str,
)
def test_a_store_whose_name_is_empty_is_said_to_be(
    shell: Shell, arguments: tuple[str, ...], code: int
) -> None:
    """As where a variable is not set in the table of a timer."""
    shell.path.write_bytes(intact(1))

    done = shell.papyra(*arguments)

    assert done[:2] == (code, "")
    assert "the store URL is empty, perhaps because a variable is not set; " in done.err


def test_misuse_with_json_is_an_object(shell: Shell) -> None:
    shown = shell.papyra("scan", "--json", "--deep")

    assert shown.code == 2
    assert list(shown.error) == ["type", "message", "exit"]
    assert shown.error["type"] == "UsageError"
    assert shown.error["message"].startswith("scan: the option '--deep' is not known")


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
            program("shell_that_waits", writing, *command),
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
    shown = shell.without("click", "scan", *option)
    sentence = "the command line needs click: pip install 'papyra[cli]'"

    if option:
        error = {"type": "ModuleNotFoundError", "message": sentence, "exit": 1}
        assert (shown.code, shown.error) == (1, error)
    else:
        assert shown == (1, "", f"papyra: {sentence}\n")


def test_another_module_that_is_missing_is_not_blamed_on_click(shell: Shell) -> None:
    shown = shell.without("papyra.cli.render", "scan")

    assert shown[:2] == (1, "")
    assert shown.err.startswith("papyra: this is a bug in papyra, please report it: ")
    assert "papyra.cli.render" in shown.err
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


def test_the_version_of_a_tree_that_was_never_installed_is_not_known(
    shell: Shell, tmp_path: Path
) -> None:
    place = tmp_path / "tree"
    place.mkdir()
    for package in (papyra, click):
        (place / package.__name__).symlink_to(Path(str(package.__file__)).parent)

    # Without the site's packages, and so without what an installation tells of itself.
    done = shell.python("-S", "-m", "papyra", "--version", PYTHONPATH=str(place))
    sentence = (
        "papyra: papyra runs from a directory and is not installed, so its version is not known;"
        " run pip install . there\n"
    )

    assert done == (1, "", sentence)
    assert shell.python("-S", "-m", "papyra", "--help", PYTHONPATH=str(place)).code == 0


def test_the_command_papyra_is_main_and_takes_the_arguments_of_the_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (script,) = entry_points(group="console_scripts", name="papyra")
    monkeypatch.setattr(sys, "argv", ["papyra", "scan", "--store", f"json:{tmp_path / 'none'}"])

    assert script.load() is main
    assert main() == 6
    assert capsys.readouterr().out == ""
    assert everything(tmp_path) == {}


def test_a_command_that_runs_out_of_memory_says_so(
    shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.path.write_bytes(intact(1))
    monkeypatch.setattr(papyra.PersistenceBackend, "scan", raiser(MemoryError()))
    assert main(["scan", f"json:{shell.path}"]) == 1
    assert capsys.readouterr().err.startswith(
        "papyra: this process is out of memory, and the store is whole; "
    )
