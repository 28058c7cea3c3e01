"""What a program may import of papyra: a name that comes or goes changes a list here."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import papyra

PAPYRA = [
    "COUNTERS",
    "Anomaly",
    "CompactionReport",
    "CorruptRecordError",
    "CounterName",
    "ForkedStoreError",
    "ImportReport",
    "JsonBackend",
    "MemoryBackend",
    "NotAStoreError",
    "NotPublishedError",
    "PapyraError",
    "PersistenceBackend",
    "PersistenceMetrics",
    "PersistenceMetricsMixin",
    "Quarantined",
    "Record",
    "RecordError",
    "RecoveryReport",
    "Retention",
    "RotatingBackend",
    "ScanReport",
    "Step",
    "StoreBusyError",
    "StoreClosedError",
    "StoreFailedError",
    "StoreIOError",
    "StoreLockedError",
    "StoreNotFoundError",
    "StoreURLError",
    "UndoError",
    "UnreadableRecordError",
    "UnsupportedError",
    "WriteOutcomeUnknownError",
    "import_store",
    "open_counters",
    "open_store",
]
PRIMITIVES = [
    "MAX_LINE",
    "Anomaly",
    "RewriteFilter",
    "Line",
    "Verdict",
    "WouldBlock",
    "Primitives",
    "Rewritten",
    "Sync",
]
NAMES = {
    "papyra": PAPYRA,
    "papyra.aio": ["AsyncBackend", "open_store"],
    "papyra.exposition": ["CONTENT_TYPE", "Named", "exposition"],
    "papyra.primitives": PRIMITIVES,
}
PROGRAM = Path(__file__).parents[1] / "typed" / "program.py"
_ATTRIBUTES = re.compile(r"^Attributes:\n((?:(?:    .*)?\n)+)", re.MULTILINE)


def public(module: ModuleType) -> set[str]:
    """Return the names that *module* lists, or else those that it binds and does not import."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    bound: set[str] = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in bound if not name.startswith("_")}


def attributes(cls: type) -> set[str]:
    """Return the public attributes of *cls* that papyra's code defines or its docstrings name."""
    found: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] not in {"papyra", "papyra_otel"}:
            continue
        found |= {*vars(base), *inspect.get_annotations(base)}
        # Python 3.13 takes the indentation out of docstrings, older ones do not.
        for block in _ATTRIBUTES.findall(f"{inspect.cleandoc(base.__doc__ or '')}\n"):
            found |= set(re.findall(r"^    (\w+):", block, re.MULTILINE))
    return {name for name in found if not name.startswith("_")}


def used() -> set[str]:
    """Return the names and attributes that the type-checked program uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_these_public_names_and_no_others(name: str) -> None:
    module = import_module(name)

    assert public(module) == set(NAMES[name])
    for public_name in NAMES[name]:
        assert hasattr(module, public_name)


def test_papyra_has_its_version_and_its_exposition_beside_them() -> None:
    assert isinstance(papyra.__version__, str)
    assert papyra.exposition is import_module("papyra.exposition")


@pytest.mark.parametrize("name", ["papyra", "papyra.aio", "papyra.exposition"])
def test_the_type_checked_program_uses_every_public_name_and_attribute(name: str) -> None:
    module = import_module(name)
    wanted = set(NAMES[name])
    for value in (getattr(module, public_name) for public_name in NAMES[name]):
        if inspect.isclass(value):
            wanted |= attributes(value)

    assert wanted - used() == set()


def test_the_attributes_of_a_class_are_those_that_it_defines_inherits_or_documents() -> None:
    assert attributes(papyra.WriteOutcomeUnknownError) == {
        "first", "ids", "lines", "resent", "source", "time", "writer",
    }  # fmt: skip
    assert {"append", "metrics", "name", "retention"} < attributes(papyra.JsonBackend)
