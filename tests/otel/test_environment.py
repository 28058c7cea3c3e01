"""What the environment tells OpenTelemetry's SDK neither hides papyra's numbers nor takes the program's provider."""

import os
import subprocess

import opentelemetry.environment_variables as of_the_api
import pytest
from children import program
from opentelemetry.sdk import environment_variables as of_the_sdk

#: All that the SDK and the API read, or say that they read.
VARIABLES = sorted(
    str(value)
    for module in (of_the_api, of_the_sdk)
    for name, value in vars(module).items()
    if name.startswith("OTEL_")
)

SERVED = (
    '8 papyra_persistence_records_written_total{papyra_backend_kind="memory",'
    'papyra_store_name="memory"} 1.0\n'
)


def run(environment: dict[str, str], name: str = "otel_in_an_environment") -> tuple[str, str]:
    """Return what the program *name* prints, and its log, where only *environment* tells OpenTelemetry something."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        program(name),
        check=False,
        capture_output=True,
        text=True,
        env=kept | environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_PYTHON_METER_PROVIDER", "sdk_meter_provider"),
        ("OTEL_PYTHON_METER_PROVIDER", "default_meter_provider"),
        ("OTEL_PYTHON_METER_PROVIDER", "bogus"),
        ("OTEL_PYTHON_METER_PROVIDER", ""),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "bogus"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
        ("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,broken,=,%zz"),
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "bogus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "bogus"),
        ("OTEL_PYTHON_CONTEXT", "bogus"),
    ],
)
def test_one_variable_changes_nothing(variable: str, value: str) -> None:
    assert variable in VARIABLES
    assert run({variable: value})[0] == f"{SERVED}8 [1]\nTrue\n"


@pytest.mark.parametrize("value", ["", "0", "-1", "bogus", "none", "false", "console"])
def test_all_variables_together_change_nothing(value: str) -> None:
    assert run(dict.fromkeys(VARIABLES, value))[0] == f"{SERVED}8 [1]\nTrue\n"


@pytest.mark.parametrize("others", [[], VARIABLES])
def test_a_disabled_sdk_hides_no_page_and_a_warning_names_the_programs_own_provider(
    others: list[str],
) -> None:
    """To disable it is the operator's wish, and about the program's provider: it is heeded there, aloud."""
    printed, logged = run(dict.fromkeys([*others, "OTEL_SDK_DISABLED"], "true"))
    assert printed == f"{SERVED}0 []\nTrue\n"
    assert "exports nothing: it was shut down, or OTEL_SDK_DISABLED is set" in logged


def test_a_global_provider_that_cannot_be_made_is_an_error_that_says_why() -> None:
    printed, _ = run({"OTEL_PYTHON_METER_PROVIDER": "bogus"}, "refused_bridge")
    assert printed == (
        "OTEL_PYTHON_METER_PROVIDER names a global provider that cannot be made (StopIteration());"
        " correct it, or pass a provider\n"
    )


def test_a_bridge_of_a_provider_that_is_passed_asks_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from opentelemetry.sdk.metrics import MeterProvider

    from papyra import MemoryBackend
    from papyra_otel import BridgeError, MetricsBridge, bridge

    def never() -> None:
        raise AssertionError("the global provider was asked for")

    monkeypatch.setattr(bridge, "get_meter_provider", never)
    monkeypatch.setattr("opentelemetry.metrics.get_meter_provider", never)
    monkeypatch.setattr("opentelemetry.metrics._internal.get_meter_provider", never)
    provider = MeterProvider(shutdown_on_exit=False)
    first = MetricsBridge(provider)
    first.add(MemoryBackend())
    with pytest.raises(BridgeError):
        MetricsBridge(provider)
    first.close()
    MetricsBridge(provider).close()
