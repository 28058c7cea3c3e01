"""
Answer a MeterProvider's collections with the totals of papyra's counters.

An exporter belongs to a provider and outlives bridges. OpenTelemetry cannot take an instrument
back, and silently drops the callback of a second one of the same name. So each provider has one
exporter for good, which one bridge after the other owns.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import Final, TypeAlias

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from papyra.metrics.exportable import Counters
from papyra.metrics.names import NAMES
from papyra.system.forks import forget_in_child
from papyra.system.log import warn
from papyra_otel.attribute_sets import MAX_ATTRIBUTE_SETS, OTHER, STORE_NAME, AttributeSets
from papyra_otel.errors import BridgeError
from papyra_otel.increases import Left, Source, identity_of
from papyra_otel.instruments import Instruments

#: A message for the log, and its arguments.
_Note: TypeAlias = tuple[object, ...]
_FAILED: Final = "the counters of %r cannot be read; the last ones stay exported: %r"
_FOLDED: Final = (
    "the store %r and all that come after %d others are exported together, as"
    " %s=%r; give stores that come and go one name, with bridge.add(store, name=...)"
)
_FELL: Final = (
    "the counters of all programs of %r fell: they were removed, or a power cut took the last ones;"
    " the export may lack the counts since the last one"
)


class Exporter:
    """
    The ten instruments of one provider, and the totals that they show.

    Args:
        provider: Its instruments refer to the exporter, so it lives as long as they do.

    Attributes:
        owner: The open bridge that feeds it, or None.
    """

    def __init__(self, provider: MeterProvider, owner: object) -> None:
        self.provider = provider
        self.owner: object = owner
        # Held while counters are read. Those of a store wait for no other thread. A sum over all programs
        # waits for its files or server, and foreign counters may wait for anything. The lock lets its own
        # thread in again: a finalizer may add or remove a store there, which then waits its turn.
        self._lock = RLock()
        self._is_at_work = False
        self._late: deque[Callable[[], list[_Note]]] = deque()
        # By the identity of their counters, because a foreign store may have no hash.
        self._sources: dict[object, Source] = {}
        # Sources that were removed, so that none of their counts is exported twice when they are added again.
        self._left: dict[object, Left] = {}
        self._most_left = 16
        self._sets = AttributeSets()
        # Asked for since the last sweep; at first all, so that the first question sweeps.
        self._served = set(NAMES)
        self._instruments = Instruments(provider, self._observe)
        forget_in_child(self)

    def create_instruments(self) -> None:
        """Make those of the ten observable counters that are missing."""
        self._instruments.create()

    def add(self, source: Source, owner: object) -> None:
        """
        Show the counts of *source* from now on.

        Raises:
            BridgeError: if it is shown under another name, or *owner* has left.
        """
        _log_notes(self._alone(partial(self._add, source, owner)))

    def _add(self, source: Source, owner: object) -> "list[_Note]":
        self._check(owner)
        known = self._sources.get(source.identity)
        if known is not None:
            if source.is_named and known.name != source.name:
                raise BridgeError(
                    f"the {known.kind} store {known.name!r} is exported under that name; as"
                    f" {source.name!r} too, its counts would be there twice: add it once, under one"
                    " name"
                )
            return []
        source.series, is_first_folded = self._sets.join(
            source.kind, source.name, source.scope, source.counted
        )
        left = self._left.pop(source.identity, None)
        if left is not None:
            source.go_on_from(left)
        self._sources[source.identity] = source
        if is_first_folded:
            return [(_FOLDED, source.name, MAX_ATTRIBUTE_SETS, STORE_NAME, OTHER)]
        return []

    def _alone(self, do: "Callable[[], list[_Note]]") -> "list[_Note]":
        """
        Call *do* while no other thread does anything here, and return what is to be logged.

        A call that interrupts another one in the same thread is made when that has ended; if it is refused,
        the refusal is logged then.
        """
        with self._lock:
            if self._is_at_work:
                self._late.append(do)
                return []
            self._is_at_work = True
            try:
                return do() + self._do_late()
            finally:
                self._is_at_work = False

    def _do_late(self) -> "list[_Note]":
        notes: list[_Note] = []
        while self._late:
            try:
                notes += self._late.popleft()()
            except BridgeError as error:
                notes.append(("%s", error))
        return notes

    def remove(self, counters: Counters, owner: object) -> None:
        """Keep the counts of *counters* until now, and show no later ones."""
        _log_notes(self._alone(partial(self._remove, counters, owner)))

    def _remove(self, counters: Counters, owner: object) -> "list[_Note]":
        self._check(owner)
        source = self._sources.get(identity_of(counters))
        return [] if source is None else self._leave([source])

    def leave(self, owner: object) -> None:
        """Take in the counts of all sources, and let go of them and of *owner*."""
        _log_notes(self._alone(partial(self._leave_all, owner)))

    def _leave_all(self, owner: object) -> "list[_Note]":
        if self.owner is not owner:
            return []
        notes = self._leave(list(self._sources.values()))
        self.owner = None
        return notes

    def _leave(self, sources: list[Source]) -> "list[_Note]":
        notes = self._take(sources)
        for source in sources:
            left = source.leave()
            if left is not None:
                self._left[source.identity] = left
            del self._sources[source.identity]
        if len(self._left) > self._most_left:
            self._left = {key: left for key, left in self._left.items() if not left.is_lost}
            self._most_left = 2 * len(self._left) + 16
        return notes

    def _check(self, owner: object) -> None:
        if self.owner is not owner:
            raise BridgeError(
                "the bridge is closed; make another one on the same provider: it goes on from what"
                " this one exported"
            )

    def _observe(self, counter: str, _: CallbackOptions) -> list[Observation]:
        observations: list[Observation] = []
        _log_notes(self._alone(partial(self._look, counter, observations)))
        return observations

    def _look(self, counter: str, observations: list[Observation]) -> "list[_Note]":
        notes: list[_Note] = []
        # A collection asks for each counter once, and a View may leave out any of them. So a counter that
        # is asked for again begins another collection, and one collection shows one moment of each store.
        if counter in self._served:
            notes = self._sweep()
            self._served.clear()
        self._served.add(counter)
        observations += [
            Observation(series.totals[counter], series.attributes)
            for series in self._sets
            if counter in series.totals
        ]
        return notes

    def _sweep(self) -> "list[_Note]":
        """Take in the counts of all sources, and forget those whose stores are gone."""
        sources = list(self._sources.values())
        # Asked before the reading: a reading after the store's end has all its counts.
        gone = [source for source in sources if source.gone]
        notes = self._take(sources)
        for source in gone:
            del self._sources[source.identity]
        return notes

    def _take(self, sources: list[Source]) -> "list[_Note]":
        """Take in the counts of *sources*; return what is to be logged once no lock is held."""
        notes: list[_Note] = []
        for source in sources:
            try:
                if source.take():
                    notes.append((_FELL, source.name))
            except Exception as error:  # noqa: BLE001  a fault of foreign counters must not hide the others
                if not source.failing:
                    notes.append((_FAILED, source.name, error))
                source.failing = True
            else:
                source.failing = False
        return notes

    def _after_fork(self) -> None:
        self._lock = RLock()
        self._is_at_work = False
        self._late.clear()
        # Copies, because a finalizer may add or remove a store meanwhile.
        for source in list(self._sources.values()):
            source.forget_in_child()
        for left in list(self._left.values()):
            left.forget_in_child()


def _log_notes(notes: list[_Note]) -> None:
    for message, *arguments in notes:
        warn(str(message), *arguments)
