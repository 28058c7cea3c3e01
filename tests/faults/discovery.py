"""Finds the faults that can be tried: the public functions here that return an `Outcome`."""

import inspect
from importlib import import_module
from pathlib import Path

from faults.outcome import Fault, Outcome


def discovered() -> dict[str, Fault]:
    """Return them, each called "module.function"."""
    found: dict[str, Fault] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem == "conftest" or path.stem.startswith("test_"):
            continue
        module = import_module(f"faults.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            is_own = function.__module__ == module.__name__ and not name.startswith("_")
            if is_own and inspect.signature(function).return_annotation is Outcome:
                found[f"{path.stem}.{name}"] = function
    return found
