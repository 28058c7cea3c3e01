"""Who imports whom, and what works where something is missing."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal, get_origin

import pytest

import papyra

PACKAGE = Path(papyra.__file__).parent
#: Which package may import which; with each it may import what that one may. The root's modules stand
#: for themselves.
ALLOWED = {
    "errors": set(),
    "retention": set(),
    "units": set(),
    "reports": {"errors"},
    "record": {"errors"},
    "system": {"errors"},
    "format": {"record"},
    "metrics": {"system"},
    "reading": {"format", "reports", "retention"},
    "writing": {"format", "metrics", "reports"},
    "primitives": {"reading", "writing"},
    "backend": {"primitives"},
    "backends": {"backend"},
    "transfer": {"backend"},
    "store_path": {"backends"},
    "suggestions": set(),
    "store_url": {"store_path", "suggestions", "units"},
    "exposition": {"store_url"},
    "aio": {"exposition"},
    "cli": {"exposition", "transfer"},
}
#: These load what they name with its first use.
ENTRANCES = {"", "__main__"}
#: What is imported of others, and where alone.
EXTRAS = {
    "orjson": {"format.codec"},
    "click": {"cli"},
    "redis": {"backends.redis"},
}


def modules() -> dict[str, set[str]]:
    """Return what each module of papyra imports, itself left out."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        imported = found.setdefault(name.removesuffix("__init__").removesuffix("."), set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import"
                here = PACKAGE.parent.joinpath(*str(node.module).split("."))
                for alias in node.names:  # a module of a package, or a name of a module
                    is_module = (here / f"{alias.name}.py").exists() or (here / alias.name).is_dir()
                    imported.add(f"{node.module}.{alias.name}" if is_module else str(node.module))
    return found


def below(package: str) -> set[str]:
    """Return all that *package* may import."""
    return ALLOWED[package] | {deeper for low in ALLOWED[package] for deeper in below(low)}


def test_packages_import_in_one_direction() -> None:
    for name, imported in modules().items():
        package = name.split(".")[0]
        if package in ENTRANCES:
            continue
        own = {module.split(".")[1] for module in imported if module.startswith("papyra.")}
        assert own - {package} <= below(package), name


def test_modules_import_one_another_in_no_circle() -> None:
    known = modules()
    graph = {
        name: {module.removeprefix("papyra.") for module in imported} & known.keys()
        for name, imported in known.items()
        if name
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


def test_concrete_stores_do_not_import_one_another() -> None:
    stores = {
        "backends.memory", "backends.files.json_file", "backends.files.rotating",
        "backends.redis.store",
    }  # fmt: skip
    for name, imported in modules().items():
        if name in stores:
            assert not {f"papyra.{other}" for other in stores - {name}} & imported


def test_others_are_imported_in_one_place_each() -> None:
    for name, imported in modules().items():
        for module in imported:
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top == "papyra":
                continue
            assert top in EXTRAS, f"{name} imports {module}"
            assert any(name == place or name.startswith(f"{place}.") for place in EXTRAS[top])
    assert not any("papyra_otel" in module for found in modules().values() for module in found)


def test_only_the_package_of_the_system_knows_fcntl() -> None:
    knowing = {path for path in PACKAGE.rglob("*.py") if "fcntl" in path.read_text()}
    assert {path.parent.name for path in knowing} == {"system"}


def run(program: str, *arguments: str) -> str:
    """Return what a Python program prints."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_import_papyra_loads_the_standard_library_alone() -> None:
    program = """
import sys
sys.modules["orjson"] = None
before = set(sys.modules)
import papyra
for name in papyra.__all__:
    getattr(papyra, name)
print({name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
"""
    assert run(program) == "{'papyra'}\n"


def test_names_load_when_they_are_used() -> None:
    program = "import sys, papyra; print([m for m in sys.modules if m.startswith('papyra.')])"
    assert run(program) == "[]\n"


def test_the_public_names_are_these() -> None:
    assert papyra.__all__ == sorted(
        papyra.__all__, key=lambda n: (n[0].islower(), not n.isupper(), n)
    )
    assert set(papyra.__all__) <= set(dir(papyra))
    for name in papyra.__all__:
        value = getattr(papyra, name)
        assert value.__doc__ or get_origin(value) is Literal  # an alias has no docstring
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        papyra.nothing  # noqa: B018  the access is the point


WITHOUT = """
import os, sys
sys.modules["fcntl"] = None
for name in ("fdatasync", "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "posix_fallocate", "register_at_fork", "pread",
             "fchmod", "geteuid"):
    if hasattr(os, name):
        delattr(os, name)
import threading
from papyra import *
path = sys.argv[1]
store = open_store("json:" + path, retention=Retention(max_records=400))
threads = [threading.Thread(target=lambda: [store.append(Record("event", data={"n": n})) for n in range(100)])
           for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with open(path, "ab") as file: file.write(b"no record\\n{torn")
store.append(Record("event", data={"n": 1}))
assert store.scan().found == 2
assert store.recover().clean
store.append(Record("event", data={"n": 2}))
assert store.compact().dropped == 2
assert len(store.read()) == 400 == len(list(store.records()))
assert store.read(limit=1)[0].data == {"n": 2}
store.close()
again = open_store("json:" + path, sync="always")
again.append(Record("event"))
again.close()
assert not os.path.exists(path + ".metrics")
print(store.metrics.snapshot()["records_written"], len(again.metrics.snapshot()))
"""

UNMOVABLE = """
import os
def is_open(path):
    there = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return any(os.path.exists(name) and os.path.samefile(name, path) for name in there)
def unless_open(name):
    real = getattr(os, name)
    def checked(*paths):
        for path in paths:
            if os.path.isfile(path) and is_open(path):
                raise PermissionError(13, "it is being used", path)
        real(*paths)
    setattr(os, name, checked)
for name in ("rename", "replace", "unlink"):
    unless_open(name)
"""

ROTATING = """
path = sys.argv[1] + ".log"
with open_store("rotating:" + path + "?max_bytes=400", retention=Retention(max_records=5)) as store:
    for n in range(9): store.append(Record("event", data={"n": n}))
    with open(path, "ab") as file: file.write(b"no record\\n")
    saved = store.recover().quarantine
    assert saved and store.recover(undo=saved).restored == 10
    assert store.compact().kept == 5
    assert [record.data["n"] for record in store.read(strict=True)] == [4, 5, 6, 7, 8]
"""


def test_the_json_store_works_where_the_system_has_less(tmp_path: Path) -> None:
    assert run(WITHOUT, str(tmp_path / "store.ndjson")) == "402 10\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is open cannot be told")
def test_both_file_stores_work_where_no_open_file_is_renamed_or_replaced(tmp_path: Path) -> None:
    """As on Windows."""
    assert run(UNMOVABLE + WITHOUT + ROTATING, str(tmp_path / "store.ndjson")) == "402 10\n"
