"""Every block of code of README and the docs runs as a reader copies it, and prints what the page shows."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from reference import PAGES as GENERATED
from servers import free_port, missing, running_redis

ROOT = Path(__file__).parents[2]
#: Pages that have their own tests, or that a command writes, run their blocks elsewhere.
ELSEWHERE = ("docs/reference/",)
PAGES = sorted(
    page
    for page in (
        str(path.relative_to(ROOT)) for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    )
    if not page.startswith(ELSEWHERE) and "```" in (ROOT / page).read_text()
)
#: What a picture of characters has, and no output.
PICTURE = "│"
#: What differs from run to run, and what a page shows in its place.
VARYING = {
    r"\d{8}T\d{6}-[0-9a-f]{8}": "QUARANTINE",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)": "TIME",
    r'(?<="_crc":")[0-9a-f]{8}': "CRC",
    r"\b[0-9a-f]{16}(?=-\d)": "WRITER",
    r"\b\d{3,}(\.\d+)?\b": "NUMBER",
    r" +": " ",
}
#: Each page runs with ports of its own.
PORTS = ("6379", "8000", "9090", "9464")
#: Commands that install or build: they change the machine, so no test runs them.
INSTALLS = ("pip", "make", "git", "cd", "python3 -m venv", "sudo apt-get", ". .venv")
#: Variables of the tests that a reader does not have.
UNWANTED = frozenset({"PAPYRA_STORE", "PYTHONSAFEPATH"})
#: Here `python` and `papyra` are those that the tests run with.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
SEPARATOR = "\x1e"


class Step(NamedTuple):
    """One block of code or one command, and the output that the page shows for it."""

    language: str
    code: str
    output: str


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield language, code, and the `text` block right behind it, of each fenced block but pictures."""
    found = re.finditer(
        r"^```(\w*)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", text, re.DOTALL | re.MULTILINE
    )
    for match in found:
        if PICTURE not in match[2]:
            yield match[1], match[2], match[3] or ""


def steps(text: str) -> Iterator[Step]:
    """Yield what a reader of the page does, in order."""
    for language, code, output in blocks(text):
        if language != "console":
            yield Step(language, code, output)
            continue
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            length = next(n for n, line in enumerate(lines) if not line.endswith("\\\n")) + 1
            yield Step(language, "".join(lines[:length]), "".join(lines[length:]))


def file_name(code: str) -> str:
    """Return the name of the file that a block is, where its first line is a comment that says so."""
    match = re.match(r"# ([\w.-]+\.(?:py|yml|service|timer))\n", code)
    return match[1] if match else ""


def script(page: str, ports: dict[str, str], programs: Path) -> tuple[str, list[Step]]:
    """Return what bash runs for a page, and the steps that have output there."""
    commands: list[str] = []
    shown: list[Step] = []
    for number, (language, code, output) in enumerate(steps((ROOT / page).read_text())):
        there = with_ports(code, ports)
        program = programs / str(number)
        program.write_text(there)
        if name := file_name(code):
            commands.append(f"cp {program} {name}")
            continue
        if language == "sh":
            continue
        run = f'python -u -c "$(cat {program})"'
        if language == "console":
            commands.append(there)
        elif ".wait()" in code:  # it runs until it is stopped
            commands.append(
                f"{run} >{program}.out & while [ ! -s {program}.out ]; do sleep 0.05; done\n"
                f"cat {program}.out; kill $!"
            )
        else:
            commands.append(f"{run} || exit 1")
        commands.append(f"printf '{SEPARATOR}'")
        shown.append(Step(language, code, with_ports(output, ports)))
    return "\n".join(commands), shown


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"\b(?:" + "|".join(ports) + r")\b", lambda match: ports[match[0]], text)


def plain(text: str, work: str) -> str:
    text = re.sub(r"bash: line \d+: +\d+ Killed .*\n", "", text.replace(work, "/srv/app"))
    for pattern, stand_in in VARYING.items():
        text = re.sub(pattern, stand_in, text)
    return text


def expression(text: str) -> str:
    """Return what matches *text*, in which a line of three dots is any number of lines."""
    return "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in text.splitlines()
    )


def needs(text: str) -> None:
    """Skip, or fail in CI, where the programs or the extra that a page uses are missing."""
    for program in ("curl", "perl", "prometheus", "promtool", "redis-cli", "uvicorn"):
        if re.search(rf"^\$ (?:until )?{program} ", text, re.MULTILINE) and not shutil.which(
            program, path=PATH
        ):
            missing(f"no {program}")
    if "opentelemetry" in text or "papyra_otel" in text:
        for module in ("opentelemetry.sdk", "opentelemetry.exporter.prometheus"):
            try:
                found = find_spec(module)
            except ModuleNotFoundError:
                found = None
            if found is None:
                missing("the extra otel is not installed")


def test_every_block_is_of_a_kind_that_a_test_knows() -> None:
    kinds = {language for page in PAGES for language, _, _ in blocks((ROOT / page).read_text())}
    assert kinds <= {"python", "console", "sh", "yaml", "ini", "text"}, kinds
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert text.count("```") == 2 * len(re.findall(r"^```\w+\n", text, re.MULTILINE)), page
        for language, code, output in blocks(text):
            assert language != "text", f"{page}: output of nothing: {code}"
            assert language not in {"yaml", "ini"} or file_name(code), f"{page}: not a file: {code}"
            if language == "python" and not file_name(code):
                assert ("print(" in code) == (output != ""), f"{page}: {code}"


def test_no_page_has_code_that_is_only_indented_which_no_test_would_find() -> None:
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path.name not in GENERATED}
    for path in (*pages, *ROOT.glob("*.md"), ROOT / "tests" / "README.md"):
        text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        for paragraph, code in re.findall(r"(.*)\n\n(    .*)", text):
            assert re.match(r"[-*\d ]", paragraph), f"{path}: {code}"  # a part of a list's entry


@pytest.mark.parametrize("page", PAGES)
def test_what_no_test_runs_only_installs_or_builds(page: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for language, code, _ in blocks((ROOT / page).read_text()):
        if language == "sh":
            for line in code.splitlines():
                assert line.startswith(INSTALLS), f"{page}: {line}"
            named = {
                name for found in re.findall(r"\[([\w,]+)\]", code) for name in found.split(",")
            }
            assert named <= set(extras), page


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_from_top_to_bottom_in_one_directory(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text()
    needs(text)
    work, programs = tmp_path / "work", tmp_path / "programs"
    work.mkdir()
    programs.mkdir()
    ports = {port: str(free_port()) for port in PORTS}
    code, shown = script(page, ports, programs)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in UNWANTED},
        "PATH": PATH,
        "PYTHONPATH": str(ROOT / "examples"),
        "COLUMNS": "100",
    }
    with ExitStack() as stack:
        if any("localhost:6379" in step.code for step in shown):
            stack.enter_context(running_redis("debian", tmp_path, port=int(ports["6379"])))
        said = (programs / "said").open("w+b")
        stack.callback(said.close)
        process = subprocess.Popen(
            ["bash", "-c", code],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(100)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{page} did not end; after these outputs:\n{Path(said.name).read_text()}")
        finally:
            with suppress(ProcessLookupError):  # all of them have ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        outputs = said.read().decode().split(SEPARATOR)

    for step, output in zip(shown, outputs, strict=False):
        reported = plain(output, str(work))
        wanted = plain(step.output, str(work))
        assert re.fullmatch(expression(wanted), reported), (
            f"{page}:\n{step.code}\n{reported}\nnot\n{wanted}"
        )
    assert len(outputs) == len(shown) + 1, f"{page}: stopped: {outputs[-1]}"


def test_what_a_timer_runs_is_a_command_that_its_page_shows() -> None:
    page = (ROOT / "docs" / "how-to" / "compact-from-a-timer.md").read_text()
    commands = {step.code.strip() for step in steps(page) if step.language == "console"}
    units = [code for language, code, _ in blocks(page) if language == "ini"]
    started = re.findall(r"^ExecStart=(.*)$", "\n".join(units), re.MULTILINE)
    assert started
    for line in started:
        program, *arguments = shlex.split(line)
        assert shlex.join([Path(program).name, *arguments]) in commands
