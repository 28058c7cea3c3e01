"""
Where an awaited append is written: right on the event loop, or in a thread.

`papyra.aio` tries each call here first, if no other call of the loop waits. The store decides with
`WouldBlock` while it writes; this module decides what is known before.
"""

from typing import Final

from papyra.backend import PersistenceBackend
from papyra.writing.call import Call, WouldBlock

#: The most bytes that are written on the loop itself.
_MOST_BYTES: Final = 64 * 1024


class InlineWrites:
    """
    Writes calls on the event loop where that takes no waiting.

    Args:
        store: Where they are written.

    Attributes:
        at_work: How many reads, scans and other operations are running in threads.
    """

    def __init__(self, store: PersistenceBackend) -> None:
        self.store = store
        self.at_work = 0

    def write(self, call: Call) -> bool:
        """
        Write *call* here and now, or return False: then nothing was done, and a thread must write it.

        A closed store refuses the call here: that takes no waiting.

        Raises:
            StoreBusyError: if this very thread is in the middle of such a call.
            Exception: whatever the store could not write it for; it is counted by then.
        """
        store = self.store
        # Beside a thread that computes, each system call may cost the loop five milliseconds.
        can_be = not store._always_waits and store._prepared and not self.at_work
        if not ((can_be and call.size <= _MOST_BYTES) or store.closed):
            return False
        try:
            store._queue.commit(store, call, may_wait=False)
        except WouldBlock:
            return False
        return True
