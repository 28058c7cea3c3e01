"""Find out which store a command is about: an argument, an option or a variable; a URL or a path."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Final

import click

import papyra
from papyra.cli.render import DEFAULT_STORE
from papyra.store_url import SCHEMES

_VARIABLE: Final = "PAPYRA_STORE"
#: Errors that another store would not have.
_MISNAMED: Final = (
    papyra.StoreURLError,
    papyra.StoreNotFoundError,
    papyra.NotAStoreError,
)


def takes_store(command: Callable[..., int]) -> Callable[..., int]:
    """Give *command* the argument STORE and the option --store, and call it with the *url*."""

    @click.argument("store", required=False)
    @click.option(
        "--store",
        "option",
        metavar="URL",
        help=(
            "The store, as in json:/var/lib/app/actors.ndjson?lock_timeout=30s, or a path."
            f"  [env var: {_VARIABLE}; default: {DEFAULT_STORE}]"
        ),
    )
    @wraps(command)
    def named(*, store: str | None, option: str | None, **others: object) -> int:
        if store is not None and option is not None:
            raise click.UsageError(
                "the store is given both as an argument and with --store; give it once."
            )
        given, origin = option if store is None else store, ""
        if given is None:
            given = os.environ.get(_VARIABLE)
            origin = f"the store is that of the variable {_VARIABLE}"
            if not given:
                given = DEFAULT_STORE
                origin = f"without STORE, --store and {_VARIABLE} the store is the default {DEFAULT_STORE}"
        try:
            return command(url=url_of(given), **others)
        except _MISNAMED as error:
            if origin:
                error.add_note(origin)
            raise

    return named


def url_of(text: str) -> str:
    """
    Return the URL of the store that *text* names: *text* itself, or the URL of the store at this path.

    Options may follow a path as they follow a URL, unless *text* as a whole is the name of a file.

    Raises:
        StoreURLError, StoreIOError, NotAStoreError: if there is something else at this path.
    """
    scheme, colon, _ = text.partition(":")
    # A misspelt scheme is more likely than a path with a colon that leads nowhere.
    if not text or "\0" in text or "://" in text or (colon and scheme in SCHEMES):
        return text
    from papyra.cli.bare_path import is_there, url_at  # noqa: PLC0415  a URL does without it

    path, mark, options = text.partition("?")
    if os.path.lexists(text):
        path, mark, options = text, "", ""
    # A text with an "@" is more likely an address without its scheme, which must not be repeated.
    if not path or ((colon or "@" in path) and not is_there(path)):
        return text
    return url_at(path) + mark + options
