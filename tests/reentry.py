"""Calls from within another call of the same thread, at each of its lines."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import own_backend

import papyra
from papyra import StoreBusyError

#: Where the lines are that are interrupted: papyra's, and the example's of a store of one's own.
_PACKAGE = Path(papyra.__file__).parent
SOURCES = (f"{_PACKAGE}/", f"{_PACKAGE}_otel/", own_backend.__file__)


def at_line(number: int, interruption: Callable[[], object]) -> Any:
    """Return a trace function that calls *interruption* at the *number*-th line of papyra's."""
    passed = 0

    def trace(frame: FrameType, what: str, _: object) -> Any:
        nonlocal passed
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        if what == "line":
            passed += 1
            if passed == number:
                sys.settrace(None)
                interruption()
        return trace

    return trace


def interrupted(
    operation: Callable[[], object], at: int, interruption: Callable[[], object]
) -> bool:
    """Run *operation* with an *interruption* at its *at*-th line; False if it has no such line."""
    happened = []
    before = sys.gettrace()

    def interrupt() -> None:
        happened.append(at)
        interruption()

    sys.settrace(at_line(at, interrupt))
    try:
        operation()
    finally:
        sys.settrace(before)
    return bool(happened)


class Nested:
    """A call from within another one, and what became of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.done = 0
        self.refusals: list[StoreBusyError] = []

    def __call__(self) -> None:
        try:
            self.call()
        except StoreBusyError as error:
            self.refusals.append(error)
        else:
            self.done += 1

    def runs_at(self, line: int, operation: Callable[[], object]) -> bool:
        """Call it at the *line*-th line of *operation*; False if that has no such line."""
        return interrupted(operation, line, self)

    def at_each_line_of(self, operation: Callable[[], object], *, thinner: int = 10**9) -> int:
        """
        Call it at the first, second, ... line of *operation*; return how often that was run.

        Where lines are many, of 10 * *thinner* only each tenth, and so on.
        """
        at = runs = 1
        while interrupted(operation, at, self):
            at += 1 + at // thinner
            runs += 1
        return runs
