"""The mixin that gives the ten counters to any class."""

import operator
from typing import TYPE_CHECKING, Any, ClassVar, Self, SupportsIndex

from papyra.metrics.names import checked
from papyra.metrics.persistence import PersistenceMetrics, State, replaced


class _OnFirstUse:
    """
    Give counters to an object whose `__new__` did not run, or whose state was replaced.

    Another base that makes the object with ``object.__new__`` does that. The object's own attribute hides this one.
    """

    def __get__(
        self, instance: "PersistenceMetricsMixin | None", owner: "type[PersistenceMetricsMixin]"
    ) -> object:
        """Return the counters of *instance*, the same for all threads."""
        if instance is None:
            return self
        made = PersistenceMetrics(unsupported=owner.unsupported)
        return vars(instance).setdefault("metrics", made)


class PersistenceMetricsMixin:
    """
    Give any class that stores records the ten counters, as `metrics`.

    It needs no `__init__` call, and works in frozen dataclasses and with slots. A copy of an
    object, and what is unpickled, counts from zero. A class that brings its own operations counts them with
    ``self.metrics.increment("records_written")``; one that derives from
    `papyra.PersistenceBackend` has everything counted and increments nothing.

    Attributes:
        metrics: The counters of this object.
    """

    __module__ = "papyra"

    #: The name of this kind of store in exporters.
    kind: ClassVar[str] = "custom"
    #: The counters that this class never moves; exporters leave them out.
    unsupported: ClassVar[frozenset[str]] = frozenset()

    if TYPE_CHECKING:
        metrics: PersistenceMetrics
    else:
        metrics = _OnFirstUse()

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401  object's own signature
        """Refuse a class whose *unsupported* has a name that is not a counter's."""
        super().__init_subclass__(**kwargs)
        checked(cls.unsupported, f"{cls.__name__}.unsupported")

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401  the arguments of __init__
        """Make the object and its counters."""
        make = super().__new__
        # object's own refuses arguments; another base's may need them.
        self = make(cls) if make is object.__new__ else make(cls, *args, **kwargs)
        # The class may be frozen, and refuse to be assigned to.
        object.__setattr__(self, "metrics", PersistenceMetrics(unsupported=cls.unsupported))
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Let the object be pickled and copied, with counters of its own that begin at zero."""
        # The oldest protocols make objects without calling __new__.
        reduced = super().__reduce_ex__(max(2, operator.index(protocol)))
        if isinstance(reduced, str) or len(reduced) < 3 or reduced[2] is None:  # noqa: PLR2004  it begins with callable, arguments, state
            return reduced
        return (*reduced[:2], self._renewed(reduced[2]), *reduced[3:])

    def _renewed(self, state: object) -> object:
        """Return *state* with new counters in place of the object's own."""
        mine = self.metrics
        if isinstance(state, tuple):  # the __dict__, and the slots
            return tuple(self._renewed(part) for part in state)
        if isinstance(state, dict) and any(value is mine for value in state.values()):
            new = PersistenceMetrics(unsupported=mine._unsupported)
            renewed = State(replaced(state, mine, new))
            renewed.mine, renewed.new = mine, new
            return renewed
        return state
