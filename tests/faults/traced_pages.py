"""The stores of a program into its mapped pages of counters, said one after the other."""

import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from papyra.metrics.mmap_page import _AT_TOTALS
from papyra.metrics.own_page import OwnPage


class _Words:
    """Words of a page; each store to one of them is said before it is made."""

    def __init__(
        self,
        words: Any,
        path: str,
        first: int,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._words = words
        self._path = path
        self._first = first
        self._say = say

    def __getitem__(self, key: Any) -> Any:
        return self._words[key]

    def __setitem__(self, index: int, value: int) -> None:
        self._say({"poke": self._path, "at": 8 * (self._first + index), "value": value})
        self._words[index] = value

    def __len__(self) -> int:
        return len(self._words)

    def release(self) -> None:
        self._words.release()


def trace_pages(say: Callable[[dict[str, Any]], None]) -> None:
    """Say each store to a page that is made from now on."""

    class TracedPage(OwnPage):
        def __init__(self, descriptor: int, path: str, **options: Any) -> None:
            super().__init__(descriptor, path, **options)
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self._reported: Any = self.cells
            cells: Any = _Words(self._reported, path, _AT_TOTALS, say)
            words: Any = _Words(self._words, path, 0, say)
            self.cells, self._words = cells, words

        def release(self) -> None:
            self._reported.release()
            super().release()

    patch("papyra.metrics.publishing.OwnPage", TracedPage).start()  # the program ends soon
