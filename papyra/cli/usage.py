"""What is wrong with a command line, without its words: one of them may be a password, or a URL with one."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import click

#: How click's own messages begin that repeat a word, and what is said instead.
_INSTEAD: Final = {
    "Got unexpected extra argument": "Got an unexpected extra argument.",
    "No such command '": "No such command.",
}
#: How like a known option a misspelt one before the command must be, to be taken for it.
_ALIKE: Final = 0.75
#: Where the words of a command line are kept beside its context.
_WORDS: Final = "papyra.words"


class Command(click.Command):
    """A command whose mistakes name its own help, and which takes no option for the value of another."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* as click does."""
        ctx.meta[_WORDS] = tuple(args)  # click empties the list
        try:
            self._check_values(args)
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click's parser does not say where it was
            raise

    def _check_values(self, words: Sequence[str]) -> None:
        """Raise for an option that is followed by the next one in place of its value."""
        known = {name: option for option in _options(self) for name in option.opts}
        for word, value in pairwise(words):
            if word == "--":
                return
            if word in known and _takes_value(known[word]) and value in known:
                raise click.BadOptionUsage(word, "")


class Group(Command, click.Group):
    """A group whose mistakes name its own help."""

    command_class: type[click.Command] | None = Command


def explained(error: click.UsageError) -> str:
    """Return what to tell of *error*."""
    command = error.ctx.command_path if error.ctx else "papyra"
    return f"{_what(error)} '{command} --help' tells more."


def _what(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            near = " or ".join(map(repr, error.possibilities or ()))
            hint = f" Did you mean {near}?" if near else ""
            return _misplaced(error) or f"No such option.{hint}"
        case click.BadOptionUsage():
            return _without_value(error) or error.format_message()
        case click.MissingParameter():
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


def _misplaced(error: click.NoSuchOption) -> str:
    """Return where an option goes that stands before its command; "" if none is known like it."""
    context = error.ctx
    if context is None or not isinstance(context.command, click.Group):
        return ""
    from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

    leaves = dict(_leaves(context.command, context.command_path))
    options = {
        name: option
        for leaf in leaves.values()
        for option in _options(leaf)
        for name in option.opts
    }
    for name in get_close_matches(error.option_name, options, n=1, cutoff=_ALIKE):
        having = [path for path, leaf in leaves.items() if _has(leaf, name)]
        words = context.meta.get(_WORDS, ())
        # The command that was meant, if it has the option: all of its words were given.
        meant = [path for path in having if {*path.split()[1:]} <= {*words, context.info_name}]
        path = (meant or having)[0]
        return f"{name} goes after the command, as in '{path} {_usage(name, options[name])}'."
    return ""


def _without_value(error: click.BadOptionUsage) -> str:
    """Return which value is missing; "" if that is not what is wrong."""
    command = error.ctx.command if error.ctx else None
    for option in _options(command) if command else ():
        if error.option_name in option.opts and _takes_value(option):
            return (
                f"{error.option_name} needs a value, as in '{_usage(error.option_name, option)}'."
            )
    return ""


def _usage(name: str, option: click.Option) -> str:
    return f"{name} {option.metavar}" if _takes_value(option) else name


def _leaves(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command of *group*, and of the groups in it, with all words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _has(command: click.Command, name: str) -> bool:
    return any(name in option.opts for option in _options(command))


def _options(command: click.Command) -> Iterator[click.Option]:
    return (option for option in command.params if isinstance(option, click.Option))


def _takes_value(option: click.Option) -> bool:
    return not option.is_flag
