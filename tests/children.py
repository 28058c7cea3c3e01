"""Child processes of the tests: real processes that read commands from a pipe."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from servers import missing


def subject_to_permissions() -> list[str]:
    """Return the command before one that permissions are to hold for, though root runs it."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    # Not another user: that one may not reach the Python in root's home.
    setpriv = shutil.which("setpriv") or missing("no setpriv: apt-get install util-linux")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--"]


PROGRAMS = Path(__file__).parent / "programs"


def program(name: str, *arguments: object, options: Sequence[str] = ()) -> list[str]:
    """Return the command that runs `tests/programs/NAME.py`, with *options* of the interpreter."""
    path = PROGRAMS / f"{name}.py"
    assert path.exists()
    return [sys.executable, *options, str(path), *map(str, arguments)]


def run_program(
    name: str,
    *arguments: object,
    options: Sequence[str] = (),
    check: bool = True,
    more: Mapping[str, str] = MappingProxyType({}),
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, with *more* in its environment, and return what it came to."""
    done = subprocess.run(
        program(name, *arguments, options=options),
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | more,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


class Child:
    """A Python process that runs one line at a time; killed at the end of the block, if not before."""

    def __init__(self, *prefix: str) -> None:
        self._process = subprocess.Popen(
            [*prefix, *program("one_line_at_a_time")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            text=True,
        )
        self.pid = self._process.pid

    def send(self, command: str) -> None:
        """Have *command* run, one line of Python, and do not wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Return what the last command came to."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def do(self, command: str) -> Any:
        """Run *command* and return what it came to; an error as its name and message."""
        self.send(command)
        return self.answer()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
