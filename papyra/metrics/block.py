"""A block of code whose failure counts; `papyra.backend` says as what."""

from types import TracebackType
from typing import Protocol

from papyra.metrics.names import CounterName
from papyra.metrics.persistence import PersistenceMetrics


class Damage(Protocol):
    """The damage that an operation met."""

    @property
    def found(self) -> int:
        """How many findings there are."""
        ...


class Counted:
    """
    Counts one *error* if the block raises one of *kind*, and the *damage* however it ends.

    A stream that is closed has not failed: a GeneratorExit is not counted as an error. An interrupt that comes
    before the block, or as it is left, counts nothing, so that an operation never has two outcomes.
    """

    # Not a generator for `contextmanager`: an interrupt just before the block would leave the generator open.
    # Its own `finally` would count when it is freed. A generator also takes three times as long.
    __slots__ = ("_damage", "_error", "_kind", "_metrics")

    def __init__(
        self,
        metrics: PersistenceMetrics,
        error: CounterName | None,
        damage: Damage | None = None,
        *,
        kind: type[BaseException] = BaseException,
    ) -> None:
        self._metrics = metrics
        self._error: CounterName | None = error
        self._damage = damage
        self._kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _: object, raised: BaseException | None, traceback: TracebackType | None
    ) -> None:
        is_failed = isinstance(raised, self._kind) and not isinstance(raised, GeneratorExit)
        if is_failed and self._error is not None:
            self._metrics.increment(self._error)
        if self._damage is not None and self._damage.found:
            self._metrics.increment("anomaly_detected", self._damage.found)
