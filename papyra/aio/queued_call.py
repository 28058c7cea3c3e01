"""One write call of an event loop while it is queued: encoded, waiting for room, or being written."""

import asyncio

from papyra.writing.call import Call


class QueuedCall:
    """
    One write call in the order of its loop.

    Attributes:
        deadline: When it gives up waiting, by the clock `monotonic`.
        call: The call as the store's queue takes it; None until it is encoded.
        waiter: The future that its caller awaits: first for room, if there was none, then for the outcome.
        size: Bytes that are encoded.
        is_late: Its deadline passed while it waited, so it was given up; its caller learns of it.
    """

    # A default of the class, because it costs a call nothing: most are never late.
    is_late: bool = False

    def __init__(
        self,
        deadline: float,
        call: Call | None = None,
        size: int = 0,
        waiter: "asyncio.Future[None] | None" = None,
    ) -> None:
        self.deadline = deadline
        self.call = call
        self.size = size
        self.waiter = waiter

    def wake(self) -> None:
        """Let its caller go on; a second time does no harm."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
