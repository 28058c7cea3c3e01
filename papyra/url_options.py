"""
Read the options behind the "?" of a store URL, and say what is wrong with one.

`store_url` calls this with the options that a scheme takes; no scheme is named here.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from papyra.errors import StoreURLError
from papyra.suggestions import did_you_mean

#: Returns the value that a text is, or raises a `ValueError` with what it must be.
Reader: TypeAlias = Callable[[str], Any]

#: The values of *sync*.
SYNCS: Final = ("none", "interval", "always")


def sync_mode(text: str) -> str:
    """Return *text* if it is a value of *sync*; otherwise raise a `ValueError`."""
    if text not in SYNCS:
        raise ValueError(f"must be one of {', '.join(SYNCS)}")
    return text


def options_of(  # noqa: PLR0913  each is a part of a message
    query: str,
    shown: str,
    readers: Mapping[str, Reader],
    elsewhere: Mapping[str, Collection[str]],
    *,
    hint: str,
    secretly: bool,
) -> dict[str, Any]:
    """
    Return the options of a URL by name, each read.

    Args:
        query: The text behind the "?".
        shown: What messages begin with.
        readers: The options that this kind of store takes.
        elsewhere: The options that other schemes take, by scheme.
        hint: What a message on an unknown option says besides.
        secretly: Repeat nothing of *query*, because it may hold a password.

    Raises:
        StoreURLError: for an unknown option, one that is given twice, or a value that is not valid.
    """
    options: dict[str, Any] = {}
    for item in query.split("&") if query else ():
        name, _, text = item.partition("=")
        if name not in readers:
            others = ", ".join(scheme for scheme, known in elsewhere.items() if name in known)
            near = "" if others else did_you_mean(name, readers)
            if others:
                what = f"{name} is an option of {others} alone"
            elif secretly:
                what = "one of the options is not known"
            else:
                what = f"{name!r:.80} is not an option"
            raise StoreURLError(
                f"{shown}: {what}{hint}; the options are {', '.join(readers)}{near}"
            )
        if name in options:
            raise StoreURLError(f"{shown}: {name} is given twice; give it once")
        options[name] = value_of(shown, name, readers[name], text, secretly=secretly)
    return options


def value_of(shown: str, name: str, read: Reader, text: str, *, secretly: bool = False) -> Any:  # noqa: ANN401  of the option's type
    """
    Return the value of the option *name* that *text* is.

    Raises:
        StoreURLError: if it is not valid; the message says what it must be.
    """
    try:
        return read(text)
    except ValueError as error:
        got = "" if secretly else f", got {text!r:.80}"
        near = did_you_mean(text, SYNCS) if read is sync_mode else ""
        raise StoreURLError(f"{shown}: {name} {error}{got}{near}") from None
