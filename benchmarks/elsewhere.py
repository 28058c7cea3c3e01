"""Papyra 0.3.0 as a contender: it has the same import name, so it runs in a process of its own."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_PROGRAM: Final = Path(__file__).with_name("original.py")


@contextmanager
def original(
    interpreter: str, kind: str, place: object, *, callers: int, count: int
) -> Iterator[dict[str, Callable[[], float]]]:
    """
    Give what has 0.3.0's store of *kind* append *count* records and return the seconds of one.

    Nothing is given where there is no *interpreter* that has 0.3.0.
    """
    if not interpreter:
        yield {}
        return
    # -I: PYTHONPATH may lead to this papyra.
    command = [interpreter, "-I", str(_PROGRAM), kind, str(place), str(callers), str(count)]
    with ExitStack() as stack:
        child = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert child.stdin is not None
        assert child.stdout is not None
        turns, seconds = stack.enter_context(child.stdin), child.stdout

        def turn() -> float:
            turns.write("\n")
            turns.flush()
            return float(seconds.readline())

        yield {f"0.3.0 {kind}": turn}
