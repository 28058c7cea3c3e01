"""
Exchanges with the server: when they are tried again, and what is known where no reply came.

redis-py retries nothing here. It cannot tell a command that was never sent from one whose reply was
lost, and the difference is whether its outcome is known.
"""

import random
from collections.abc import Sequence
from time import sleep
from typing import Any, Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from papyra.backends.redis.address import Address, Keys, Node
from papyra.backends.redis.connections import Nodes
from papyra.backends.redis.scripts.script import Script
from papyra.backends.redis.server_errors import passes, refusal
from papyra.system.clock import monotonic

#: Times that the nodes of a cluster may send one exchange to another node.
_MOST_REDIRECTIONS: Final = 16
#: Seconds between two tries, at first and at the most.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0


class Message:
    """
    A command on its way.

    Attributes:
        doubtful: It may have been done, or may be yet: it was sent, and no reply said otherwise.
        was_doubtful: It was doubtful already before the try that brought the reply.
    """

    __slots__ = ("doubtful", "script", "was_doubtful", "words")

    def __init__(self, words: Sequence[str | bytes | int], script: Script | None = None) -> None:
        self.words: Sequence[str | bytes | int] = words
        self.script: Script | None = script
        self.doubtful: bool = False
        self.was_doubtful: bool = False


class Link:
    """
    The way to a store's server, for any number of threads.

    Args:
        address: The server, or the nodes of a cluster: whichever has the store is found.
        keys: The store there.
        timeout: Seconds after which an exchange is not tried again; one try waits a third of
            them for a connection, and for a reply.
    """

    def __init__(self, address: Address, keys: Keys, *, timeout: float) -> None:
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout is {timeout!r}: seconds above 0 are needed")
        self.address = address
        self.keys = keys
        self._timeout = timeout
        self._nodes = Nodes(address, timeout=timeout)

    def ask(self, *words: str | bytes | int, patient: bool = True) -> Any:  # noqa: ANN401  what the command replies
        """Return the reply to a command that changes nothing; see `deliver`."""
        return self.deliver(Message(words), patient=patient)

    def run(self, script: Script, *arguments: str | bytes | int, patient: bool = True) -> Any:  # noqa: ANN401  likewise
        """Return what *script* replies; see `deliver`."""
        return self.deliver(self.message(script, *arguments), patient=patient)

    def message(self, script: Script, *arguments: str | bytes | int) -> Message:
        """Return the message that runs *script* on the store's keys."""
        return Message(script.words(self.keys, arguments), script)

    def deliver(self, message: Message, *, patient: bool = True) -> Any:  # noqa: ANN401  likewise
        """
        Return the reply to *message*, which may be sent more than once.

        Args:
            message: What is done twice must do no harm.
            patient: Try again what may pass: a lost connection, a server that starts. Otherwise
                each node is tried once.

        Raises:
            StoreIOError: if the server refuses, or there was no reply in time; then
                ``message.doubtful`` tells whether it may have been done.
        """
        deadline = monotonic() + self._timeout if patient else 0.0
        pause = _FIRST_PAUSE
        untried, redirections = len(self.address.nodes) - 1, 0
        node, asking = self._nodes.home, False
        while True:
            try:
                return self._try(message, node, asking=asking)
            except AskError as error:  # which says that nothing was done, and where to go
                redirections += 1
                if redirections > _MOST_REDIRECTIONS:
                    raise refusal(error, self.address, self.keys) from error
                asking = not isinstance(error, MovedError)
                node = error.host or (node or ("",))[0], error.port
                if not asking:
                    self._nodes.home = node
                continue
            except (RedisError, OSError) as error:
                passing = passes(error)
                late = monotonic() + pause >= deadline
                if not passing or (late and (patient or not untried)):
                    raise refusal(error, self.address, self.keys) from error
                self._nodes.leave(node)
            node, asking = self._nodes.home, False
            if untried:
                untried -= 1
                continue
            sleep(pause * (0.5 + random.random()))  # noqa: S311  so that many do not come back at once
            pause, redirections = min(2 * pause, _LONGEST_PAUSE), 0

    def close(self) -> None:
        """Let go of all connections that nobody uses now."""
        self._nodes.close()

    def abandon(self) -> None:
        """Forget the connections in a child process; the parent's stay as they are."""
        self._nodes.abandon()

    def _try(self, message: Message, node: Node, *, asking: bool) -> Any:  # noqa: ANN401  likewise
        script, words = message.script, message.words
        if script is None:
            return self._exchange(message, words, node, asking=asking)
        try:
            return self._exchange(message, ("EVALSHA", script.sha, *words), node, asking=asking)
        except NoScriptError:  # the server was started anew, or flushed its scripts
            return self._exchange(message, ("EVAL", script.text, *words), node, asking=asking)

    def _exchange(
        self, message: Message, words: Sequence[str | bytes | int], node: Node, *, asking: bool
    ) -> Any:  # noqa: ANN401  likewise
        connection = self._nodes.take(node)
        try:
            packed = connection.pack_command(*words)
            if asking:  # a cluster moves the store, and this node has it already
                connection.send_command("ASKING")
                connection.read_response()
            doubtful = message.was_doubtful = message.doubtful
            message.doubtful = True
            try:
                connection.send_packed_command(packed)
            except RedisError:  # its last byte was not sent, so this one is nowhere done
                message.doubtful = doubtful
                raise
            try:
                reply = connection.read_response()
            except (ResponseError, AuthenticationError, BusyLoadingError):  # replies, they too
                message.doubtful = doubtful
                raise
        except BaseException:
            # Not among the idle ones again: the next exchange would take what comes yet for its reply.
            connection.disconnect()
            raise
        self._nodes.give(node, connection)
        return reply
