"""Log warnings to the logger "papyra"; they are silent unless the program sets up logging."""

import os
from threading import get_ident
from typing import Final

#: The threads that are logging a warning, each with its subject; a handler may cause the next warning.
_being_logged: Final[set[tuple[int, str]]] = set()
#: By subject, the number of warnings that handlers caused since the last one that was logged.
_passed_over: Final[dict[str, int]] = {}


def warn(message: str, *args: object, about: str = "") -> None:
    """
    Log a warning. The caller must hold no lock, because a handler may do anything.

    A handler that calls the store which the warning is *about* may cause the next one, and so on without
    end. Warnings that the handler's own thread causes are not logged but counted; the next warning tells their number.
    """
    import logging  # noqa: PLC0415  it takes 10 ms, and most programs never need it here

    about = about or message
    mark = get_ident(), about
    if mark in _being_logged:
        _passed_over[about] = _passed_over.get(about, 0) + 1
        return
    if more := _passed_over.pop(about, 0):
        message += " (and %d more that a log handler caused)"
        args = *args, more
    logger = logging.getLogger("papyra")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    try:
        _being_logged.add(mark)
        logger.warning(message, *args)
    finally:
        _being_logged.discard(mark)


def _forget_other_threads() -> None:
    """Forget in a child process, where one thread alone lives on, the warnings that its parent will log."""
    me = get_ident()
    _being_logged.difference_update([mark for mark in _being_logged.copy() if mark[0] != me])
    _passed_over.clear()


if hasattr(os, "register_at_fork"):
    # Otherwise the warnings of a new thread that has the ident of one that is gone would never be logged.
    os.register_at_fork(after_in_child=_forget_other_threads)
