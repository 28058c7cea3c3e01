"""
Keep the counters of one store object in a page: a file of 4 KiB of 64-bit words, which its owner's process maps.

Only the owner writes the totals, and only a resetter the baselines. The resetter fills the bank that is not
in use and then raises the number of resets, whose parity names the bank in use. So a resetter that is
killed changes nothing, and no increment is ever lost. The owner holds a flock on its page as long as it
lives. A process that gets a lock on the page knows that the owner has exited.

`papyra.metrics.own_page` is the owner's side; `papyra.metrics.exited` and `papyra.metrics.resets` open the pages of others.
"""

import mmap
import os
from typing import Final

from papyra.metrics.names import NAMES
from papyra.system.descriptors import LockedDescriptors
from papyra.system.locks import LOCK_SHARED, try_lock

#: Bytes of a page.
SIZE: Final = 4096
_MAGIC: Final = int.from_bytes(b"papyra\x00\x01", "little")
_COUNT: Final = len(NAMES)
# Offsets in the page, in words.
_AT_MAGIC: Final = 0
_AT_RESETS: Final = 1
_AT_TOTALS: Final = 8
#: The two banks. Each has the baseline, and then the time of its reset in nanoseconds since the epoch.
_AT_BANKS: Final = (32, 64)


#: One more than the largest word; a time before 1970 is stored with this added to it.
_WORD: Final = 1 << 64


def _signed(word: int) -> int:
    return word - _WORD if word >= _WORD // 2 else word


class Page:
    """
    A mapped page: a storage that its owner counts in, and that others read and reset.

    Attributes:
        cells: The totals. Other processes see the store of one word whole or not at all;
            no other way of writing to a map from Python promises that.
    """

    def __init__(self, descriptor: int, *, writable: bool) -> None:
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        # The map duplicates the descriptor, and so keeps the owner's flock.
        self._map = mmap.mmap(descriptor, SIZE, access=access)
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self.cells: list[int] | memoryview[int] = self._words[_AT_TOTALS : _AT_TOTALS + _COUNT]

    @property
    def shown(self) -> bool:
        """Whether its owner counts in it: other processes pass over a page that was never finished."""
        return self._words[_AT_MAGIC] == _MAGIC

    def show(self) -> None:
        """Let other processes see the page; once more does no harm."""
        self._words[_AT_MAGIC] = _MAGIC

    def load(self, totals: list[int], baseline: list[int], since: float) -> None:
        """Take over the counts of another storage; the page is new, and not shown yet."""
        for index, total in enumerate(totals):
            self.cells[index] = total
        self._fill(_AT_BANKS[0], baseline, since)

    def read(self) -> tuple[list[int], list[int], float]:
        """Return totals, baseline and the time of the last reset."""
        words = self._words
        while True:
            resets = words[_AT_RESETS]
            bank = _AT_BANKS[resets % 2]
            *baseline, since = words[bank : bank + _COUNT + 1].tolist()
            totals = list(self.cells)
            if words[_AT_RESETS] == resets:  # otherwise a reset came between
                return totals, baseline, _signed(since) / 1e9

    @property
    def resets(self) -> int:
        """How often a baseline was replaced."""
        return self._words[_AT_RESETS]

    def begin_interval(self, now: float) -> list[int]:
        """Note the totals as the next baseline; return their rise since the one in use."""
        totals, baseline, _ = self.read()
        self._fill(_AT_BANKS[(self._words[_AT_RESETS] + 1) % 2], totals, now)
        return [new - old for new, old in zip(totals, baseline, strict=True)]

    def end_interval(self) -> None:
        """Put the noted baseline in use, without a call: an interrupt comes before or after."""
        self._words[_AT_RESETS] += 1

    def take_back_interval(self) -> None:
        """Put the baseline before the last one in use again."""
        self._words[_AT_RESETS] += 1

    def _fill(self, bank: int, baseline: list[int], since: float) -> None:
        for index, base in enumerate(baseline):
            self._words[bank + index] = base
        self._words[bank + _COUNT] = int(since * 1e9) % _WORD

    def release(self) -> None:
        """Unmap the page, which tells other processes that its owner is gone."""
        if isinstance(self.cells, memoryview):
            self.cells.release()
        self._words.release()
        self._bytes.release()
        self._map.close()


def open_page(path: str, *, writable: bool) -> tuple[Page | None, bool]:
    """Return the page at *path*, None if it was never finished, and whether its owner lives."""
    with LockedDescriptors() as opened:
        descriptor = opened.open(path, os.O_RDWR if writable else os.O_RDONLY)
        alive = not try_lock(descriptor, LOCK_SHARED)
        page = None
        if os.fstat(descriptor).st_size == SIZE:
            page = Page(descriptor, writable=writable)
        return page if page is not None and page.shown else None, alive
