"""
Exchanges with the server: when they are tried again, and what is known where no reply came.

redis-py retries nothing here. It cannot tell a command that was never sent from one whose reply was
lost, and the difference is whether its outcome is known.
"""

import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from papyra.backends.redis.address import Address, Keys
from papyra.backends.redis.refusals import code_of, refusal
from papyra.backends.redis.scripts import Script

#: Codes of errors that pass by themselves, or when the server's name leads to another.
_PASSING: Final = frozenset(
    {"", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "TRYAGAIN"}
)
#: Seconds between two tries, at first and at the most.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0


class Message:
    """
    A command on its way.

    Attributes:
        doubtful: It may have been done, or may be yet: it was sent, and no reply said otherwise.
    """

    __slots__ = ("doubtful", "script", "words")

    def __init__(self, words: Sequence[str | bytes | int], script: Script | None = None) -> None:
        self.words = words
        self.script = script
        self.doubtful = False


class Link:
    """
    The way to one server, for any number of threads.

    Args:
        address: The server.
        keys: The store there.
        timeout: Seconds after which an exchange is not tried again; one try waits a third of
            them for a connection, and for a reply.
    """

    def __init__(self, address: Address, keys: Keys, *, timeout: float) -> None:
        self.address = address
        self.keys = keys
        self._timeout = timeout
        # Its class and arguments alone: an interrupt may lose a connection, and no pool may count it.
        pool = redis.ConnectionPool.from_url(
            address.url,
            db=address.db,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout / 3,
            socket_connect_timeout=timeout / 3,
        )
        self._connect = partial(pool.connection_class, **pool.connection_kwargs)
        self._idle: deque[Any] = deque()

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
            patient: Try again what may pass: a lost connection, a server that starts.

        Raises:
            StoreIOError: if the server refuses, or there was no reply in time; then
                ``message.doubtful`` tells whether it may have been done.
        """
        deadline = monotonic() + self._timeout if patient else 0.0
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._try(message)
            except (RedisError, OSError) as error:
                pause *= 0.5 + random.random()  # noqa: S311  so that many do not come back at once
                if code_of(error) not in _PASSING or monotonic() + pause >= deadline:
                    raise refusal(error, self.address, self.keys) from error
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Let go of all connections that nobody uses now."""
        while self._idle:
            with suppress(IndexError):  # another thread was faster
                self._idle.pop().disconnect()

    def abandon(self) -> None:
        """Forget the connections in a child process; the parent's stay as they are."""
        self._idle = deque()

    def _try(self, message: Message) -> Any:  # noqa: ANN401  likewise
        if message.script is None:
            return self._exchange(message, message.words)
        try:
            return self._exchange(message, ("EVALSHA", message.script.sha, *message.words))
        except NoScriptError:  # the server was started anew, or flushed its scripts
            return self._exchange(message, ("EVAL", message.script.text, *message.words))

    def _exchange(self, message: Message, words: Sequence[str | bytes | int]) -> Any:  # noqa: ANN401  likewise
        connection = self._connection()
        try:
            packed = connection.pack_command(*words)
            doubtful, message.doubtful = message.doubtful, True
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
        self._idle.append(connection)
        return reply

    def _connection(self) -> Any:  # noqa: ANN401  one of redis-py's kinds
        """Return a connection that nobody else uses, and that the server has not closed."""
        while self._idle:
            with suppress(IndexError, RedisError):
                connection = self._idle.pop()
                if not connection.can_read():  # nor left a reply in it
                    return connection
                connection.disconnect()
        connection = self._connect()
        connection.connect()
        return connection
