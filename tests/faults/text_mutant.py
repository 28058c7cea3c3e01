"""A mutant of papyra's text: one step taken out, and the test that notices."""

from pathlib import Path
from typing import Final, NamedTuple

#: Where papyra and its tests stand.
ROOT: Final = Path(__file__).parents[2]


class TextMutant(NamedTuple):
    """
    A step that is missing.

    Attributes:
        lacks: What it lacks.
        module: The file of papyra's.
        old: What stands there, once.
        new: What stands there instead.
        test: The test that notices, as pytest names it.
    """

    lacks: str
    module: str
    old: str
    new: str
    test: str

    def applied(self, text: str) -> str:
        """Return *text* without the step."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.lacks}: stands {text.count(self.old)} times in {self.module}")
        return text.replace(self.old, self.new)
