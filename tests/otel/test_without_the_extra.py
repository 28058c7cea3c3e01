"""The package where OpenTelemetry is not installed, or not wanted yet."""

import subprocess
import sys

import pytest
from otel.readings import run_strictly

from papyra_otel import __all__ as names

SENTENCE = "papyra_otel.{} needs OpenTelemetry: pip install 'papyra[otel]'"


def test_importing_the_package_imports_no_opentelemetry() -> None:
    loaded = (
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus_client'))])"
    )
    command = [sys.executable, "-W", "error", "-c", f"import sys, papyra_otel; {loaded}"]
    assert subprocess.check_output(command, text=True) == "[]\n"


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.metrics"])
@pytest.mark.parametrize("name", ["MetricsBridge", "prometheus"])
@pytest.mark.parametrize("use", ["papyra_otel.{}", "from papyra_otel import {}"])
def test_the_use_of_a_name_says_what_to_install(missing: str, name: str, use: str) -> None:
    printed = run_strictly("otel_without", missing, use.format(name))
    assert printed == f"ModuleNotFoundError {SENTENCE.format(name)}\n"


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk", "opentelemetry.exporter.prometheus", "prometheus_client"]
)
def test_the_api_alone_is_enough_for_the_bridge_and_not_for_the_server(missing: str) -> None:
    printed = run_strictly(
        "otel_without",
        missing,
        "papyra_otel.MetricsBridge().add(papyra.MemoryBackend())",
        "print('opentelemetry.sdk.metrics' in sys.modules)",
        "papyra_otel.prometheus",
    )
    assert printed == f"False\nModuleNotFoundError {SENTENCE.format('prometheus')}\n"


def test_the_errors_need_no_extra() -> None:
    printed = run_strictly(
        "otel_without",
        "opentelemetry",
        "from papyra_otel import AddressError, BridgeError",
        "print(AddressError.__mro__[1].__name__, BridgeError.__mro__[1].__name__)",
    )
    assert printed == "PapyraError PapyraError\n"


def test_a_fault_of_our_own_is_not_told_as_a_missing_extra() -> None:
    printed = run_strictly("otel_without", "papyra_otel.increases", "papyra_otel.MetricsBridge")
    reason = "import of papyra_otel.increases halted; None in sys.modules"
    assert printed == f"ModuleNotFoundError {reason}\n"


def test_the_names_are_sorted_and_each_is_there() -> None:
    assert names == sorted(names)
    no_such_name = "module 'papyra_otel' has no attribute 'nothing'"
    assert run_strictly("otel_public_names") == f"{names}\n{no_such_name}\n"
