"""Docstrings and tables as Markdown."""

import re
import textwrap
from collections.abc import Iterable, Sequence

#: Code, in double or single backquotes, and everything between two pieces of it.
_CODE = re.compile(r"(``.+?``|`[^`\n]+`)", re.DOTALL)
#: Characters that would begin emphasis, as in the name of a private method.
_EMPHASIS = re.compile(r"(?<!\w)_(?=\w)")
#: The first line of a page, so that a reader who edits it learns where the text comes from.
MADE = "<!-- Made by `make reference`; change {source} instead. -->"


def prose(text: str) -> str:
    """Return the *text* of a docstring: code in single backquotes, and nothing that a reader's program takes for a tag."""
    pieces = _CODE.split(text)
    for index, piece in enumerate(pieces):
        if index % 2:
            pieces[index] = f"`{piece.strip('`')}`"
        else:
            pieces[index] = _EMPHASIS.sub(r"\\_", piece.replace("<", "&lt;"))
    return "".join(pieces)


def line(text: str) -> str:
    """Return the *text* of a docstring in one line."""
    return " ".join(prose(text).split())


def code(text: str) -> str:
    """Return *text* as an indented block: it is shown, not run."""
    return textwrap.indent(text, "    ")


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell does not end the cell."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\|", text)


def page(title: str, source: str, *parts: str) -> str:
    """Return a whole page; *source* is what its text is made from."""
    return "\n\n".join([MADE.format(source=source), f"# {title}", *filter(None, parts)]) + "\n"
