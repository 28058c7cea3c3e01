"""The examples, as modules and as programs."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import PROGRAMS

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def load() -> Callable[[str], Any]:
    """Load an example as a module."""

    def load_module(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_module


def python(directory: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Start Python away from the source, with the examples at hand and every warning an error."""
    # By PYTHONPATH, since PYTHONSAFEPATH may keep a script's own directory out.
    path = os.pathsep.join(filter(None, [str(EXAMPLES), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-W", "error", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path},
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a program, once it has ended."""
    with process:
        output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start an example as a program."""
    return lambda name, *arguments: python(tmp_path, EXAMPLES / f"{name}.py", *arguments)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Run an example as a program; exit code, stdout and stderr."""
    return lambda name, *arguments: ended(python(tmp_path, EXAMPLES / f"{name}.py", *arguments))


@pytest.fixture
def run_beside(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Run a program of the tests' that may import the examples; exit code, stdout and stderr."""
    return lambda name, *arguments: ended(python(tmp_path, PROGRAMS / f"{name}.py", *arguments))
