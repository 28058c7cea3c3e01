"""
Tell objects of a fork: what happens in a child process before anything else runs there.

An object that holds locks, descriptors, connections or ids registers itself with `forget_in_child`. If it were
not told of a fork, parent and child would give the same ids, and one of two acknowledged records would be
lost. So neither an error nor an interrupt while one object is told keeps the others from being told.

Each store decides in its own `_after_fork` whether the child may go on with it. The check that rejects a store that
was opened before ``os.fork()`` is `_check_usable` in `papyra/primitives.py`.
"""

import os
from typing import Final, Protocol
from weakref import WeakValueDictionary


class Forkable(Protocol):
    """An object that must not go on in a child process as it was in its parent."""

    def _after_fork(self) -> None:
        """
        Become fit for a child process, where locks of the parent's other threads are held for ever.

        The object may be half made: its constructor may have failed, or have run in another thread as
        the process forked. The method may be called twice.
        """


# By identity, because a user's store may define __eq__ and so have no hash.
_forkables: Final[WeakValueDictionary[int, Forkable]] = WeakValueDictionary()
#: Not empty once all objects of this process were told.
_done: Final[list[bool]] = []
_failures: Final[list[BaseException]] = []


def forget_in_child(thing: Forkable) -> None:
    """Call `_after_fork` of *thing* in every child process, before anything else runs there."""
    _forkables[id(thing)] = thing


def _forget_all() -> None:
    # One call of C makes the list: a finalizer may add to the dictionary at any time.
    waiting = _forkables.valuerefs()
    failed: object = None
    while waiting:
        try:
            while waiting:
                thing = waiting[-1]()
                if thing is not None:
                    thing._after_fork()
                del waiting[-1]
        except BaseException as error:  # noqa: BLE001  raised on once all were told
            _failures.append(error)
            # A second time, because an interrupt or a signal's handler may have raised it.
            if waiting and waiting[-1] is failed:
                del waiting[-1]
            failed = waiting[-1] if waiting else None
    _done.append(True)


def _begin_in_child() -> None:
    _done.clear()
    _failures.clear()
    _forget_all()


def _finish_in_child() -> None:
    """Finish what an interrupt kept `_begin_in_child` from, and raise the errors."""
    if not _done:
        _forget_all()
    if _failures:
        failures = _failures.copy()
        _failures.clear()
        # Python reports it as any error of a hook, by `sys.unraisablehook`. It is not logged, because a
        # lock of logging may still be held by a thread that does not live on here.
        raise BaseExceptionGroup(
            "papyra: some objects could not be told of the fork, so this child cannot use a store among them;"
            " open the store again in the child",
            failures,
        )


if hasattr(os, "register_at_fork"):
    # Two hooks, called in this order: an interrupt may strike the first before its first line.
    os.register_at_fork(after_in_child=_begin_in_child)
    os.register_at_fork(after_in_child=_finish_in_child)
