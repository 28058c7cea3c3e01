"""
Find the exporter of a provider, and give it to one bridge at a time.

A provider keeps its exporter for good, because OpenTelemetry takes no instrument back. A bridge that is
interrupted while it is made gives its exporter up, so that another bridge can be made.
"""

from threading import RLock
from weakref import WeakValueDictionary

from opentelemetry.metrics import MeterProvider

from papyra.system.forks import forget_in_child
from papyra_otel.errors import BridgeError
from papyra_otel.exporter import Exporter


class _Registry:
    """
    The exporters that live.

    Attributes:
        exporters: By the identity of their providers, which they keep alive as long as they live themselves.
        lock: Held to give an exporter an owner.
    """

    def __init__(self) -> None:
        self.exporters: WeakValueDictionary[int, Exporter] = WeakValueDictionary()
        self.lock = RLock()
        forget_in_child(self)

    def _after_fork(self) -> None:
        # Otherwise a bridge would wait for ever for a thread that was just making one.
        self.lock = RLock()


_registry = _Registry()


def exporter_for(provider: MeterProvider, owner: object) -> Exporter:
    """
    Return the exporter of *provider*, with its instruments, for *owner* alone.

    An interrupt may leave *owner* with it; see `disown`. Instruments that were made stay.

    Raises:
        BridgeError: if another bridge has it.
    """
    with _registry.lock:
        exporter = find(provider)
        if exporter is None:
            exporter = _registry.exporters[id(provider)] = Exporter(provider, owner)
        elif exporter.owner is not None:
            raise second(provider)
        exporter.owner = owner
    exporter.create_instruments()
    return exporter


def disown(provider: MeterProvider, owner: object) -> None:
    """Let another bridge have the exporter of *provider*, if *owner* has it."""
    exporter = find(provider)
    if exporter is not None and exporter.owner is owner:
        exporter.owner = None


def find(provider: MeterProvider) -> Exporter | None:
    """
    Return the exporter whose instruments *provider* has, if there is one.

    The global provider is a proxy until the program has set one; then the proxy's instruments are
    the real provider's. Where both have an exporter, the real one's came first.
    """
    real = behind(provider)
    found = [
        exporter
        for reference in _registry.exporters.valuerefs()
        if (exporter := reference()) is not None and behind(exporter.provider) is real
    ]
    return next((one for one in found if one.provider is real), found[0] if found else None)


def behind(provider: MeterProvider) -> MeterProvider:
    """
    Return the provider that the global proxy stands for, if *provider* is that.

    Not asked of `opentelemetry.metrics.get_meter_provider`, which makes and fixes the global
    provider where OTEL_PYTHON_METER_PROVIDER names one.
    """
    real: MeterProvider | None = getattr(provider, "_real_meter_provider", None)
    return provider if real is None else real


def second(provider: MeterProvider) -> BridgeError:
    """Return the error for a second bridge on *provider*."""
    return BridgeError(
        f"this {type(provider).__name__} has a papyra bridge already, and OpenTelemetry would silently drop what a"
        " second one counts; keep one bridge, and add every store to it, or close() the first"
    )
