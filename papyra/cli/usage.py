"""
Explain to the operator what is wrong with a command line, and suggest what was meant.

A word of it may be a password, or a URL that holds one. Messages repeat only words that `is_harmless` lets through.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import click

from papyra.cli.output import emit
from papyra.suggestions import is_harmless, nearest

#: The program's name, with which each `command_path` begins.
_PROGRAM: Final = "papyra"
#: How like a known option a misspelt one before the command must be, to be taken for it.
_ALIKE: Final = 0.75
#: The names of commands in other tools.
_OTHER_WORDS: Final = {
    **dict.fromkeys(("check", "fsck", "verify"), "scan"),
    **dict.fromkeys(("fix", "repair", "undo"), "recover"),
    **dict.fromkeys(("counters", "stats", "status"), "persistence"),
    **dict.fromkeys(("gc", "prune", "vacuum"), "compact"),
    **dict.fromkeys(("copy", "restore"), "import"),
}
#: The command to suggest where a store is given without a command.
_USUAL: Final = "scan"
#: Characters that paths and URLs have, and names of commands do not have.
_IN_PATHS: Final = r"[./\\:]"
#: The key of a context's data for the words of the command line.
_WORDS: Final = "papyra.words"


class Command(click.Command):
    """A command whose mistakes name its own help, and which takes no option for the value of another."""

    _help: click.Option | None = None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* as click does."""
        ctx.meta[_WORDS] = tuple(args)  # click empties the list
        try:
            self._check_values(args)
            self._check_repeats(ctx, args)
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click's parser does not say where it was
            raise

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option --help without its text in other languages: looking for them loads `locale`."""
        names = self.get_help_option_names(ctx)
        if self._help is None or set(self._help.opts) != set(names):
            self._help = click.Option(
                names,
                is_flag=True,
                expose_value=False,
                is_eager=True,
                help="Show this message and exit.",
                callback=_show_help,
            )
        return self._help

    def _check_values(self, words: Sequence[str]) -> None:
        """Raise for an option that is followed by the next one in place of its value."""
        known = {name: option for option in _options(self) for name in option.opts}
        for word, value in pairwise(words):
            if word == "--":
                return
            if word in known and _takes_value(known[word]) and value in known:
                raise click.BadOptionUsage(word, "")

    def _check_repeats(self, ctx: click.Context, args: list[str]) -> None:
        """Raise for an option that is given twice: otherwise click would take the last, and say nothing."""
        _, _, order = self.make_parser(ctx).parse_args(args=[*args])
        given = Counter(option for option in order if isinstance(option, click.Option))
        for option, count in given.items():
            if count > 1 and not option.is_eager:
                raise click.UsageError(f"{option.opts[0]} is given twice; give it once.", ctx)


def _show_help(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  click's own signature
    if value and not ctx.resilient_parsing:
        emit(ctx.get_help() + "\n")
        ctx.exit()


class Group(Command, click.Group):
    """A group whose mistakes name its own help, and which suggests a command for a misspelt one."""

    command_class: type[click.Command] | None = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* name, as click does."""
        word = args[0]  # click takes it out of them, as in `papyra -- --`
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not error.message.startswith("No such command "):
                raise
        raise click.UsageError(_unknown_command(word, self, ctx), ctx)


def explained(error: click.UsageError) -> str:
    """Return the message for *error*: which command it is of, what is wrong, and where to read more."""
    command = error.ctx.command_path if error.ctx else _PROGRAM
    where = command.removeprefix(_PROGRAM).strip()
    return f"{where}{': ' if where else ''}{_what(error)} '{command} --help' tells more."


def _what(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            return _misplaced(error) or _unknown_option(error)
        case click.BadOptionUsage():
            return (
                _without_value(error) or f"{error.option_name} does not take a value; leave it out."
            )
        case click.MissingParameter():
            name = error.param.human_readable_name if error.param else "an argument"
            return f"{name} is missing; name a store there."
        case _ if error.message.startswith("Got unexpected extra argument"):
            return _too_many(error)
        case _:
            return error.message


def _too_many(error: click.UsageError) -> str:
    """Say how many arguments the command takes."""
    parameters = error.ctx.command.params if error.ctx else ()
    names = [p.human_readable_name for p in parameters if isinstance(p, click.Argument)]
    takes = f"it takes {' and '.join(names)} only" if names else "it does not take any"
    return f"too many arguments; {takes}; put quotes around a path that has a blank in it."


def _unknown_command(word: str, group: click.Group, context: click.Context) -> str:
    """Suggest the command that *word* may stand for: by its name, or by the verb that its help begins with."""
    root = context.find_root()
    # Also those of other groups: `papyra reset` means `papyra metrics reset`.
    paths = {name: f"{root.command_path} {name}" for name in _subcommands(root.command)}
    paths |= {path.split()[-1]: path for path, _ in _leaves(root.command, root.command_path)}
    verbs = {_verb(command): name for name, command in group.commands.items()}
    name = nearest(word, paths) or verbs.get(nearest(word, verbs)) or _OTHER_WORDS.get(word.lower())
    what = f"the command {_echo(word)}is not known"
    if name in paths:
        return f"{what}; did you mean '{paths[name]}'?"
    if not re.search(_IN_PATHS, word):
        return f"{what}; the commands are {', '.join(sorted(group.commands))}."
    # A store where a command must be, as in `papyra metrics actors.ndjson`.
    leaves = dict(_leaves(group, context.command_path))
    usual = f"{context.command_path} {_USUAL}"
    path = usual if usual in leaves else next(iter(leaves))
    if os.path.lexists(word):  # Otherwise it may be a URL with a password in it.
        from shlex import quote  # noqa: PLC0415  for a mistake alone

        return f"a command must come before the store; did you mean '{path} {quote(word)}'?"
    return f"{what}; a command must come before the store, as in '{path} STORE'."


def _echo(word: str) -> str:
    """Return *word* in quotes and a blank, to be put into a message; "" if it may be a password."""
    return f"'{word:.80}' " if is_harmless(word) else ""


def _verb(command: click.Command) -> str:
    return (command.help or "-").split(maxsplit=1)[0].lower()


def _unknown_option(error: click.NoSuchOption) -> str:
    """Suggest the option of the command that is spelt most like the unknown one."""
    context = error.ctx
    own = context.command.get_params(context) if context else ()
    word = error.option_name
    known = {name.lstrip("-"): name for parameter in own for name in parameter.opts}
    near = known.get(nearest(word.lstrip("-"), known))
    return f"the option {_echo(word)}is not known{f'; did you mean {near!r}?' if near else '.'}"


def _misplaced(error: click.NoSuchOption) -> str:
    """Return where an option goes that another command has; "" if none is known like it."""
    context = error.ctx
    if context is None:
        return ""
    if not isinstance(context.command, click.Group):
        root = context.find_root()
        everywhere = _leaves(root.command, root.command_path)
        those = ", ".join(f"'{path}'" for path, leaf in everywhere if _has(leaf, error.option_name))
        name = error.option_name
        return f"{name} is an option of {those}, not of '{context.command_path}'." if those else ""
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


def _subcommands(command: click.Command) -> dict[str, click.Command]:
    return dict(command.commands) if isinstance(command, click.Group) else {}


def _leaves(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command of *group*, and of the groups in it, with all words that call it."""
    for name, command in _subcommands(group).items():
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
