"""Rows of a table of figures: what was measured, beside what, and whether it is enough."""

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.side_by_side import Ratio


class Row(NamedTuple):
    """
    One figure.

    Attributes:
        what: What papyra did.
        beside: What it is compared with.
        wanted: The ratio to reach: the least one if *at_least*, otherwise the most. None without a target.
        ratio: What was measured.
        at_least: Whether more is better.
        unit: Of both figures.
    """

    what: str
    beside: str
    wanted: float | None
    ratio: Ratio
    at_least: bool = True
    unit: str = "x"

    @property
    def wish(self) -> str:
        """The target, in words."""
        return (
            ""
            if self.wanted is None
            else f"{'>=' if self.at_least else '<='} {self.wanted:g} {self.unit}"
        )

    @property
    def verdict(self) -> str:
        """Whether the median is good enough."""
        if self.wanted is None:
            return ""
        gain = self.ratio.median - self.wanted
        return "reached" if (gain >= 0 if self.at_least else gain <= 0) else "short"


def markdown(rows: Iterable[Row]) -> str:
    """Return the table."""
    lines = [
        "| what | beside | wanted | measured (quartiles) | |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += (
        f"| {row.what} | {row.beside} | {row.wish} | {row.ratio} | {row.verdict} |" for row in rows
    )
    return "\n".join(lines) + "\n"
