"""The generated pages of docs/reference/: `make reference` writes them, and a test compares them."""

from collections.abc import Callable
from typing import Final

from reference import api, cli, counters, errors, urls

#: Each page's file, and what makes its text.
PAGES: Final[dict[str, Callable[[], str]]] = {
    "api.md": api.make,
    "cli.md": cli.make,
    "counters.md": counters.make,
    "errors.md": errors.make,
    "urls.md": urls.make,
}
