"""What the pages for contributors name is there, and what they show to run runs."""

import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import papyra

ROOT = Path(__file__).parents[2]
CONTRIBUTING, TESTS, ARCHITECTURE = "CONTRIBUTING.md", "tests/README.md", "docs/architecture.md"
PAGES = {name: (ROOT / name).read_text() for name in (CONTRIBUTING, TESTS, ARCHITECTURE)}
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: What a page shows in code and is a path: a file here, or a folder.
_PATH = r"(?:papyra|papyra_otel|tests|examples|docs|benchmarks)/[\w./-]*"
#: What stands for the name of a new file.
_NEW = "NAME"
_COMMAND = re.compile(r"^(?:\$ )?((?:[A-Z_]+=\S+ )*\.venv/bin/python .*)$", re.MULTILINE)


def paths(page: str) -> set[str]:
    """Return the paths that *page* names in code or in its picture."""
    found = re.findall(rf"(?<![\w./-]){_PATH}", PAGES[page])
    return {path.rstrip(".") for path in found if _NEW not in path}


def place(path: str) -> Path:
    """Return where *path* is; papyra itself may be installed elsewhere, as from a wheel."""
    return (Path(papyra.__file__).parents[1] if path.startswith("papyra") else ROOT) / path


def run(command: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """Run a *command* that a page shows, with this interpreter in place of the one in .venv."""
    words = shlex.split(command)
    given = dict(word.split("=", 1) for word in words[: words.index(".venv/bin/python")])
    arguments = words[words.index(".venv/bin/python") + 1 :]
    return subprocess.run(
        [sys.executable, *arguments, "-p", "no:cacheprovider", *more],
        cwd=ROOT,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    found = paths(page)

    assert len(found) > 20
    assert [path for path in sorted(found) if not place(path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_page_and_a_heading(page: str) -> None:
    links = re.findall(r"\]\(([^)#]*)#?([^)]*)\)", PAGES[page])

    assert links
    for link, anchor in links:
        target = (ROOT / page).parent / link if link else ROOT / page
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        names = {heading.lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in names, (link, anchor)


def test_the_readme_leads_to_the_page_for_contributors() -> None:
    assert f"]({CONTRIBUTING})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_every_name_that_a_page_places_in_a_file_is_in_it(page: str) -> None:
    placed = re.findall(rf"`(\w+)`(?:,)? (?:in|to) `({_PATH}\.py)`", PAGES[page])

    assert placed
    for name, path in placed:
        assert re.search(rf"\b{name}\b", place(path).read_text()), (name, path)


def test_the_rooms_of_the_package_and_what_each_may_import_are_those_of_the_import_test() -> None:
    rows = re.findall(
        r"^\| `papyra/(\w+)(?:/|\.py)` \| .+\? \|(.*)\|$", PAGES[ARCHITECTURE], re.MULTILINE
    )
    allowed = runpy.run_path(str(ROOT / "tests" / "core" / "test_imports.py"))["ALLOWED"]

    assert {room: set(re.findall(r"`(\w+)`", cell)) for room, cell in rows} == allowed


def test_a_picture_shows_every_room() -> None:
    picture = PAGES[ARCHITECTURE].split("```")[1]
    rooms = set(re.findall(r"^\| `papyra/(\w+)", PAGES[ARCHITECTURE], re.MULTILINE))

    # These few answer for one value each, and everything above them may ask.
    assert rooms - {"retention", "reports", "units", "suggestions", "url_options"} <= set(
        re.findall(r"\w+", picture)
    )


def test_every_page_for_readers_of_the_source_leads_to_the_architecture() -> None:
    for page in ("README.md", "docs/README.md", CONTRIBUTING):
        assert re.search(r"\]\((?:docs/)?architecture\.md[)#]", (ROOT / page).read_text()), page


def test_the_folders_of_the_tests_are_explained() -> None:
    reported = re.findall(r"^\| `tests/(\w+)/` \|", PAGES[TESTS], re.MULTILINE)

    there = [path.name for path in (ROOT / "tests").iterdir() if path.is_dir()]
    assert sorted(reported) == sorted(name for name in there if not name.startswith(("_", ".")))


def test_the_helpers_of_the_tests_are_explained() -> None:
    reported = re.findall(r"^\| `tests/(\w+)\.py` \|", PAGES[TESTS], re.MULTILINE)

    assert sorted(reported) == sorted(path.stem for path in (ROOT / "tests").glob("*.py"))


def test_every_file_with_faults_is_named() -> None:
    faults = {
        f"tests/faults/{path.name}"
        for path in (ROOT / "tests/faults").glob("*.py")
        if "-> Outcome:" in path.read_text()
    }

    assert faults
    assert faults <= paths(TESTS)


def test_the_commands_of_one_file_and_one_test_find_tests() -> None:
    block = re.findall(r"```sh\n(.*?)```", PAGES[TESTS], re.DOTALL)
    commands = [command for text in block for command in _COMMAND.findall(text)]

    assert len(commands) == 2
    for command in commands:
        assert run(command, "--collect-only", "-q").returncode == pytest.ExitCode.OK, command


def test_one_fault_is_tried_again_and_prints_what_the_page_shows() -> None:
    (block,) = re.findall(r"```console\n(.*?)```", PAGES[TESTS], re.DOTALL)
    first, _, shown = block.partition("\n")
    (command,) = _COMMAND.findall(first)

    done = run(command)

    assert re.sub(r" in [\d.]+s.*", "", done.stdout) == shown


def test_hooks_run_what_make_runs() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    entries = re.findall(
        r"^ *entry: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE
    )

    assert entries
    for entry in entries:
        assert f"\t{entry}\n" in makefile, entry


def test_the_workflow_runs_the_gate() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()

    assert re.findall(r"^ *- run: (.+)$", workflow, re.MULTILINE) == [".ci/run"]


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    classifiers = PYPROJECT["project"]["classifiers"]
    versions = [name.rpartition(" ")[2] for name in classifiers if ":: Python :: 3." in name]

    assert versions[0] == oldest
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PYPROJECT["tool"]["pyright"]["pythonVersion"] == oldest
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"Python {oldest} or newer" in PAGES[CONTRIBUTING]
