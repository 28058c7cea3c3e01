"""
The system calls of a program, in order, with what it says of itself between them.

strace sees all of them, those of buffered files included, which no shim of `os` does. The program
says what it begins and what was acknowledged by writing to a file of its own, so that stands in
the same order. Stores to a mapped page are no system calls: the program says these, too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from faults.outcome import UnavailableError

#: All that can change a file or a directory, or what a later write means; where it is known.
_CALLS: Final = (
    "?open,?openat,?creat,?close,?dup,?dup2,?dup3,?fcntl,?lseek,?write,?writev,?pwrite64,"
    "?pwritev,?pwritev2,?truncate,?ftruncate,?fallocate,?copy_file_range,?sendfile,?splice,"
    "?rename,?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat,?unlink,?unlinkat,?mkdir,"
    "?mkdirat,?rmdir,?fsync,?fdatasync,?sync,?syncfs,?msync,?sync_file_range"
)
#: Some processors know these alone; where they begin at the working directory, they are the others.
_OTHERS: Final = {"renameat": "rename", "renameat2": "rename", "mkdirat": "mkdir"}
_LINE: Final = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (\d+)(?:<.*>)?")
#: An argument's string, whole, or the path that strace adds to a descriptor.
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_ADDED_PATH: Final = re.compile(r"<(?:\\x[0-9a-f]{2})*>(?:\(deleted\))?")


class Call(NamedTuple):
    """
    A system call that succeeded.

    Attributes:
        arguments: As strace writes them; a string as its bytes, a descriptor without its path.
        result: What it returned.
    """

    name: str
    arguments: tuple[str | bytes, ...]
    result: int

    def number(self, index: int) -> int:
        """Return the argument *index* as a number."""
        return int(str(self.arguments[index]))

    def data(self, index: int) -> bytes:
        """Return the argument *index* as bytes."""
        argument = self.arguments[index]
        assert isinstance(argument, bytes), f"{self.name}: {argument} is no string"
        return argument


class Note(NamedTuple):
    """What the program said of itself."""

    said: dict[str, Any]


def _check_strace() -> None:
    if shutil.which("strace") is None:
        raise UnavailableError("no strace: apt-get install strace")
    tried = subprocess.run(["strace", "-qq", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise UnavailableError(f"strace may not trace: {tried.stderr.strip()}")


def record(program: Path, arguments: Sequence[str], place: Path) -> Iterator[Call | Note]:
    """
    Run *program* and yield its system calls and notes.

    It is given a file to write its notes to, one JSON object a write, and then *arguments*.

    Raises:
        UnavailableError: where there is no strace, or it may not trace.
    """
    _check_strace()
    notes, trace = place / "notes", place / "trace"
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}"]
    subprocess.run(
        [*command, "-o", trace, sys.executable, program, notes, *arguments],
        check=True,
        timeout=100,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    reported = _hexed(os.fsencode(notes))
    with trace.open() as lines:
        for line in lines:
            call = _parse(line)
            if call is None:
                continue
            if call.name == "write" and f"<{reported}>" in line:
                yield Note(json.loads(call.data(1)))
            else:
                yield call


def _parse(line: str) -> Call | None:
    match = _LINE.match(line)
    # Another thread's call would be torn in two; the programs that are traced have one thread.
    assert "unfinished" not in line, line
    if match is None:  # it failed, or it is no call
        return None
    name, arguments, result = match.groups()
    found = [_argument(argument) for argument in arguments.split(", ")]
    if name in _OTHERS:
        name, found = _OTHERS[name], [argument for argument in found if argument != "AT_FDCWD"]
    return Call(name, tuple(found), int(result))


def _argument(text: str) -> str | bytes:
    string = _STRING.fullmatch(text)
    return bytes.fromhex(string[1].replace("\\x", "")) if string else _ADDED_PATH.sub("", text)


def _hexed(path: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in path)
