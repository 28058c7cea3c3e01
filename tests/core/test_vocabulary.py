"""One word of the field for each thing: no name in the code uses a word that was replaced."""

import ast
from collections.abc import Iterator
from pathlib import Path

import papyra

ROOT = Path(__file__).parents[2]
#: What no name is, in any of the code; underscores around a name do not count. `docs/glossary.md`
#: has the words that are used.
REPLACED = {
    "Told", "tell", "untold", "met", "met_reading", "turn_away", "handed_over", "mend", "door",
    "gate", "Book", "BookMaker", "LocalBook", "Tally", "tally", "Found", "Seen", "Judge", "judge",
    "Sorter", "sorter", "Part", "Piece",
}  # fmt: skip
#: What no name in the tests is besides.
REPLACED_IN_TESTS = {
    "autopsy", "nursery", "ledger", "account", "told", "watched", "places", "kills", "killing",
}  # fmt: skip
#: Names that another library prescribes, by file.
PRESCRIBED = {
    "pykka_lifecycle.py": {"tell"},  # what pykka calls the method that sends a message
}


def defined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of all that *tree* defines: classes, functions, values, arguments."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield node.lineno, name
            case ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def misnamed(path: Path, replaced: set[str]) -> list[str]:
    """Return what of *path* has a name among *replaced*, the file's own name included."""
    names = [(1, path.stem), *defined(ast.parse(path.read_text()))]
    allowed = PRESCRIBED.get(path.name, set())
    return [
        f"{path.name}:{line}: {name}"
        for line, name in names
        if name.strip("_") in replaced - allowed
    ]


def misnamed_below(folder: Path, replaced: set[str]) -> list[str]:
    """Return what of the modules below *folder* has a name among *replaced*."""
    paths = sorted(folder.rglob("*.py"))
    assert paths
    return [name for path in paths for name in misnamed(path, replaced)]


def test_no_name_of_the_packages_is_one_that_was_replaced() -> None:
    place = Path(papyra.__file__).parent
    assert misnamed_below(place, REPLACED) == []
    assert misnamed_below(place.parent / "papyra_otel", REPLACED) == []


def test_no_name_of_the_tests_examples_and_benchmarks_is_one_that_was_replaced() -> None:
    replaced = REPLACED | REPLACED_IN_TESTS
    assert misnamed_below(ROOT / "tests", replaced) == []
    assert misnamed_below(ROOT / "examples", replaced) == []
    assert misnamed_below(ROOT / "benchmarks", replaced) == []


def test_each_kind_of_definition_is_looked_at(tmp_path: Path) -> None:
    planted = {
        "class Book: pass": "Book",
        "def tell(): pass": "tell",
        "async def _turn_away(): pass": "_turn_away",
        "def wait(*, door): pass": "door",
        "lambda gate: gate": "gate",
        "_mend = 1": "_mend",
        "self._met_reading = 1": "_met_reading",
        "for met in (): pass": "met",
        "(untold := 1)": "untold",
        "import json as Found": "Found",
        "try: pass\nexcept OSError as Seen: pass": "Seen",
        "match 1:\n    case Part: pass": "Part",
        "match 1:\n    case [*Piece]: pass": "Piece",
        "match 1:\n    case {**Judge}: pass": "Judge",
    }
    for text, name in planted.items():
        path = tmp_path / "planted.py"
        path.write_text(text)
        assert [found.rpartition(": ")[2] for found in misnamed(path, REPLACED)] == [name]
    assert len(set(planted.values())) == len(planted)
    (tmp_path / "nursery.py").write_text("")
    assert misnamed(tmp_path / "nursery.py", REPLACED_IN_TESTS) == ["nursery.py:1: nursery"]


def test_a_name_that_is_only_used_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "used.py"
    path.write_text("file.tell()\nfound = Found_ is judged")
    assert misnamed(path, REPLACED) == []
