"""`papyra import`."""

from pathlib import Path

import pytest
from cli.shell import STRANGE, Shell, everything, intact

from papyra.cli import main
from papyra.store_url import _KINDS


@pytest.fixture
def new(shell: Shell) -> Path:
    """Where the copy goes."""
    return shell.directory / "new.ndjson"


def test_records_are_copied_and_counted_and_those_that_are_there_passed_over(
    shell: Shell, new: Path
) -> None:
    shell.path.write_bytes(intact(3))
    source, destination = f"json:{shell.path}", f"rotating:{new}"

    assert shell.papyra("import", source, destination) == (
        0,
        f"{new}: 3 records in {shell.path}; 3 copied, 0 there already\n",
        "",
    )
    assert new.read_bytes() == shell.path.read_bytes() == intact(3)
    shell.path.write_bytes(intact(4))
    assert shell.papyra("import", source, destination, "--json").document == {
        "dry_run": False,
        "read": 4,
        "copied": 1,
        "present": 3,
        "anomalies": [],
        "found": 0,
    }
    assert (
        shell.papyra("metrics", "persistence", "--store", destination, "--json").document[
            "records_written"
        ]
        == 4
    )


def test_a_dry_run_makes_nothing(shell: Shell, new: Path) -> None:
    shell.path.write_bytes(intact(3))
    before = everything(shell.directory)

    done = shell.papyra("import", "--dry-run", f"json:{shell.path}", f"json:{new}")

    assert done.out == f"{new}: 3 records in {shell.path}; 3 would be copied, 0 there already\n"
    assert everything(shell.directory) == before


def test_damage_is_shown_and_code_3(shell: Shell, new: Path) -> None:
    shell.path.write_bytes(intact(2) + STRANGE)

    done = shell.papyra("import", f"json:{shell.path}", f"json:{new}")

    assert done.code == 3
    finding, summary = done.out.splitlines()
    assert finding.startswith(f"{shell.path}, byte {len(intact(2))}: corrupted_line")
    assert summary.endswith("2 copied, 0 there already; 1 anomaly, not copied")
    assert new.read_bytes() == intact(2)


@pytest.mark.parametrize(
    ("source", "destination", "code", "message"),
    [
        ("json:missing", "json:new", 6, "no such store"),
        ("memory:", "json:new", 6, "a store in memory"),
        (
            "json:papyra.ndjson",
            "memory:",
            2,
            "a store in memory ends with the command; name another DST",
        ),
        (
            "json:papyra.ndjson",
            "json:./papyra.ndjson",
            1,
            "cannot be imported into itself; name another destination\n",
        ),
        ("json:strange", "json:new", 1, "not a papyra store"),
        ("strange", "json:new", 1, "not a papyra store"),
        ("papyra.ndjson", "papyra.ndjson", 2, "did you mean json:papyra.ndjson?"),
    ],
)
def test_what_cannot_be_copied_is_one_line(
    shell: Shell, source: str, destination: str, code: int, message: str
) -> None:
    shell.path.write_bytes(intact(1))
    (shell.directory / "strange").write_bytes(b"root:x:0:0\n")
    before = everything(shell.directory)

    done = shell.papyra("import", source, destination)

    assert done[:2] == (code, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert everything(shell.directory) == before


def test_another_scheme_of_a_store_in_memory_is_refused_like_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the command would say that it copied into what ends with it."""
    monkeypatch.setitem(_KINDS, "plain", _KINDS["memory"])
    assert main(["import", "memory:", "plain:"]) == 2
    assert "a store in memory ends with the command; name another DST" in capsys.readouterr().err


def test_seal_takes_in_what_other_tools_wrote(shell: Shell, new: Path) -> None:
    shell.path.write_bytes(intact(1) + b'{"kind": "log", "timestamp": 1.0}\n')
    command = ("import", f"json:{shell.path}", f"json:{new}", "--seal")

    assert shell.papyra(*command[:-1], "--dry-run").code == 3
    assert shell.papyra(*command)[:2] == (
        0,
        f"{new}: 2 records in {shell.path}; 2 copied, 0 there already\n",
    )
    assert shell.papyra(*command).out.endswith("0 copied, 2 there already\n")
