"""
Export papyra's counters to OpenTelemetry and Prometheus: exact, whichever process resets them and whenever.

    papyra_otel.prometheus.serve(store)                # http://127.0.0.1:9464/metrics
    papyra_otel.MetricsBridge(meter_provider).add(store)   # into an OpenTelemetry of your own

`increases` works out what each store counted since the last collection, so that no exported total falls. `exporter`
shows that to a provider, under the attributes that `attribute_sets` gives it, by the ten `instruments`. `bridge` is
the way in, and `registry` knows which bridge has which provider. `prometheus` and its `listener` answer scrapes.

Names load with their first use; that is when the extra is needed: pip install 'papyra[otel]'.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from papyra_otel import prometheus
    from papyra_otel.bridge import MetricsBridge
    from papyra_otel.errors import AddressError, BridgeError

__all__ = ["AddressError", "BridgeError", "MetricsBridge", "prometheus"]

_HOMES = {
    "AddressError": "papyra_otel.errors",
    "BridgeError": "papyra_otel.errors",
    "MetricsBridge": "papyra_otel.bridge",
    "prometheus": "papyra_otel.prometheus",
}
#: The top-level packages that the extra brings.
_EXTRA = {"opentelemetry", "prometheus_client"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name is of
    if name not in _HOMES:
        raise AttributeError(f"module 'papyra_otel' has no attribute {name!r}")
    try:
        module = import_module(_HOMES[name])
    except ImportError as error:
        # Anything else that is missing is a fault, and not this one.
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ModuleNotFoundError(
            f"papyra_otel.{name} needs OpenTelemetry: pip install 'papyra[otel]'", name=error.name
        ) from error
    value = module if module.__name__ == f"papyra_otel.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
