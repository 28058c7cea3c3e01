"""Programs that tests run in child processes are files, so that they are linted and type-checked."""

import ast
from collections.abc import Iterator
from pathlib import Path

from children import PROGRAMS

TESTS = PROGRAMS.parent


def is_program(text: str) -> bool:
    """Tell whether *text* is a program of three lines or more that imports a module."""
    if "import " not in text or sum(map(bool, map(str.strip, text.splitlines()))) < 3:
        return False
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string in *tree*; a value within it is left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part for part in node.values if isinstance(part, ast.Constant))
            yield node.lineno, "_".join(str(part.value) for part in parts)


def programs_in(path: Path) -> list[str]:
    """Return where *path* has programs in strings."""
    tree = ast.parse(path.read_text())
    return [f"{path.name}:{line}" for line, text in strings(tree) if is_program(text)]


def test_no_test_has_a_program_in_a_string() -> None:
    assert [place for path in sorted(TESTS.rglob("*.py")) for place in programs_in(path)] == []


def test_a_program_in_a_string_is_found_and_one_line_is_none(tmp_path: Path) -> None:
    path = tmp_path / "planted.py"
    path.write_text(
        'P = """\nimport os\nx = 1\nprint(x)\n"""\n'
        'Q = f"import os\\nx = {1}\\nprint(x)"\n'
        'R = "import os; x = 1; print(x)"\n'
        'S = "an import of\\nthree\\nlines"\n'
    )

    assert programs_in(path) == ["planted.py:1", "planted.py:6"]


def test_each_program_says_what_it_does_and_is_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in TESTS.rglob("*.py") if path.parent != PROGRAMS)

    for path in PROGRAMS.glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
        assert f'"{path.stem}"' in tests or f'"{path.name}"' in tests, path
