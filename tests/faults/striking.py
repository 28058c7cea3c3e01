"""
Interrupts at every point of a call where Python delivers a signal: one at each, or two.

A tick is an instruction of Python, or the end of a C function. `strike` has a real SIGINT raised at
one tick. Python delivers it at the next point where it looks for signals, and says which tick that
was, so the tick after that one is the beginning of the way to the next point. Nothing is assumed of
where these points are: the interpreter that runs decides.
"""

import gc
import importlib.machinery
import importlib.util
import linecache
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple, Protocol

from faults.outcome import UnavailableError

_SOURCE: Final = Path(__file__).with_name("striker.c")
_TOOL: Final = 4


class Place(NamedTuple):
    """An instruction of Python at which a signal was delivered."""

    code: CodeType
    offset: int

    def __str__(self) -> str:
        """Return file, line, function and the text of the line."""
        lines = {
            line
            for start, stop, line in self.code.co_lines()
            if start <= self.offset < stop and line is not None
        }
        line = min(lines, default=self.code.co_firstlineno)
        name = self.code.co_filename
        text = linecache.getline(name, line).strip()
        return f"{'/'.join(name.split('/')[-3:])}:{line} ({self.code.co_qualname}): {text}"


class Struck(NamedTuple):
    """
    What became of a call.

    Attributes:
        result: What it returned; None if it raised.
        error: What it raised, with its traceback; None if it returned.
        length: How many ticks it took.
        ticks: At which each signal was delivered.
        places: Where each was delivered; None at the call's very end.
    """

    result: Any
    error: BaseException | None
    length: int
    ticks: tuple[int, ...]
    positions: tuple[Place | None, ...]

    def __str__(self) -> str:
        return ", then ".join(str(place or "the end of the call") for place in self.positions)


@cache
def striker() -> ModuleType:
    """
    Return the helper in C, compiled for this interpreter.

    Raises:
        UnavailableError: without a compiler, or Python's headers.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    headers = sysconfig.get_paths()["include"]
    if compiler is None or not Path(headers, "Python.h").exists():
        raise UnavailableError("no C compiler, or no Python.h (apt-get install gcc python3-dev)")
    directory = tempfile.mkdtemp(prefix="papyra-striker-")
    try:
        library = os.path.join(directory, "striker.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", f"-I{headers}", "-o", library, _SOURCE],
            check=True,
        )
        loader = importlib.machinery.ExtensionFileLoader("striker", library)
        spec = importlib.util.spec_from_file_location("striker", library, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    finally:
        shutil.rmtree(directory)
    return module


class Strike(Protocol):
    """Interrupts a call."""

    def __call__(self, call: Callable[[], object], tick: int, gap: int = 0) -> Struck:
        """Have a signal raised at a *tick*, and again *gap* ticks after it is delivered."""
        ...


@contextmanager
def armed() -> Iterator[Strike]:
    """
    Give what interrupts calls.

    No garbage is collected meanwhile: a collection would run finalizers at ticks of its own choice.
    """
    module = striker()
    before = signal.signal(signal.SIGINT, module.handler)
    # What strikes in a finalizer goes nowhere else, and a file that is dropped open is closed. A
    # function of C, which has no ticks.
    hook, sys.unraisablehook = sys.unraisablehook, id
    gc.disable()
    gc.freeze()  # else each collection between two calls goes through all that was there before
    _monitor(module.event)
    try:
        yield _strike
    finally:
        _monitor(None)
        gc.unfreeze()
        gc.enable()
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


def _strike(call: Callable[[], object], tick: int, gap: int = 0) -> Struck:
    result, error, length, ticks, n, positions = striker().run(call, tick, gap)
    found = [None if place is None else Place(*place) for place in positions[:n]]
    return Struck(result, error, length, tuple(ticks[:n]), tuple(found))


def _monitor(event: Callable[..., object] | None) -> None:
    """Have every instruction counted; Python 3.11 has another way, which the helper takes."""
    if sys.version_info < (3, 12):
        return
    monitoring = sys.monitoring
    events = monitoring.events
    if event is None:
        monitoring.set_events(_TOOL, 0)
        monitoring.free_tool_id(_TOOL)
        return
    monitoring.use_tool_id(_TOOL, "papyra's striker")
    monitoring.register_callback(_TOOL, events.INSTRUCTION, event)
    monitoring.register_callback(_TOOL, events.C_RETURN, event)
    monitoring.register_callback(_TOOL, events.C_RAISE, event)
    monitoring.set_events(_TOOL, events.INSTRUCTION | events.CALL)
