"""examples/demo.py: three places, one set of numbers."""

import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

from stores import counts

import papyra
from papyra.metrics.names import NAMES

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., "subprocess.Popen[str]"]


def scraped(text: str) -> dict[str, int]:
    """Return the counters in what Prometheus is given."""
    samples = re.findall(r"^papyra_persistence_(\w+)_total\{.*\} (\S+)$", text, re.MULTILINE)
    return {name: int(float(value)) for name, value in samples}


def tabulated(text: str) -> dict[str, int]:
    """Return the counters in the table of `papyra metrics persistence`."""
    rows = re.findall(r"^(\w+) +(\d+)  \w", text, re.MULTILINE)
    return {name: int(value) for name, value in rows if name in NAMES}


def test_the_scrape_and_the_command_line_show_what_is_in_the_store(
    run: Run, tmp_path: Path
) -> None:
    url = f"json:{tmp_path}/actors.ndjson"

    code, output, errors = run("demo", "--seconds", "0.5", "--port", "0", "--store", url)

    assert (code, errors) == (0, "")
    with papyra.open_store(url) as store:
        stored = len(store.read())
    expected = counts(
        records_written=stored, write_errors=1, records_read=stored, scan_operations=1
    )
    assert stored > 7
    assert scraped(output) == expected
    assert tabulated(output) == expected
    assert output.endswith("\nThe scrape, the command line and the program agree.\n")


def test_without_a_store_it_makes_one_and_removes_it(run: Run) -> None:
    code, output, errors = run("demo", "--seconds", "0", "--port", "0")
    assert (code, errors) == (0, "")
    place = output.partition(":")[2].partition(" ")[0]
    assert place.endswith("/actors.ndjson")
    assert not Path(place).parent.exists()


def test_a_store_with_a_past_is_compared_by_what_this_run_adds(run: Run, tmp_path: Path) -> None:
    arguments = ("--seconds", "0", "--port", "0", "--store", f"json:{tmp_path}/actors.ndjson")
    _, first, _ = run("demo", *arguments)

    code, second, errors = run("demo", *arguments)

    assert (code, errors) == (0, "")
    mine, all_of_them = scraped(second), tabulated(second)
    assert {n: all_of_them[n] - mine[n] for n in NAMES} == scraped(first) == tabulated(first)


def test_a_port_in_use_is_told_in_one_line(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, output, errors = run("demo", "--port", port)

    assert (code, output) == (1, "")
    (line,) = errors.splitlines()
    assert line.startswith(f"demo: http://127.0.0.1:{port}/metrics: ")
    assert "another port" in line


def test_a_store_that_cannot_be_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    for url in ("nonsense:x", f"json:{tmp_path}", f"json:{tmp_path}/missing/actors.ndjson"):
        code, output, errors = run("demo", "--port", "0", "--store", url)
        assert (code, output) == (1, "")
        (line,) = errors.splitlines()
        assert line.startswith("demo: ")


def test_the_counters_are_served_until_ctrl_c_ends_it(start: Start) -> None:
    with start("demo", "--seconds", "600", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(url, timeout=10) as response:
            assert scraped(response.read().decode())["records_written"] >= 1

        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (130, "", "demo: interrupted\n")


def test_a_reader_that_goes_away_is_no_traceback(start: Start) -> None:
    with start("demo", "--seconds", "0.5", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
