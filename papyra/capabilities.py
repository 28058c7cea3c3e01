"""
Protocols for what only one or two stores can do: undo, send a batch again, keep others out of an import.

A store that can do it has the methods; the base class has none of them. papyra asks with `isinstance`, and
raises `UnsupportedError` for a store that cannot. These methods count nothing, as the primitives.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from papyra.errors import WriteOutcomeUnknownError
from papyra.reports import Quarantined


@runtime_checkable
class Undoable(Protocol):
    """A store that saves what a rewrite removes from it."""

    def _quarantined(self) -> Iterable[Quarantined]:
        """Return what was saved before it was removed, oldest first."""
        ...

    def _undo(self, id_: str, *, dry_run: bool) -> int:
        """
        Put back what was saved under *id_*, and return the number of bytes.

        Raises:
            UndoError: if it cannot be put back; nothing was changed then.
            UnsupportedError: if the operator has to put it back; the message says how.
        """
        ...


@runtime_checkable
class Resendable(Protocol):
    """A store whose `_append` may raise `WriteOutcomeUnknownError`."""

    def _send_again(self, error: WriteOutcomeUnknownError) -> None:
        """Store the batch of *error*, unless the store has it, and count it; no batch is under way."""
        ...


@runtime_checkable
class Importable(Protocol):
    """A store that several store objects may have, so that an import has to keep the others out."""

    def _maintained(self) -> AbstractContextManager[Callable[[], None]]:
        """
        Keep others from importing into the store, and from rewriting it if that harms; appends go on.

        It gives a function that is called before each batch, and raises once others are not kept out any
        more. Its exit is called a second time if the import fails.
        """
        ...

    def _is_same(self, other: object) -> bool:
        """Tell whether *other* is a store object that keeps its bytes in the same place."""
        ...
