"""Contenders that take turns, so that whatever else the machine does meets them all alike."""

import statistics
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import NamedTuple, Self


class Ratio(NamedTuple):
    """
    How often the one does in a second what the other does once; or another figure of each round.

    Attributes:
        median: Of the rounds' ratios.
        low: A quarter of the rounds had less.
        high: A quarter had more.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Self:
        """Return what is shown of the rounds' *figures*."""
        low, median, high = statistics.quantiles(figures, n=4)
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


class Timings:
    """
    What each contender took, round by round.

    Args:
        contenders: Each does a number of things and returns how many, or the seconds it took for
            one where it runs elsewhere.
        rounds: How often each has its turn.
    """

    def __init__(self, contenders: Mapping[str, Callable[[], float]], *, rounds: int) -> None:
        self._seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for contender in contenders.values():
            contender()  # what only the first time costs is nobody's speed
        turns = list(contenders.items())
        for _ in range(rounds):
            for name, contender in turns:
                self._seconds[name].append(contender())
            turns.reverse()  # whoever has a heavy one before it has it behind it the next time

    def seconds(self, name: str) -> float:
        """Return the median of what one thing took."""
        return statistics.median(self._seconds[name])

    def faster(self, name: str, than: str) -> Ratio:
        """Return how many times faster the one was, compared round by round."""
        pairs = zip(self._seconds[name], self._seconds[than], strict=True)
        return Ratio.of(other / own for own, other in pairs)

    def later(self, name: str, than: str) -> Ratio:
        """Return how many milliseconds more the one took, compared round by round."""
        pairs = zip(self._seconds[name], self._seconds[than], strict=True)
        return Ratio.of((own - other) * 1000 for own, other in pairs)


def each(count: int, do: Callable[[], object]) -> float:
    """Return the seconds that one of *count* things took, which *do* does together."""
    begin = perf_counter()
    do()
    return (perf_counter() - begin) / count
