"""Warnings to the logger "papyra"; silent unless the program sets up logging."""

import os
from threading import get_ident
from typing import Final

#: Which thread is logging a warning about what; a handler may cause the next one.
_being_logged: Final[set[tuple[int, str]]] = set()
#: How many were caused that way since the last that was logged, by what they are about.
_passed_over: Final[dict[str, int]] = {}


def warn(message: str, *args: object, about: str = "") -> None:
    """
    Log a warning. Never called while a lock is held: a handler may do anything.

    A handler that calls the store which the warning is *about* may cause the next one, and so on without
    end. Those that its own thread causes are not logged but counted, and the next one tells their number.
    """
    import logging  # noqa: PLC0415  10 ms that most programs never need papyra to spend

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
    """Know in a child process that one thread alone lives on, and that its parent tells what is untold."""
    me = get_ident()
    _being_logged.difference_update([mark for mark in _being_logged.copy() if mark[0] != me])
    _passed_over.clear()


if hasattr(os, "register_at_fork"):
    # Otherwise the warnings of a new thread that has the ident of one that is gone would never be logged.
    os.register_at_fork(after_in_child=_forget_other_threads)
