"""The package where OpenTelemetry is not installed, or not wanted yet."""

import pytest
from otel.readings import run_python

from papyra_otel import __all__ as names

SENTENCE = "papyra_otel.{} needs OpenTelemetry: pip install 'papyra[otel]'"


def test_importing_the_package_imports_no_opentelemetry() -> None:
    assert (
        run_python(
            "import sys, papyra_otel\n"
            "print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus_client'))])"
        )
        == "[]\n"
    )


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.metrics"])
@pytest.mark.parametrize("name", ["MetricsBridge", "prometheus"])
@pytest.mark.parametrize("use", ["papyra_otel.{}", "from papyra_otel import {}"])
def test_the_use_of_a_name_says_what_to_install(missing: str, name: str, use: str) -> None:
    assert (
        run_python(
            f"import sys; sys.modules[{missing!r}] = None\n"
            "import papyra_otel\n"
            f"try: exec({use.format(name)!r})\n"
            "except ImportError as error: print(type(error).__name__, error)"
        )
        == f"ModuleNotFoundError {SENTENCE.format(name)}\n"
    )


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk", "opentelemetry.exporter.prometheus", "prometheus_client"]
)
def test_the_api_alone_is_enough_for_the_bridge_and_not_for_the_server(missing: str) -> None:
    assert (
        run_python(
            f"import sys; sys.modules[{missing!r}] = None\n"
            "import papyra_otel, papyra\n"
            "papyra_otel.MetricsBridge().add(papyra.MemoryBackend())\n"
            "print('opentelemetry.sdk.metrics' in sys.modules)\n"
            "try: papyra_otel.prometheus\n"
            "except ImportError as error: print(error)"
        )
        == f"False\n{SENTENCE.format('prometheus')}\n"
    )


def test_the_errors_need_no_extra() -> None:
    assert (
        run_python(
            "import sys; sys.modules['opentelemetry'] = None\n"
            "from papyra_otel import AddressError, BridgeError\n"
            "print(AddressError.__mro__[1].__name__, BridgeError.__mro__[1].__name__)"
        )
        == "PapyraError PapyraError\n"
    )


def test_a_fault_of_our_own_is_not_told_as_a_missing_extra() -> None:
    assert (
        run_python(
            "import sys; sys.modules['papyra_otel.source'] = None\n"
            "import papyra_otel\n"
            "try: papyra_otel.MetricsBridge\n"
            "except ImportError as error: print(error.name, 'pip' in str(error))"
        )
        == "papyra_otel.source False\n"
    )


def test_the_names_are_sorted_and_each_is_there() -> None:
    assert names == sorted(names)
    assert (
        run_python(
            "import papyra_otel\n"
            "listed = dir(papyra_otel)\n"
            "from papyra_otel import *\n"
            "print([name for name in papyra_otel.__all__ if name in listed and name in globals()])\n"
            "try: papyra_otel.nothing\n"
            "except AttributeError as error: print(error)"
        )
        == f"{names}\nmodule 'papyra_otel' has no attribute 'nothing'\n"
    )
