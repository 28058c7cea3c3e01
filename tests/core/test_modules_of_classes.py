"""A public class says that it is where users import it from, so that no move breaks a pickle."""

import inspect
import pickle
from importlib import import_module

import pytest
from children import run_program
from core.test_public_names import NAMES

import papyra

CLASSES = [
    (module, name)
    for module, names in NAMES.items()
    for name in names
    if inspect.isclass(value := getattr(import_module(module), name))
    and not getattr(value, "_is_protocol", False)
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_a_public_class_is_pickled_by_the_name_that_users_import(module: str, name: str) -> None:
    value = getattr(import_module(module), name)

    assert value.__module__ == (module if not hasattr(papyra, name) else "papyra")
    assert pickle.loads(pickle.dumps(value)) is value


def test_a_record_is_pickled_by_that_name_in_a_program_that_never_used_it() -> None:
    done = run_program("pickled_record")
    assert done.stdout == "False\n"
