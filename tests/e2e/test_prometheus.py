"""The way to Prometheus, with the real one at its end."""

import json
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from stores import counts, event

import papyra
import papyra_otel
from servers import Server, missing, wait_until

ROUNDS = 30
#: What one round of the program counts.
A_ROUND = counts(
    records_written=8,
    write_errors=1,
    records_read=2,
    read_errors=1,
    scan_operations=2,
    anomaly_detected=2,
    recovery_attempts=1,
    compactions_triggered=1,
)


def series(prometheus: Server, query: str) -> dict[str, list[float]]:
    """Return the values that *query* finds, raw and oldest first, by the name of the counter."""
    url = f"http://127.0.0.1:{prometheus.port}/api/v1/query?" + urllib.parse.urlencode(
        {"query": query}
    )
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return {
        one["metric"]["__name__"].removeprefix("papyra_persistence_").removesuffix("_total"): [
            float(value) for _, value in one["values"]
        ]
        for one in found
    }


def test_prometheus_sees_every_operation_though_two_processes_reset_the_counters(
    prometheus: tuple[Server, int], tmp_path: Path
) -> None:
    server, port = prometheus
    path = tmp_path / "orders.ndjson"
    stored = '{__name__=~"papyra_persistence_.*",papyra_backend_kind="json",papyra_store_name="orders"}[10m]'
    program = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            Path(__file__).with_name("served_program.py"),
            path,
            str(port),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdin
        assert program.stdout
        assert program.stdout.readline() == "serving\n"
        wait_until(lambda: len(series(server, stored)) == 10)  # born at 0, before the first round
        for number in range(1, ROUNDS + 1):
            program.stdin.write("\n")
            program.stdin.flush()
            if number > 1:  # while it works
                papyra.open_counters(f"json:{path}").reset()
            assert program.stdout.readline() == "worked\n"
            if number % 10 == 0:  # be seen between the resets, too
                written = number * A_ROUND["records_written"]
                wait_until(lambda w=written: series(server, stored)["records_written"][-1] == w)  # type: ignore[misc]  # bound at once
            papyra.open_counters(f"json:{path}").reset()
        whole = {name: n * ROUNDS for name, n in A_ROUND.items()}
        wait_until(lambda: series(server, stored)["compactions_triggered"][-1] == ROUNDS)
        seen = series(server, stored)
        assert {name: values[-1] for name, values in seen.items()} == whole
        assert {name: values[0] for name, values in seen.items()} == counts()
        assert all(values == sorted(values) for values in seen.values())
        assert papyra.open_counters(f"json:{path}").read().totals() == whole
    finally:
        program.communicate(timeout=20)  # it ends with its input
    assert program.returncode == 0


def test_promtool_finds_nothing_to_say_about_a_scrape(tmp_path: Path) -> None:
    promtool = shutil.which("promtool") or missing("no promtool: apt-get install prometheus")
    with (
        papyra.open_store(f"json:{tmp_path}/orders.ndjson") as orders,
        papyra.open_store("memory:") as memory,
        papyra_otel.prometheus.serve(orders, memory, port=0) as server,
    ):
        orders.append(event())
        memory.append(event())
        server.bridge.add(papyra.open_counters(f"json:{tmp_path}/orders.ndjson"))
        with urllib.request.urlopen(server.url, timeout=10) as answer:
            text = answer.read()
    assert text.count(b"# HELP") == 10
    assert text.count(b'papyra_scope="store"') == 10
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
