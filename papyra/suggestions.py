"""
Suggest what a caller or an operator most likely meant by a word that papyra does not know.

The command line asks for its commands and options, store URLs for their schemes, options and values. No message
repeats a text that may hold a password: a suggestion is then one of the known words.
"""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from papyra.backends.files.paths import Layout
from papyra.errors import PapyraError

#: How like a known word another must be, from 0 to 1, to be taken for it: "force" is 0.6 like "store".
_ALIKE: Final = 0.7
#: Words of letters alone, and quantities: digits first, and units between and behind them.
_HARMLESS: Final = (
    r"-{0,2}[A-Za-z][A-Za-z_-]*"
    r"|[+-]?[0-9][0-9.,_+-]*(?: ?[A-Za-z]{1,8} ?[0-9.,_+-]+)*(?: ?[A-Za-z]{1,8})?"
    r"|"
)
#: The endings of the files beside a store's own: see `Layout`.
_SIDE: Final = r"\.(?:[0-9]{12}|lock|maint\.lock|quarantine|metrics|tmp\.[0-9a-f]{8})$"
#: Beginnings of a server's URL, which a path never has.
_SERVER: Final = r"(?is)//.*@|[a-z][a-z0-9+.-]*://|(?:rediss?|valkeys?|unix):"
#: User and password before an "@", as a server's address has them; a drive's letter is not a user.
_USERINFO: Final = r"(?s)(?![A-Za-z]:[\\/])/?[^/]*:.*@"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the one of *known* that is spelt most like *word*; "" if none is."""
    from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

    return "".join(get_close_matches(word.lower(), known, n=1, cutoff=_ALIKE))


def is_harmless(word: str) -> bool:
    """
    Tell whether a message may repeat *word*, which an operator wrote where papyra does not know it.

    A password may be written anywhere by mistake, alone or in a URL: most have digits or signs behind letters.
    """
    return re.fullmatch(_HARMLESS, word) is not None


def got(text: str) -> str:
    """Return ", got TEXT" for a message about a value that is not valid; "" if it may be a password."""
    return f", got {text!r:.80}" if is_harmless(text) else ""


def did_you_mean(word: str, known: Iterable[str], form: str = "{}") -> str:
    """Return "; did you mean WORD?" with the nearest of *known* in *form*; "" if none is near."""
    near = nearest(word, known)
    return f"; did you mean {form.format(near)}?" if near else ""


def unknown_scheme(url: str, places: Mapping[str, str]) -> str:
    """
    Say what is wrong with a *url* of a scheme that papyra does not know, and suggest a URL.

    Args:
        url: It. It may be the URL of a server, misspelt, so it is repeated only without ":" and "@".
        places: What follows the colon, by scheme: "", "path" or "server".
    """
    known = f"a store URL must begin with one of {', '.join(f'{name}:' for name in places)}"
    if not url:
        return f"the store URL is empty, perhaps because a variable is not set; {known}"
    scheme, colon, _ = url.partition(":")
    if not colon and "@" not in url:
        hint = "" if "\0" in url else f"; did you mean {_url_meant_by(url, places)}?"
        return f"{url:.80}: {known}{hint}"
    hint = did_you_mean(scheme, places, "{}:") if colon else ""
    return f"{known}; the given one is not shown, since it may hold a password{hint}"


def scheme_at(path: str) -> str:
    """Return "rotating" if there are segments beside *path*, and "json" otherwise; never raise."""
    try:
        return "rotating" if Layout(path).newest_numbered() else "json"
    except (PapyraError, ValueError):
        return "json"


def near_store(layout: Layout) -> str:
    """Return the path of the store beside *layout* whose name is spelt most like it; "" if none is near."""
    from papyra.backends.files.store_check import check_ownership  # noqa: PLC0415  for a mistake alone

    try:
        beside = os.listdir(layout.directory)
    except OSError:
        return ""
    names = {re.sub(_SIDE, "", name) for name in beside}
    name = nearest(os.path.basename(layout.path), names)
    with suppress(PapyraError, OSError, ValueError):
        path = os.path.join(layout.directory, name)
        found = Layout(path)
        if name and found.exists():
            check_ownership(found)
            return path
    return ""


def is_server_address(rest: str, path: str) -> bool:
    """
    Tell whether the text behind a scheme is more likely the address of a server than the name of a file.

    It may be a URL with another scheme before it, or USER:PASSWORD@HOST.

    Args:
        rest: The text, options included.
        path: The file that it names if it is one.
    """
    # The patterns are compiled here, because most commands and programs name a file, and begin sooner without them.
    if ":" not in rest and "@" not in rest:
        return False
    if re.match(_SERVER, rest):
        return True
    if not re.match(_USERINFO, rest):
        return False
    return "@" in rest.partition("?")[2] or not os.path.lexists(path)


def _url_meant_by(text: str, places: Mapping[str, str]) -> str:
    """Return the URL of the file *text*, behind that of the scheme *text* if there is one."""
    file = f"{scheme_at(text)}:{text}"
    scheme = text.lower()
    if scheme not in places:
        return file
    rest = {"": "", "path": "PATH", "server": "//HOST:PORT"}[places[scheme]]
    return f"{scheme}:{'///SOCKET' if scheme == 'unix' else rest}, or {file}"
