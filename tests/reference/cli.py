"""The command line's page, from click's own objects."""

import re
import textwrap
from collections.abc import Iterator

import click

from papyra.cli.commands import app
from papyra.cli.exit_codes import EXIT_CODES
from papyra.cli.usage import Group
from reference import markdown

_INTRODUCTION = """\
`papyra --help` and `papyra COMMAND --help` show the same in a shell, and `python -m papyra` is the same program.
The command line needs the extra `papyra[cli]`.

Set `PAPYRA_STORE` to the store's URL to leave out `--store`, and `PAPYRA_TRACEBACK=1` to see the traceback of an
error. [Store URLs](urls.md) lists the URLs, and the options that they take."""
_EXIT_CODES = """\
The codes are the same for every command. An error is one line on stderr; with `--json` it is one JSON object there:
`{"error": {"type": ..., "message": ..., "exit": ...}}`, with `source` and `offset` where they are known."""


def make() -> str:
    """Return the page."""
    parts = [_INTRODUCTION, _options(app)]
    for path, command in _commands(app, "papyra"):
        parts += [f"## {path}", markdown.code(_usage(path, command)), _help(command)]
        parts.append(_options(command))
    codes = [[str(code), meaning] for code, meaning in EXIT_CODES.items()]
    parts += ["## Exit codes", _EXIT_CODES, markdown.table(["code", "meaning"], codes)]
    return markdown.page("Command line", "the commands' help in papyra/cli/", *parts)


def _commands(group: Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command below *group*, in the order of the code, with all words that call it."""
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, Group):
            yield from _commands(command, f"{path} {name}")


def _usage(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    return " ".join([path, *command.collect_usage_pieces(context)])


def _help(command: click.Command) -> str:
    paragraphs = re.split(r"\n{2,}", textwrap.dedent(command.help or "").strip())
    return markdown.prose("\n\n".join(paragraphs))


def _options(command: click.Command) -> str:
    rows = [
        [_spelling(option), markdown.line(option.help or "")]
        for option in command.params
        if isinstance(option, click.Option)
    ]
    return markdown.table(["option", "meaning"], [*rows, ["`-h`, `--help`", "Show the help."]])


def _spelling(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)
