"""Who imports whom, and what works where something is missing."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal, get_origin

import pytest
from children import run_program

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
    "capabilities": {"reports"},
    "store_object": {"primitives", "capabilities"},
    "maintenance": {"reading"},
    "backend": {"store_object", "maintenance"},
    "backends": {"backend"},
    "transfer": {"backend"},
    "suggestions": {"backends"},
    "url_options": {"suggestions"},
    "store_url": {"url_options", "units"},
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


def test_import_papyra_loads_the_standard_library_alone() -> None:
    assert run_program("all_public_names").stdout == "{'papyra'}\n"


def test_names_load_when_they_are_used() -> None:
    program = "import sys, papyra; print([m for m in sys.modules if m.startswith('papyra.')])"
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True) == "[]\n"


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


def test_the_json_store_works_where_the_system_has_less(tmp_path: Path) -> None:
    done = run_program("with_less_of_the_system", tmp_path / "store.ndjson")
    assert done.stdout == "402 10\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is open cannot be told")
def test_both_file_stores_work_where_no_open_file_is_renamed_or_replaced(tmp_path: Path) -> None:
    """As on Windows."""
    done = run_program("with_less_of_the_system", tmp_path / "store.ndjson", "unmovable")
    assert done.stdout == "402 10\n"
