"""
Tell whether this very thread holds a file lock, so that it does not wait for its own.

A finalizer, a weak reference callback or a signal's handler may want a lock that the call which it interrupted
holds. That call may hold it through another descriptor, or even another store object of the same files. The
system cannot tell, because for flock these are two holders. `papyra.system.locks` asks here only if a lock is
not free.
"""

import os
from threading import get_ident
from typing import Final, Protocol
from weakref import WeakValueDictionary


class LockOwner(Protocol):
    """An object that may hold a file lock, and knows in which thread."""

    def _lock_held_here(self) -> int:
        """Return the descriptor of the lock that this thread holds, or may hold; otherwise -1."""
        ...


#: Descriptor and thread of each lock that is held for the time of a block. Entries come and go by calls
#: of C alone, so that an interrupt leaves none behind.
held: Final[set[tuple[int, int]]] = set()
#: By identity: a user's store may define __eq__ and so have no hash.
_owners: Final[WeakValueDictionary[int, LockOwner]] = WeakValueDictionary()


def add_owner(owner: LockOwner) -> None:
    """Ask *owner*, as long as it lives, whether it holds the lock that a thread is to wait for."""
    _owners[id(owner)] = owner


def is_held_here(descriptor: int) -> bool:
    """Tell whether this very thread holds a lock on the file of *descriptor* through another one."""
    me = get_ident()
    mine = {held_one for held_one, thread in held.copy() if thread == me}
    # Not by iterating over the dictionary: a finalizer may change it meanwhile.
    owners = [owner for reference in _owners.valuerefs() if (owner := reference()) is not None]
    mine.update(owner._lock_held_here() for owner in owners)
    wanted = os.fstat(descriptor)
    return any(os.path.samestat(wanted, os.fstat(other)) for other in mine - {-1, descriptor})


if hasattr(os, "register_at_fork"):
    # Of threads that are not there; the descriptors may be others' soon.
    os.register_at_fork(after_in_child=held.clear)
