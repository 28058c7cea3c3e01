"""What a program may import of papyra_otel: a name that comes or goes changes a list here."""

import inspect
from importlib import import_module

import pytest
from core.test_public_names import attributes, public, used

import papyra_otel

NAMES = {
    "papyra_otel": ["AddressError", "BridgeError", "MetricsBridge", "prometheus"],
    "papyra_otel.prometheus": ["GuardedReader", "PrometheusServer", "serve"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_these_public_names_and_no_others(name: str) -> None:
    module = import_module(name)

    assert public(module) == set(NAMES[name])
    for public_name in NAMES[name]:
        assert hasattr(module, public_name)


def test_papyra_otel_lists_its_names_in_order() -> None:
    assert papyra_otel.__all__ == NAMES["papyra_otel"]
    assert set(papyra_otel.__all__) <= set(dir(papyra_otel))


@pytest.mark.parametrize("name", NAMES)
def test_the_type_checked_program_uses_every_public_name_and_attribute(name: str) -> None:
    module = import_module(name)
    wanted = set(NAMES[name])
    for value in (getattr(module, public_name) for public_name in NAMES[name]):
        if inspect.isclass(value):
            wanted |= attributes(value)

    assert wanted - used() == set()
