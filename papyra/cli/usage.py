"""What is wrong with a command line, without its words: one of them may be a password, or a URL with one."""

from typing import Final

import click

#: How click's own messages begin that repeat a word, and what is said instead.
_INSTEAD: Final = {
    "Got unexpected extra argument": "Got an unexpected extra argument.",
    "No such command '": "No such command.",
}


def explained(error: click.UsageError) -> str:
    """Return what to tell of *error*."""
    command = error.ctx.command_path if error.ctx else "papyra"
    return f"{_what(error)} '{command} --help' tells more."


def _what(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            near = " or ".join(map(repr, error.possibilities or ()))
            return f"No such option.{f' Did you mean {near}?' if near else ''}"
        case click.MissingParameter() | click.BadOptionUsage():
            return error.format_message()
        case click.BadParameter():
            param = error.param.get_error_hint(error.ctx) if error.param and error.ctx else ""
            return f"Invalid value{f' for {param}' if param else ''}."
        case _:
            pass
    for begin, instead in _INSTEAD.items():
        if error.message.startswith(begin):
            return instead
    return error.message
