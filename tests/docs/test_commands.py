"""The commands that a contributor begins with."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from servers import missing

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def named(text: str) -> set[str]:
    """Return the targets of `make` in the code of *text*."""
    code = "\n".join(
        block or word for block, word in re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    )
    return set(re.findall(r"^(?:[A-Z_]+=\S+ )*make (?:[A-Z_]+=\S+ )*([a-z-]+)", code, re.MULTILINE))


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tests/README.md"]
)
def test_every_target_of_make_that_a_page_names_is_one(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    found = named((ROOT / page).read_text())
    assert found
    assert found <= targets


def test_without_papyra_pytest_stops_with_one_sentence(tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", other], check=True)
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("_pytest", "iniconfig", "packaging", "pluggy", "py", "pygments", "pytest"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        place = Path(spec.origin)
        if spec.submodule_search_locations:
            place = place.parent
        (packages / place.name).symlink_to(place)
    python = other / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pytest", "tests/docs"],
        env={**os.environ, "PYTHONPATH": str(packages)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    assert done.stderr.strip() == (
        f"ERROR: {python} has no papyra, hypothesis, pytest_timeout: run `make test`, which"
        " installs what the tests need into .venv; from then on .venv/bin/pytest works, too"
    )


def test_make_test_and_make_test_faults_leave_no_test_out() -> None:
    make = shutil.which("make") or missing("no make")
    # Not what a `make test` that runs this was asked for.
    environment = {name: os.environ[name] for name in os.environ if "MAKE" not in name}
    said = subprocess.run(
        [make, "-n", "test-all", "WORKERS=auto"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    chosen = re.findall(r"-m pytest (.*)", said)
    assert chosen == ["-n auto --dist worksteal -m 'not faults'", "-m faults"]
