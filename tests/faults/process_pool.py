"""Processes that cost a millisecond: forked from a small one that has imported papyra."""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

_SERVE: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from faults.process_pool import _serve; _serve()"
)


class ProcessPool:
    """
    A process that forks children for the asking, and has no threads to trouble them.

    Args:
        directory: Where children leave what they return.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def start(self, function: Callable[..., Any], *arguments: Any) -> int:
        """Call *function*, which a module defines, in a child of its own; return its process id."""
        pid: int = self._ask("start", (function, arguments, self._directory))
        return pid

    def kill(self, pid: int) -> None:
        """End a child by SIGKILL, and return when it is gone."""
        os.kill(pid, signal.SIGKILL)
        self._ask("wait", pid)

    def wait(self, pid: int) -> Any:
        """
        Return what a child's function returned, once it is done.

        Raises:
            RuntimeError: if it raised, with its traceback, or was killed.
        """
        status = self._ask("wait", pid)
        answer = self._directory / f"{pid}.answer"
        if status or not answer.exists():
            raise RuntimeError(f"process {pid} ended with status {status}")
        raised, returned = pickle.loads(answer.read_bytes())
        answer.unlink()
        if raised:
            raise RuntimeError(raised)
        return returned

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what *function* returns in a child of its own."""
        return self.wait(self.start(function, *arguments))

    def _ask(self, *question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(question, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _serve() -> None:
    """Answer questions until there are no more; children that are left then are ended."""
    children = set()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            what, argument = pickle.load(sys.stdin.buffer)
        except EOFError:
            break
        if what == "start":
            answer = os.fork()
            if not answer:
                _be_a_child(*argument)
            children.add(answer)
        else:
            answer = os.waitpid(argument, 0)[1]
            children.discard(argument)
        pickle.dump(answer, answers)
        answers.flush()
    for child in children:
        os.kill(child, signal.SIGKILL)


def _be_a_child(function: Callable[..., Any], arguments: tuple[Any, ...], directory: Path) -> None:
    try:
        try:
            answer = "", function(*arguments)
        except BaseException:  # noqa: BLE001  it is raised again where it was asked for
            answer = traceback.format_exc(), None
        (directory / f"{os.getpid()}.answer").write_bytes(pickle.dumps(answer))
    finally:
        os._exit(0)
