"""What `--help` says."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli.shell import Shell

from papyra.cli import main
from papyra.cli.commands import app
from papyra.cli.exit_codes import EXIT_CODES


def commands(command: click.Command, name: str = "papyra") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for part, child in command.commands.items():
            yield from commands(child, f"{name} {part}")


#: Every command. A new one is added here; the expected messages of this file follow.
COMMANDS = [
    "papyra compact",
    "papyra import",
    "papyra metrics persistence",
    "papyra metrics reset",
    "papyra recover",
    "papyra scan",
]
#: The commands that a message lists: those of `papyra`, and those of `papyra metrics`.
WORDS = ", ".join(sorted({name.split()[1] for name in COMMANDS}))
METRICS_WORDS = ", ".join(name.split()[2] for name in COMMANDS if " metrics " in name)
ALL = dict(commands(app))
LEAVES = [name for name, command in ALL.items() if not isinstance(command, click.Group)]


def test_the_commands_are_these() -> None:
    assert sorted(LEAVES) == COMMANDS


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_every_option_is_explained(name: str) -> None:
    context = click.Context(ALL[name], info_name=name, **app.context_settings)

    assert ALL[name].help
    for parameter in ALL[name].get_params(context):
        if isinstance(parameter, click.Argument):
            assert str(parameter.metavar or parameter.name).upper() in str(ALL[name].help)
        else:
            assert isinstance(parameter, click.Option)
            assert parameter.help, parameter.name


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_takes_a_store_and_json(name: str) -> None:
    options = {option for parameter in ALL[name].params for option in parameter.opts}

    assert "--json" in options
    # An import takes two, and there is no telling them apart by an option of one name.
    assert ("--store" in options) == (name != "papyra import")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_on_stdout_and_code_0(
    name: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*name.split()[1:], option]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: {name} [OPTIONS]")
    assert err == ""


@pytest.mark.parametrize("name", ["papyra", "papyra metrics"])
def test_a_group_alone_shows_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(name.split()[1:]) == 0
    alone = capsys.readouterr()
    assert main([*name.split()[1:], "--help"]) == 0
    assert capsys.readouterr() == alone
    assert alone.err == ""


@pytest.mark.parametrize("name", ALL)
def test_without_docstrings_the_help_is_the_same(name: str, shell: Shell) -> None:
    arguments = ["-m", "papyra", *name.split()[1:], "--help"]

    assert shell.python("-OO", *arguments) == shell.python(*arguments)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["scann"], "papyra scan"),
        (["SCAN"], "papyra scan"),
        (["recoverr"], "papyra recover"),
        (["metrcs", "reset"], "papyra metrics"),
        (["persistance"], "papyra metrics persistence"),
        (["metrics", "persistance"], "papyra metrics persistence"),
        (["metrics", "rest"], "papyra metrics reset"),
        (["metrics", "scan"], "papyra scan"),
        (["metrics", "show"], "papyra metrics persistence"),
        (["show"], "papyra metrics"),
        (["copy", "json:a", "json:b"], "papyra import"),
        (["fsck", "json:a"], "papyra scan"),
        (["repair", "json:a"], "papyra recover"),
        (["vacuum"], "papyra compact"),
        (["stats"], "papyra metrics persistence"),
        (["metrics", "stats"], "papyra metrics persistence"),
        (["scan", "--jsonn"], "--json"),
        (["scan", "--JSON"], "--json"),
        (["recover", "--lst"], "--list"),
        (["compact", "--dryrun"], "--dry-run"),
        (["compact", "--max_recods", "3"], "--max-records"),
        (["metrics", "--hlep"], "--help"),
        (["--versio"], "--version"),
    ],
    ids=str,
)
def test_a_misspelt_word_is_answered_with_the_nearest_known_one(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f" is not known; did you mean '{meant}'? 'papyra " in err
    (word,) = {*arguments} - {
        "metrics",
        "scan",
        "recover",
        "compact",
        "reset",
        "3",
        "json:a",
        "json:b",
    } or {"scan"}
    assert f"the {'option' if word[0] == '-' else 'command'} '{word}' is not known" in err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["zzz"],
            f"the command 'zzz' is not known; the commands are {WORDS}. 'papyra --help'",
        ),
        (
            ["metrics", "--", "--"],
            f"metrics: the command is not known; the commands are {METRICS_WORDS}. 'papyra metrics --help'",
        ),
        (
            ["x1"],
            f"the command is not known; the commands are {WORDS}. 'papyra --help'",
        ),
        (
            ["recover", "--force"],
            "recover: the option '--force' is not known. 'papyra recover --help'",
        ),
        (
            ["compact", "--limit=3"],
            "compact: the option '--limit' is not known. 'papyra compact --help'",
        ),
        (["scan", "--s3cret"], "scan: the option is not known. 'papyra scan --help'"),
        (["scan", "-x"], "scan: the option '-x' is not known. 'papyra scan --help'"),
    ],
    ids=str,
)
def test_a_word_that_is_like_no_known_one_is_answered_with_the_commands(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"papyra: {line} tells more.\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["metrics", "a b.ndjson"], "metrics: a command must come before the store; did you mean 'papyra metrics persistence 'a b.ndjson''? 'papyra metrics --help'"),
        (["metrics", "none.ndjson"], "metrics: the command is not known; a command must come before the store, as in 'papyra metrics persistence STORE'. 'papyra metrics --help'"),
        (["./a b.ndjson"], "a command must come before the store; did you mean 'papyra scan './a b.ndjson''? 'papyra --help'"),
        (["json:a.ndjson"], "the command is not known; a command must come before the store, as in 'papyra scan STORE'. 'papyra --help'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_store_where_a_command_must_be_is_answered_with_the_command(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.ndjson").touch()
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"papyra: {line} tells more.\n"


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_refused_where_it_is_given_twice(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A URL refuses that, too; the last one would win without a word."""
    stores = ["json:none", "json:none"] if name == "papyra import" else []
    for option in ALL[name].params:
        if isinstance(option, click.Option):
            once = [option.opts[0]] if option.is_flag else [option.opts[0], "1"]
            assert main([*name.split()[1:], *stores, *once, *once]) == 2
            assert f": {option.opts[0]} is given twice; give it once. " in capsys.readouterr().err


def test_an_option_of_other_commands_is_answered_with_these(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["scan", "--undo", "3"]) == 2
    assert (
        "scan: --undo is an option of 'papyra recover', not of 'papyra scan'. "
        in capsys.readouterr().err
    )


def test_the_help_has_the_table_of_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]

    assert list(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 6, 130]
    start = lines.index("Exit codes, the same for every command:") + 1
    assert lines[start:] == [f"{code}  {meaning}" for code, meaning in EXIT_CODES.items()]
