"""
Create the ten instruments of one provider, each once, whatever interrupts that.

`papyra_otel.exporter` has one `Instruments` for each provider; nothing here knows a store.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from threading import Thread
from typing import TypeAlias

from opentelemetry.metrics import (
    CallbackOptions,
    Meter,
    MeterProvider,
    NoOpMeter,
    NoOpMeterProvider,
    Observation,
)

from papyra.metrics.names import COUNTERS
from papyra.system.log import warn

#: Returns the observations of the counter that it is given.
Observe: TypeAlias = Callable[[str, CallbackOptions], list[Observation]]


class Instruments:
    """
    The observable counters that ask *observe*.

    OpenTelemetry takes no instrument back, and silently drops a second one of the same name. So
    instruments stay once they are made, and `create` makes the missing ones.
    """

    def __init__(self, provider: MeterProvider, observe: Observe) -> None:
        self._provider = provider
        self._observe = observe
        self._missing = list(COUNTERS)
        self._failures: list[BaseException] = []
        self._maker: Thread | None = None

    def create(self) -> None:
        """Make those that are missing."""
        if self._maker is not None and self._maker.is_alive():  # an interrupt ended waiting for it
            self._maker.join()
        if not self._missing:
            return
        self._failures.clear()
        meter = self._provider.get_meter("papyra_otel", _version())
        if isinstance(meter, NoOpMeter) and not isinstance(self._provider, NoOpMeterProvider):
            warn(
                "%r exports nothing: it was shut down, or OTEL_SDK_DISABLED is set; the counters"
                " can be read from papyra.exposition, and from papyra_otel.prometheus.serve",
                self._provider,
            )
        # A thread of its own: Ctrl-C, which strikes the main thread, cannot leave an instrument that
        # OpenTelemetry has half registered. That is never exported, and cannot be made again.
        self._maker = Thread(target=self._make, args=(meter,), daemon=True)
        try:
            self._maker.start()
        except RuntimeError:  # the system, or an interpreter that ends, has no more threads
            self._make(meter)
        else:
            self._maker.join()
        if self._failures:
            raise self._failures.pop()

    def _make(self, meter: Meter) -> None:
        try:
            for counter in self._missing.copy():
                meter.create_observable_counter(
                    f"papyra.persistence.{counter.name}",
                    callbacks=[partial(self._observe, counter.name)],
                    unit=counter.unit,
                    description=counter.meaning,
                )
                self._missing.remove(counter)
        except BaseException as error:  # noqa: BLE001  raised by `create`
            self._failures.append(error)


def _version() -> str | None:
    try:
        return version("papyra")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return None
