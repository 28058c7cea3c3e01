"""The command line in child processes, and programs that use a store meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from children import program

from papyra import Anomaly, Record, open_store
from papyra.format.codec import encode, seal

#: What `--store` is left out for.
STORE = "papyra.ndjson"
#: Variables that the commands heed.
OURS = frozenset({"PAPYRA_STORE", "PAPYRA_TRACEBACK", "COLUMNS"})
TORN = b'{"kind":"event","timest\n'
STRANGE = b"hello\n"
#: The eight bytes that every PNG begins with, and some more; its lines are no records.
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6\0\0\0\n\xff\xfe"


def intact(count: int) -> bytes:
    """Return *count* whole lines."""
    bodies = [encode(Record("event", timestamp=1.0, data={"n": n})) for n in range(count)]
    return b"".join(seal(body, "0123456789abcdef", n) for n, body in enumerate(bodies))


def everything(directory: Path) -> dict[str, bytes | None]:
    """Return the bytes of each file below *directory* by its path; None for a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


class Outcome(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON on stdout; stderr is empty."""
        assert self.err == ""
        return json.loads(self.out)

    @property
    def counters(self) -> Any:
        """The ten counters of the JSON document, without what else it tells of them."""
        document = self.document
        assert set(document.pop("about")) == {"store", "since", "live", "exited", "unpublished"}
        return document

    @property
    def error(self) -> Any:
        """The error that is told as JSON on stderr; stdout is empty."""
        assert self.out == ""
        document = json.loads(self.err)
        assert list(document) == ["error"]
        assert document["error"]["exit"] == self.code
        return document["error"]


class Shell:
    """
    A working directory of its own, and a home.

    Attributes:
        directory: The working directory.
        path: The store's file in it, as papyra names it.
    """

    def __init__(self, directory: Path, home: Path) -> None:
        self.directory = directory
        self.path = directory / STORE
        # Unbuffered, nothing would be left for the interpreter to write at its end.
        unwanted = {*OURS, "PYTHONUNBUFFERED"}
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        # Five and a half hours east of Greenwich, so that a time told in UTC is seen to be wrong.
        self.environment = kept | {"HOME": str(home), "TZ": "EAST-5:30", "PYTHONUTF8": "1"}

    def papyra(self, *arguments: str, prefix: Sequence[str] = (), **variables: str) -> Outcome:
        """Run the command line, after *prefix*, with more *variables* in its environment."""
        return self.python("-m", "papyra", *arguments, prefix=prefix, **variables)

    def python(self, *arguments: str, prefix: Sequence[str] = (), **variables: str) -> Outcome:
        """Run this Python."""
        done = subprocess.run(
            [*prefix, sys.executable, *arguments],
            cwd=self.directory,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def without(self, module: str, *arguments: str) -> Outcome:
        """Run the command line where *module* is not installed."""
        return self.python(*program("shell_without", module, *arguments)[1:])

    def findings(self) -> tuple[Anomaly, ...]:
        """Return what the library finds in the store; its wording may change."""
        with open_store(f"json:{self.path}") as store:
            return store.scan().anomalies

    def program(self) -> "Program":
        """Start a program that uses the store."""
        return Program(self)


class Program:
    """A process that has the store open and does what it is told through a pipe."""

    def __init__(self, shell: Shell) -> None:
        self._process = subprocess.Popen(
            program("store_in_use"),
            cwd=shell.directory,
            env=shell.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str) -> Any:
        """Have it append or read, or tell its snapshot or totals; return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.communicate()

    def close(self) -> None:
        """Have it close the store and end."""
        self._process.communicate()
        assert self._process.returncode == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.kill()
