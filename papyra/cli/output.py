"""Text on its way out: one JSON document or lines for people, and readers that go away."""

import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress


def emit(text: str) -> None:
    """Write *text* to stdout; a reader that has gone, as in `papyra scan | head`, is no failure."""
    if sys.stdout is None:  # closed by the shell: >&-
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        drop_unwritten()
    except OSError as error:
        raise OSError(error.errno, error.strerror, "<stdout>") from error


def drop_unwritten() -> None:
    """Forget what stdout does not take: else the interpreter tries again at its end, and complains."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def warnings_told(*, unless: bool) -> Generator[None]:
    """Tell stderr what the library warns of, a line each, *unless* it is for JSON alone."""
    if unless:
        yield
        return
    import logging  # noqa: PLC0415  for those commands alone that may have something to warn of

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


@contextmanager
def progress_told() -> "Generator[Callable[[int, int], None] | None]":
    """Give what shows on a terminal how far an import is; None where nobody looks on."""
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
    """Return *text* on one line, with nothing in it that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
