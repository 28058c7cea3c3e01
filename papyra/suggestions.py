"""
Suggest what a caller or an operator most likely meant by a word that papyra does not know.

The command line asks for its commands and options, store URLs for their schemes, options and values. A suggestion
is always one of the *known* words: the unknown one may be a password, and is not repeated here.
"""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the one of *known* that is spelt most like *word*; "" if none is."""
    from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

    return "".join(get_close_matches(word.lower(), known, n=1))


def did_you_mean(word: str, known: Iterable[str], form: str = "{}") -> str:
    """Return "; did you mean WORD?" with the nearest of *known* in *form*; "" if none is near."""
    near = nearest(word, known)
    return f"; did you mean {form.format(near)}?" if near else ""
