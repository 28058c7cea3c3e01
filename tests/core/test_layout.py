"""How the packages are laid out: short modules, packages that each answer one question, one place for 0.3.0."""

import ast
from pathlib import Path
from statistics import median

import papyra

PACKAGE = Path(papyra.__file__).parent
PACKAGES = (PACKAGE, PACKAGE.parent / "papyra_otel")
#: The most lines of a module, and the median of all.
MOST, MEDIAN = 350, 120
#: The public faces: their docstrings are what `help` shows users first.
FACES = {"papyra", "papyra_otel"}


def modules() -> dict[str, str]:
    """Return the text of each module, by its path in the repository."""
    return {
        path.relative_to(PACKAGE.parent).as_posix(): path.read_text()
        for package in PACKAGES
        for path in sorted(package.rglob("*.py"))
    }


def sizes() -> dict[str, int]:
    """Return the number of lines of each module."""
    return {path: text.count("\n") for path, text in modules().items()}


def summary(text: str) -> str:
    """Return the first paragraph of a module's docstring."""
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]


def test_no_module_is_long() -> None:
    assert {path for path, lines in sizes().items() if lines > MOST} == set()


def test_half_of_the_modules_are_short() -> None:
    assert len(sizes()) > 100
    assert median(sizes().values()) <= MEDIAN


def test_each_package_begins_with_the_question_that_it_answers() -> None:
    packages = {
        Path(path).parent.as_posix(): summary(text)
        for path, text in modules().items()
        if path.endswith("/__init__.py")
    }

    assert packages.keys() > FACES
    for name, question in packages.items():
        assert name in FACES or question.endswith("?"), f"{name}: {question}"


def test_a_module_about_030_says_so_in_its_path() -> None:
    about = {path for path, text in modules().items() if "0.3.0" in summary(text)}

    assert len(about) > 3
    assert {path for path in about if "legacy" not in path} == set()


def test_classes_for_030_are_defined_in_its_modules() -> None:
    classes = {
        (path, node.name)
        for path, text in modules().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and "Legacy" in node.name
    }

    assert classes
    assert {name for path, name in classes if "legacy" not in path} == set()
