"""
What runs while a lock is held can be interrupted without leaving it locked.

Python 3.12 and 3.13 have a hole there: a jump back that hangs on a condition (of a `while`, or of an `if`
that ends a loop) is in no entry of the exception table, and signals are looked at just there.
"""

import ast
import dis
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import papyra

PACKAGE = Path(papyra.__file__).parent


def held(tree: ast.Module) -> set[int]:
    """Return the lines of all blocks that hold a lock."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and "lock" in (what := ast.unparse(node.items[0]))
        and not what.startswith("open(")  # /proc/locks
        for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)
    }


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def unguarded(code: CodeType, lines: set[int]) -> Iterator[str]:
    """Yield the jumps back in *lines* that no handler covers, though it covers what is before."""
    entries = [(entry.start, entry.end) for entry in dis.Bytecode(code).exception_entries]  # type: ignore[attr-defined]  # typeshed lacks it
    was_covered = False
    for step in dis.get_instructions(code):
        line = step.positions.lineno if step.positions else None
        covered = any(start <= step.offset < end for start, end in entries)
        if step.opname == "JUMP_BACKWARD" and was_covered and not covered and line in lines:
            yield f"{code.co_qualname}, line {line}"
        was_covered = covered


def test_no_jump_leaves_a_lock_behind() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        lines = held(ast.parse(text))
        for code in codes(compile(text, str(path), "exec")):
            found += [f"{path.name}: {where}" for where in unguarded(code, lines)]
    assert found == []
