"""Every Python example of the README runs as a stranger copies it, and prints what stands below it."""

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from servers import free_port, missing, running_redis

README = (Path(__file__).parents[2] / "README.md").read_text()
#: Ids and times differ from run to run.
VARYING = re.compile(r"[0-9a-f]{16}(?=-\d)|\b\d{10}\.\d+\b")


class Example(NamedTuple):
    """A Python block, and the text below it."""

    program: str
    output: str


EXAMPLES = [
    Example(program, output)
    for program, output in re.findall(
        r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", README, re.DOTALL
    )
]


def plain(text: str) -> str:
    return VARYING.sub("?", text)


def with_ports(text: str, *, http: int, redis: int) -> str:
    return text.replace("9464", str(http)).replace("localhost:6379", f"localhost:{redis}")


def needs(program: str) -> None:
    if "opentelemetry" in program or "papyra_otel" in program:
        for module in ("opentelemetry.sdk", "opentelemetry.exporter.prometheus"):
            try:
                found = find_spec(module)
            except ModuleNotFoundError:
                found = None
            if found is None:
                missing("the extra otel is not installed")


def test_no_python_block_is_left_out() -> None:
    assert README.count("```python\n") == len(EXAMPLES)
    assert sum("print(" in example.program for example in EXAMPLES) == sum(
        example.output != "" for example in EXAMPLES
    )


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs_as_it_is_and_prints_what_stands_below_it(
    number: int, tmp_path: Path
) -> None:
    """In one directory with those before it, as one who reads on."""
    example = EXAMPLES[number]
    needs(example.program)
    ports = {"http": free_port(), "redis": free_port()}
    work = tmp_path / "work"
    work.mkdir()
    if "actors.ndjson" in example.program and number:
        subprocess.run([sys.executable, "-c", EXAMPLES[0].program], cwd=work, check=True)
    command = [sys.executable, "-u", "-c", with_ports(example.program, **ports)]
    if "redis://" in example.program:
        with running_redis("debian", tmp_path, port=ports["redis"]):
            told = subprocess.run(
                command, cwd=work, stdout=subprocess.PIPE, text=True, check=True
            ).stdout
    elif ".wait()" in example.program:  # it runs until it is stopped
        with subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = process.stdout.readline()
            os.kill(process.pid, signal.SIGTERM)
    else:
        told = subprocess.run(
            command, cwd=work, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    assert plain(told) == plain(with_ports(example.output, **ports))


def test_all_examples_but_that_of_redis_run_one_after_the_other_in_one_directory(
    tmp_path: Path,
) -> None:
    for example in EXAMPLES:
        if "redis://" in example.program or ".wait()" in example.program:
            continue
        needs(example.program)
        ports = {"http": free_port(), "redis": 0}
        command = [sys.executable, "-c", with_ports(example.program, **ports)]
        told = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
        assert plain(told.stdout) == plain(with_ports(example.output, **ports))
