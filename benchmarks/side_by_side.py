"""Contenders that take turns, so that other work of the machine slows all of them alike."""

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
    The time that each contender took, round by round.

    Args:
        contenders: Each does a number of things and returns how many, or the seconds it took for
            one where it runs elsewhere.
        rounds: How often each has its turn.
    """

    def __init__(self, contenders: Mapping[str, Callable[[], float]], *, rounds: int) -> None:
        self._seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for contender in contenders.values():
            contender()  # otherwise the first round would include the costs of a first call
        turns = list(contenders.items())
        for _ in range(rounds):
            for name, contender in turns:
                self._seconds[name].append(contender())
            turns.reverse()  # otherwise one would always run after the same heavy one

    def seconds(self, name: str) -> float:
        """Return the median time of one thing."""
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
