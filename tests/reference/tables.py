"""Tables that a test reads out of a page."""

import re


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells below the heading of the table whose first columns are *heading*, joined by bars."""
    beginning = r" *\| *".join(map(re.escape, heading.split("|")))
    found = re.search(
        rf"^\| *{beginning} *\|.*\n\|[- |]+\|\n((?:\|.*(?:\n|\Z))*)", text, re.MULTILINE
    )
    assert found is not None, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
