"""The place of one write call in the order of its event loop."""

import asyncio

from papyra.writing.call import Call


class QueuedCall:
    """
    The place of one write call in the order of its loop.

    Attributes:
        deadline: When it gives up waiting, as `monotonic` has it.
        call: What is written; None until it is encoded.
        waiter: What its caller awaits: first room, if there was none, then the outcome.
        size: Bytes that are encoded.
        is_late: Its deadline passed while it waited, so it was given up; its caller is told.
    """

    # A default of the class, which costs a place nothing: most are never late.
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
        """Let its caller go on; once more does no harm."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
