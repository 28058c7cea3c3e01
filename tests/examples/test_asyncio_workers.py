"""examples/asyncio_workers.py: a service whose orders all add up, whatever becomes of its workers."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import papyra

Start = Callable[..., "subprocess.Popen[str]"]


def address_of(process: "subprocess.Popen[str]") -> str:
    """Return where the service listens, once it does."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"running on (http://\S+)", line):
            return found[1]
    raise AssertionError(said)


def post(address: str, body: bytes) -> int:
    request = urllib.request.Request(f"{address}/orders", body)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def get(address: str, path: str) -> str:
    with urllib.request.urlopen(address + path) as answer:
        return str(answer.read().decode())


def written(address: str) -> int:
    """Return how many records the service says that it wrote."""
    text = get(address, "/metrics/")
    found = re.search(r"^papyra_persistence_records_written_total\{.*\} (\S+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def happened(url: str) -> list[dict[str, Any]]:
    with papyra.open_store(url, must_exist=True) as store:
        return [{"kind": record.kind, **record.data} for record in store.read()]


def test_each_order_is_packed_or_failed_or_a_dead_letter(start: Start, tmp_path: Path) -> None:
    url = f"json:{tmp_path}/workers.ndjson"
    orders = [
        {"number": n} if n % 10 == 3 else {"number": n, "address": f"street {n}"} for n in range(60)
    ]
    with start("asyncio_workers", "--port", "0", "--store", url) as process:
        address = address_of(process)
        assert [post(address, json.dumps(order).encode()) for order in orders] == [202] * 60
        assert post(address, b"not json") == 400
        assert post(address, b"[1]") == 400
        assert post(address, b'{"number": NaN}') == 400
        assert post(address, b'{"address": "\\ud800"}') == 400
        while written(address) < 30:  # somewhere in the middle of the work
            pass
        newest = json.loads(get(address, "/records"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    records = happened(url)
    fates = Counter(record.get("what", record["kind"]) for record in records)
    packed = {record["order"]["number"] for record in records if record.get("what") == "packed"}
    dead = {record["order"]["number"] for record in records if record["kind"] == "dead_letter"}
    assert len(newest) == 10
    assert len(packed) == fates["packed"]
    assert len(dead) == fates["dead_letter"]
    assert packed.isdisjoint(dead)
    assert packed <= {order["number"] for order in orders if "address" in order}
    assert fates["packed"] + fates["failed"] + fates["dead_letter"] == len(orders)
    assert fates["started"] == fates["failed"] + fates["stopped"]
    assert fates["stopped"] == 4
    assert papyra.open_counters(url).read().snapshot()["records_written"] == len(records)


def test_a_store_that_cannot_be_opened_ends_it(start: Start, tmp_path: Path) -> None:
    with start("asyncio_workers", "--port", "0", "--store", f"json:{tmp_path}/no/store") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("asyncio_workers: ")
    assert "make the directory first" in line


@pytest.mark.parametrize("port", ["99999999", "65536", "-1", "http"])
def test_a_port_that_cannot_be_ends_it_with_a_clear_message(
    start: Start, tmp_path: Path, port: str
) -> None:
    url = f"json:{tmp_path}/workers.ndjson"
    with start("asyncio_workers", f"--port={port}", "--store", url) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    message = f"argument --port: must be a number from 0 to 65535, got '{port}'"
    assert errors.splitlines()[-1] == f"asyncio_workers.py: error: {message}"
    assert list(tmp_path.iterdir()) == []
