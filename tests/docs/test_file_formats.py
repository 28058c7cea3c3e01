"""docs/reference/files.md describes the files that a store makes."""

import fcntl
import json
import os
import re
import struct
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from children import run_program

import papyra
from reference.tables import rows

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text()
NAMES = [counter.name for counter in papyra.COUNTERS]


def section(heading: str) -> str:
    """Return what the page says below *heading*, as far as the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


#: How many bytes the end of a line has that a checksum does not cover.
[END] = map(int, re.findall(r"last (\d+) bytes", section("A line")))


def keys_of(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", cell))


def test_a_line_ends_as_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with papyra.open_store(f"json:{path}") as store:
        id_ = store.append(papyra.Record("event", timestamp=1.5, data={"b": "é", "a": 1}))
    line = path.read_bytes()

    parts = [row[0].strip("`") for row in rows(section("A line"), "part")]
    expected = [{"b": None, "a": None} if part == "the data" else {part: None} for part in parts]
    keys = [key for part in expected for key in part]
    assert list(json.loads(line)) == keys
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9]+", id_)
    assert line[-END:] == b',"_crc":"%08x"}\n' % crc32(line[:-END])


def test_a_lock_file_holds_what_the_page_says(tmp_path: Path) -> None:
    with papyra.open_store(f"rotating:{tmp_path / 'store'}?max_bytes=100") as store:
        for _ in range(12):
            store.append(papyra.Record("event"))
    content = (tmp_path / "store.lock").read_bytes()
    segments = sorted(path.name for path in tmp_path.glob("store.0*"))

    number, newline, generations = rows(section("PATH.lock"), "byte")
    first, length = int(number[0]), int(number[1])
    assert content[first : first + length].decode() == segments[-1].removeprefix("store.")
    assert content[int(newline[0]) : int(newline[0]) + int(newline[1])] == b"\n"
    assert content[int(generations[0]) :] == b"." * len(segments)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has these locks")
def test_a_mark_lies_where_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "store"
    (tmp_path / "store.metrics").write_text("in the way of the counters")
    [place] = rows(section("PATH.lock"), "first byte of the marks")
    first, count = (int(cell.partition(" ")[0]) for cell in place[:2])
    assert (first, count) == (2**61, 2**48)
    with papyra.open_store(f"json:{path}") as store:
        store.append(papyra.Record("event"))
        with open(f"{path}.lock", "rb") as file:
            request = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, first, count, 0)
            found = fcntl.fcntl(file.fileno(), fcntl.F_OFD_GETLK, request)
    kind, _, at, length, _ = struct.unpack("hhqqi0q", found)
    assert kind == fcntl.F_WRLCK
    assert first <= at < first + count
    assert length == int(place[2].partition(" ")[0])


def test_a_page_of_counters_is_laid_out_as_the_page_says(tmp_path: Path) -> None:
    fields = [(int(at), int(length), name) for at, length, name, _ in rows(PAGE, "byte|bytes|name")]
    assert all(at + length == following for (at, length, _), (following, _, _) in pairwise(fields))
    path = tmp_path / "store"
    with papyra.open_store(f"json:{path}") as store:
        store.append_many(papyra.Record("event") for _ in range(5))
        store.scan()
        for resets in range(3):
            [page] = (tmp_path / "store.metrics").glob(f"{os.getpid()}-*")
            content = page.read_bytes()
            assert len(content) == sum(length for _, length, _ in fields)
            words = {
                name: struct.unpack_from(f"={length // 8}q", content, at)
                for at, length, name in fields
                if name != "-"
            }
            assert words["magic"] == (int.from_bytes(b"papyra\0\1", "little"),)
            assert words["resets"] == (resets,)
            bank = resets % 2
            baseline = words[f"baseline of bank {bank}"]
            counts = [a - b for a, b in zip(words["totals"], baseline, strict=True)]
            assert dict(zip(NAMES, counts, strict=True)) == store.metrics.snapshot()
            assert dict(zip(NAMES, words["totals"], strict=True)) == store.metrics.totals()
            assert words[f"time of bank {bank}"][0] / 1e9 == store.metrics.since
            unused = [content[at : at + length] for at, length, name in fields if name == "-"]
            assert not any(b"".join(unused))
            store.append(papyra.Record("event"))
            store.metrics.reset()


def test_retired_and_reset_have_the_keys_that_the_page_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"json:{tmp_path / 'store'}"
    for _ in range(2):
        with papyra.open_store(url) as store:
            store.append(papyra.Record("event"))
    retired = json.loads((tmp_path / "store.metrics" / "retired").read_text())
    assert [row[0].strip("`") for row in rows(section("retired"), "key")] == list(retired)
    assert (retired["papyra_retired"], retired["exited"]) == (1, 2)
    assert dict(zip(NAMES, retired["totals"], strict=True))["records_written"] == 2

    seen: list[dict[str, Any]] = []
    unlink = os.unlink

    def look_first(path: str) -> None:
        if os.path.basename(path) == "reset":
            seen.append(json.loads(Path(path).read_text()))
        unlink(path)

    monkeypatch.setattr(os, "unlink", look_first)
    with papyra.open_store(url) as store:
        store.append(papyra.Record("event"))
        papyra.open_counters(url).reset()
    [reset] = seen
    assert [row[0].strip("`") for row in rows(section("reset"), "key")] == list(reset)
    assert (reset["papyra_reset"], list(reset["pages"].values())) == (1, [0])


def test_a_manifest_has_the_keys_that_the_page_names(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with papyra.open_store(f"json:{path}") as store:
        store.append_many(papyra.Record("event") for _ in range(2))
    first, second = path.read_bytes().splitlines()
    old = first + b"junk\n" + second + b"\n"  # what is taken out there takes its newline along
    path.write_bytes(old)
    with papyra.open_store(f"json:{path}") as store:
        id_ = store.recover().quarantine
    assert id_ is not None
    assert re.fullmatch(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}", id_)
    saved = tmp_path / "store.quarantine" / id_
    assert {entry.name for entry in saved.iterdir()} == {
        row[0].strip("`") for row in rows(section("PATH.quarantine/"), "name")
    }
    lines = (saved / "manifest.ndjson").read_bytes().splitlines(keepends=True)
    assert all(line[-END:] == b',"_crc":"%08x"}\n' % crc32(line[:-END]) for line in lines)
    notes = [json.loads(line) for line in lines]
    for note in notes:
        del note["_crc"]

    page = section("manifest.ndjson")
    kinds = {row[0].partition(",")[0]: keys_of(row[1]) for row in rows(page, "line")}
    header, file_, *fragments, end = notes
    assert set(header) == kinds["header"]
    assert set(file_) == kinds["file"]
    assert [set(fragment) for fragment in fragments] == [kinds["fragment"], kinds["newline"]]
    assert set(end) == kinds["end"] | {
        key for row in rows(page, "key of an end") for key in keys_of(row[0])
    }
    piece, newline = fragments
    bytes_of_piece = old[piece["offset"] : piece["offset"] + piece["length"]]
    removed = (saved / "removed").read_bytes()
    assert removed[piece["saved_at"] :][: piece["length"]] == bytes_of_piece == b"junk\n"
    assert path.read_bytes()[newline["new_offset"] :] == b"\n" + second + b"\n"
    assert (end["old_size"], end["old_checksum"]) == (len(old), crc32(old))
    assert (end["new_size"], end["new_checksum"]) == (path.stat().st_size, crc32(path.read_bytes()))


def test_the_page_names_everything_beside_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store"
    url = f"rotating:{path}?max_bytes=100"
    run_program("all_files_of_a_store", url, path)
    named = {
        name.replace("PATH", "store").rstrip("/")
        for row in rows(PAGE, "name")
        for name in re.findall(r"`(PATH[^`]*)`", row[0])
    }
    assert {entry.name for entry in tmp_path.iterdir()} - {"store.000000000002"} <= named
