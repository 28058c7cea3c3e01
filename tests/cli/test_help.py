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
        (["scam"], "scan"),
        (["recoverr"], "recover"),
        (["persistance"], "metrics persistence"),
        (["metrics", "rest"], "reset"),
        (["scan", "--jsno"], "--json"),
        (["compact", "--dryrun"], "--dry-run"),
    ],
    ids=str,
)
def test_a_misspelt_word_is_answered_with_the_nearest_known_one(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    hint = capsys.readouterr().err.partition("Did you mean ")[2]
    assert hint.removeprefix("one of: ").startswith(repr(meant))


def test_what_is_like_no_command_is_answered_with_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zzz"]) == 2
    assert capsys.readouterr().err == ("papyra: No such command. 'papyra --help' tells more.\n")


def test_the_help_has_the_table_of_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]

    assert list(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 6, 130]
    start = lines.index("Exit codes, the same for every command:") + 1
    assert lines[start:] == [f"{code}  {meaning}" for code, meaning in EXIT_CODES.items()]
