"""What `--help` says."""

from collections.abc import Iterator

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


ALL = dict(commands(app))
LEAVES = [name for name, command in ALL.items() if not isinstance(command, click.Group)]


def test_the_commands_are_these() -> None:
    assert sorted(LEAVES) == [
        "papyra compact",
        "papyra import",
        "papyra metrics persistence",
        "papyra metrics reset",
        "papyra recover",
        "papyra scan",
    ]


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


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["zzz"],
            "the command is not known; there are compact, import, metrics, recover, scan. 'papyra --help'",
        ),
        (
            ["metrics", "--", "--"],
            "metrics: the command is not known; there are persistence, reset. 'papyra metrics --help'",
        ),
        (["scan", "-x"], "scan: the option is not known. 'papyra scan --help'"),
    ],
    ids=str,
)
def test_a_word_that_is_like_no_known_one_is_answered_with_the_commands(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"papyra: {line} tells more.\n"


def test_an_option_of_other_commands_is_answered_with_these(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["scan", "--undo", "3"]) == 2
    assert (
        "scan: --undo is not an option of it, but of 'papyra recover'. " in capsys.readouterr().err
    )


def test_the_help_has_the_table_of_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]

    assert list(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 6, 130]
    start = lines.index("Exit codes, the same for every command:") + 1
    assert lines[start:] == [f"{code}  {meaning}" for code, meaning in EXIT_CODES.items()]
