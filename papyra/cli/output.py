"""Write to stdout and stderr: one JSON document, or lines for people, also if the reader goes away."""

import errno
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def emit(text: str, *, done: str = "") -> None:
    """
    Write *text* to stdout.

    It is not a failure if the reader is gone, as in `papyra scan | head`.

    Args:
        text: It.
        done: What the command has changed, in a line for people. If stdout does not take *text*, the error
            tells it on stderr, because the operator sees it nowhere else.

    Raises:
        OSError: if stdout does not take *text*, as on a full disk.
    """
    write(sys.stdout, text, done=done)


def write(stream: "TextIO", text: str, *, done: str = "") -> None:
    """Write *text* to stdout or stderr, as `emit` does; escape the characters that it cannot encode."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        drop_unwritten()
    except OSError as error:
        known = (
            f"the report is lost, but the command is done: {done.strip()}"
            if done
            else "nothing was changed; free some space, or redirect it elsewhere, and try again"
        )
        raise OSError(error.errno, f"{error.strerror}; {known}", stream.name) from error


def closed(name: str) -> OSError:
    """Return the error for a stream that the shell closed, as by `>&-`."""
    hint = (
        "nothing was done, because the outcome could not be shown; redirect it to /dev/null instead"
    )
    return OSError(errno.EBADF, f"the stream is closed; {hint}", f"<{name}>")


def drop_unwritten() -> None:
    """
    Drop the text that stdout and stderr do not take.

    Otherwise the interpreter tries again at its end, complains, and changes the exit code to 120.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@contextmanager
def warnings_shown(*, unless: bool) -> Generator[None]:
    """Write each warning of the library to stderr, *unless* stderr is for JSON alone."""
    if unless:
        yield
        return
    import logging  # noqa: PLC0415  only for commands that may warn

    class ToStderr(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if sys.stderr is not None:  # closed by the shell: 2>&-
                with suppress(OSError):
                    sys.stderr.write(f"papyra: warning: {printable(record.getMessage())}\n")

    logger, handler = logging.getLogger("papyra"), ToStderr()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        drop_unwritten()


@contextmanager
def progress_shown() -> "Generator[Callable[[int, int], None] | None]":
    """Yield a function that shows on a terminal how far an import is; None if stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return

    def show(read: int, copied: int) -> None:
        sys.stderr.write(f"\r{read} read, {copied} copied ")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def json_line(document: Mapping[str, object]) -> str:
    """Return *document* as JSON on one line."""
    import json  # noqa: PLC0415  --help does without it

    return json.dumps(document, allow_nan=False) + "\n"


def printable(text: str) -> str:
    """Return *text* on one line, with each character escaped that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
