"""End a command: the exit codes, and the line on stderr when it fails."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import papyra
from papyra.cli.output import drop_unwritten, json_line, printable

if TYPE_CHECKING:
    from papyra.reports import CompactionReport

OK: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
ANOMALY: Final = 3
NOT_PUBLISHED: Final = 4
LOCKED: Final = 5
NOT_FOUND: Final = 6
INTERRUPTED: Final = 130

#: Every exit code with its meaning; the same for all commands.
EXIT_CODES: Final = {
    OK: "the store is in order, or in order again",
    FAILED: "the command failed; stderr says why",
    MISUSED: "the command or the store URL is wrong, or it needs --yes",
    ANOMALY: "a scan, dry run or import found damage, or a repair left some",
    NOT_PUBLISHED: "no counters are published",
    LOCKED: "the store is locked by another program",
    NOT_FOUND: "the store does not exist",
    INTERRUPTED: "interrupted (Ctrl-C)",
}


class UsageError(Exception):
    """The command line cannot be understood."""


class ConfirmationError(Exception):
    """
    A compaction would drop most of a store, and the operator did not agree; nothing was changed.

    Args:
        message: The line for the operator.
        source: The place of the store.
        report: The outcome that the compaction would have.
    """

    def __init__(self, message: str, source: str, report: "CompactionReport") -> None:
        super().__init__(message)
        self.source = source
        self.report = report


def report_failure(error: BaseException, *, as_json: bool) -> int:
    """
    Write one line about *error* to stderr, and return the exit code.

    With PAPYRA_TRACEBACK=1 in the environment the traceback comes before it.
    """
    drop_unwritten()
    code = _exit_code(error)
    message = _message(error)
    if as_json:
        about = {"type": type(error).__name__, "message": message, "exit": code, **_place(error)}
        line = json_line({"error": about})
    else:
        line = f"papyra: {printable(message)}\n"
    if os.environ.get("PAPYRA_TRACEBACK"):
        import traceback  # noqa: PLC0415  rarely needed, and not cheap

        line = "".join(traceback.format_exception(error)) + line
    if sys.stderr is not None:  # closed by the shell: 2>&-
        with suppress(OSError):
            sys.stderr.write(line)
            sys.stderr.flush()
        drop_unwritten()
    return code


def _exit_code(error: BaseException) -> int:
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case UsageError() | ConfirmationError() | papyra.StoreURLError():
            return MISUSED
        case papyra.NotPublishedError():
            return NOT_PUBLISHED
        case papyra.StoreLockedError() | papyra.StoreBusyError():
            return LOCKED
        case papyra.StoreNotFoundError():
            return NOT_FOUND
        case _:
            return FAILED


def _message(error: BaseException) -> str:  # noqa: PLR0911  one for each kind
    match error:
        case KeyboardInterrupt():  # A reset that was done leaves a note.
            return _noted("interrupted", error)
        case ModuleNotFoundError(name="click"):
            return "the command line needs click: pip install 'papyra[cli]'"
        case ModuleNotFoundError(name="papyra"):  # its metadata: see `papyra --version`
            return (
                "papyra runs from a directory and is not installed, so its version is not known;"
                " run pip install . there"
            )
        case (
            UsageError()
            | ConfirmationError()
            | papyra.PapyraError()
            | ModuleNotFoundError(name="redis")
        ):
            return _noted(str(error), error)
        case MemoryError():
            return (
                "this process is out of memory, and the store is whole; allow it more (ulimit -v shows the"
                " limit), because one record may have 16 MiB"
            )
        case OSError(strerror=str(reason)):
            return f"{error.filename}: {reason}" if error.filename else reason
        case _:
            return (
                f"this is a bug in papyra, please report it: {type(error).__name__}: {error}"
                " (PAPYRA_TRACEBACK=1 shows where)"
            )


def _noted(message: str, error: BaseException) -> str:
    """Return *message* and the notes of *error*: an interval that was reset, or where the store's name is from."""
    return "; ".join([message, *getattr(error, "__notes__", ())])


def _place(error: BaseException) -> dict[str, str | int]:
    """Return the place of *error*, as far as it knows its place."""
    match error:
        case ConfirmationError(source=source, report=report):
            return {
                "source": source,
                "records": report.kept + report.dropped,
                "dropped": report.dropped,
                "dropped_bytes": report.dropped_bytes,
            }
        case papyra.CorruptRecordError() | papyra.UnreadableRecordError():
            return {"source": error.source, "offset": error.offset}
        case (
            papyra.StoreNotFoundError()
            | papyra.NotAStoreError()
            | papyra.StoreLockedError()
            | papyra.StoreBusyError()
        ):
            return {"source": error.source}
        case OSError(filename=str(path)):
            return {"source": path}
        case _:
            return {}
