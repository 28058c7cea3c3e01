"""
Exchange commands with the server: send them again when that may help, and note whose outcome is unknown.

The retries of redis-py are switched off. It cannot tell a command that was never sent from one whose reply was
lost. The outcome of the first is known, and that of the second is not. `server_errors` says which errors pass.
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
#: Seconds between the first two tries, and at most between any two.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0


class Message:
    """
    A command, and whether its outcome is known.

    Attributes:
        doubtful: Whether the server may have run it, or may do so yet: it was sent, and no reply denied it.
        was_doubtful: The value of *doubtful* before the try that brought the reply.
    """

    __slots__ = ("doubtful", "script", "was_doubtful", "words")

    def __init__(self, words: Sequence[str | bytes | int], script: Script | None = None) -> None:
        self.words: Sequence[str | bytes | int] = words
        self.script: Script | None = script
        self.doubtful: bool = False
        self.was_doubtful: bool = False


class Link:
    """
    Send a store's commands to its server, for any number of threads.

    Args:
        address: The server, or the nodes of a cluster, among which the one with the store is found.
        keys: The keys of the store.
        timeout: Seconds after which an exchange is not tried again. One try waits a third of
            them for a connection, and a third for a reply.
    """

    def __init__(self, address: Address, keys: Keys, *, timeout: float) -> None:
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r:.80}")
        self.address = address
        self.keys = keys
        self._timeout = timeout
        self._nodes = Nodes(address, timeout=timeout)

    def ask(self, *words: str | bytes | int, patient: bool = True) -> Any:  # noqa: ANN401  what the command replies
        """Return the reply to a command that changes nothing; see `deliver`."""
        return self.deliver(Message(words), patient=patient)

    def run(self, script: Script, *arguments: str | bytes | int, patient: bool = True) -> Any:  # noqa: ANN401  the same
        """Return the reply of *script*; see `deliver`."""
        return self.deliver(self.message(script, *arguments), patient=patient)

    def message(self, script: Script, *arguments: str | bytes | int) -> Message:
        """Return the message that runs *script* on the store's keys."""
        return Message(script.words(self.keys, arguments), script)

    def deliver(self, message: Message, *, patient: bool = True) -> Any:  # noqa: ANN401  the same
        """
        Return the reply to *message*, which may be sent more than once.

        Args:
            message: A command that does no harm if the server runs it twice.
            patient: Try again after an error that may pass, such as a lost connection or a server that
                starts. Otherwise each node is tried once.

        Raises:
            StoreIOError: if the server refuses, or did not reply in time; ``message.doubtful`` tells whether
                the server may have run it.
        """
        deadline = monotonic() + self._timeout if patient else 0.0
        pause = _FIRST_PAUSE
        untried, redirections = len(self.address.nodes) - 1, 0
        node, asking = self._nodes.home, False
        while True:
            try:
                return self._try(message, node, asking=asking)
            except AskError as error:  # The node did nothing, and names the node to ask.
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
            sleep(pause * (0.5 + random.random()))  # noqa: S311  Otherwise many clients would come back at once.
            pause, redirections = min(2 * pause, _LONGEST_PAUSE), 0

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._nodes.close()

    def abandon(self) -> None:
        """Forget the connections in a child process; those of the parent stay open."""
        self._nodes.abandon()

    def _try(self, message: Message, node: Node, *, asking: bool) -> Any:  # noqa: ANN401  the same
        script, words = message.script, message.words
        if script is None:
            return self._exchange(message, words, node, asking=asking)
        try:
            return self._exchange(message, ("EVALSHA", script.sha, *words), node, asking=asking)
        except NoScriptError:  # The server was restarted, or its scripts were flushed.
            return self._exchange(message, ("EVAL", script.text, *words), node, asking=asking)

    def _exchange(
        self, message: Message, words: Sequence[str | bytes | int], node: Node, *, asking: bool
    ) -> Any:  # noqa: ANN401  the same
        connection = self._nodes.take(node)
        try:
            packed = connection.pack_command(*words)
            if asking:  # The cluster is moving the store, and this node has it already.
                connection.send_command("ASKING")
                connection.read_response()
            doubtful = message.was_doubtful = message.doubtful
            message.doubtful = True
            try:
                connection.send_packed_command(packed)
            except RedisError:  # Its last byte was not sent, so no server runs it.
                message.doubtful = doubtful
                raise
            try:
                reply = connection.read_response()
            except (ResponseError, AuthenticationError, BusyLoadingError):  # These are replies too.
                message.doubtful = doubtful
                raise
        except BaseException:
            # Otherwise the next exchange would take a late reply to this one for its own.
            connection.disconnect()
            raise
        self._nodes.give(node, connection)
        return reply
