"""Stores that 0.3.0 wrote, rotated, repaired, compacted, or was killed over: see tests/data."""

import json
import re
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from cli.shell import everything
from stores import event

from papyra import PersistenceBackend, Record, Retention, StoreURLError, open_store

DATA = Path(__file__).parent.parent / "data" / "papyra-0.3.0"
SAMPLES = {
    f"{path.parent.name}/{path.stem}": path
    for kind in ("json", "rotating", "generated")
    for path in sorted((DATA / kind).iterdir())
}
#: What a scan finds; nothing in any other.
FOUND = {
    "json/garbage_middle_line": ["corrupted_line"],
    "json/torn_tail": ["truncated_line"],
    "json/torn_tail_then_append": ["truncated_line"],
    "generated/json_killed_in_compact": ["corrupted_line"],
    "generated/json_newline_became_another_byte": ["corrupted_line"],
    "generated/json_torn_then_appended": ["truncated_line"],
    "generated/invalid_utf8": ["invalid_utf8"] * 3,
    "generated/nuls": ["nul_bytes"] * 3,
    "generated/killed_in_quarantine_moving": ["corrupted_line"],
    "generated/killed_in_repair": ["corrupted_line"] * 2,
    "generated/repaired_into_fewer_files": ["corrupted_line"] + ["duplicate_record"] * 3,
    "generated/repaired_twice": ["corrupted_line"] + ["duplicate_record"] * 6,
}
#: A record that 0.3.0's repair left out, since it shared a line or had no newline, stands in the
#: file it moved away alone; those are read first. And one sample was appended to by a wrong clock.
OUT_OF_ORDER = {"generated/quarantined_with_glued", "json/torn_tail_then_append"}
#: How the names of 0.3.0's leftovers end.
LEFT = re.compile(r"\.(compact|recovered)\.tmp$|\.quarantine\.[0-9]+$")
#: The names of papyra's own side files.
SIDE = re.compile(r"\.(lock|maint\.lock)$|\.(metrics|quarantine)(/|$)")


@pytest.fixture(params=SAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of one store."""
    return str(request.param)


@pytest.fixture
def path(name: str, tmp_path: Path) -> Path:
    """The active file of a copy of it, in a directory of its own."""
    return copy(name, tmp_path / "store")


def copy(name: str, directory: Path) -> Path:
    sample = SAMPLES[name]
    if sample.is_dir():
        shutil.copytree(sample, directory)
    else:
        directory.mkdir()
        shutil.copy(sample, directory / sample.name)
    (active,) = {
        re.sub(r"(\.[0-9]+)?(\.(compact|recovered)\.tmp|\.quarantine\.[0-9]+)?$", "", entry.name)
        for entry in directory.iterdir()
    }
    return directory / active


def url_of(path: Path) -> str:
    """Return the URL that opens the store, with small segments where it is a set."""
    beginning = re.escape(path.name)
    is_set = any(re.match(rf"{beginning}\.[0-9]", entry.name) for entry in path.parent.iterdir())
    return f"rotating:{path}?max_bytes=700" if is_set else f"json:{path}"


def open_(path: Path, **options: Any) -> PersistenceBackend:
    return open_store(url_of(path), must_exist=True, **options)


def data_in(directory: Path) -> dict[str, bytes | None]:
    """Return the files but papyra's side files."""
    return {
        name: content for name, content in everything(directory).items() if not SIDE.search(name)
    }


def objects_in(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield every object with kind and timestamp that stands in raw bytes: the oracle."""
    text = content.decode("utf-8", "surrogateescape")
    at = 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except ValueError:
            at += 1
            continue
        if {"kind", "timestamp"} <= set(value):
            yield value


def texts(records: list[Record]) -> list[str]:
    """Return what can be compared also where data holds NaN."""
    return [
        json.dumps({"kind": r.kind, "timestamp": r.timestamp, **r.data}, sort_keys=True)
        for r in records
    ]


def test_every_record_that_is_there_is_read_once_and_in_order(name: str, path: Path) -> None:
    there = {
        json.dumps(value, sort_keys=True)
        for file in path.parent.iterdir()
        for value in objects_in(file.read_bytes())
    }
    with open_(path) as store:
        records = store.read()

    assert set(texts(records)) == there
    if name == "generated/bursts":
        assert [len(list(burst)) for _, burst in groupby(texts(records))] == [3] * 6
    else:
        assert len(records) == len(there)
    stamps = [record.timestamp for record in records]
    assert (stamps == sorted(stamps)) is (name not in OUT_OF_ORDER)


def test_reads_from_both_ends_agree_and_change_nothing(path: Path) -> None:
    before = everything(path.parent)
    with open_(path) as store:
        everything_read = texts(store.read())
        assert texts(list(store.records())) == everything_read
        for limit in range(1, len(everything_read) + 2):
            assert texts(store.read(limit=limit)) == everything_read[-limit:]
    with open_(path, retention=Retention(max_records=4)) as store:
        assert texts(store.read()) == texts(list(store.records())) == everything_read[-4:]
    assert everything(path.parent) == before


def test_a_scan_finds_damage_and_copies_but_not_in_what_0_3_0_moved_away(
    name: str, path: Path
) -> None:
    with open_(path) as store:
        report = store.scan()
        assert sorted(anomaly.type for anomaly in report.anomalies) == sorted(FOUND.get(name, []))
        assert not any(LEFT.search(anomaly.source) for anomaly in report.anomalies)
        assert report.records == len(store.read())


def test_a_recovery_loses_nothing_and_can_be_undone(path: Path) -> None:
    before = data_in(path.parent)
    with open_(path) as store:
        records = texts(store.read())
        found = store.scan().found
        report = store.recover()
        assert store.scan().clean
        assert texts(store.read(strict=True)) == records
        assert (report.quarantine is not None) is (found > 0)
        if report.quarantine is not None:
            store.recover(undo=report.quarantine)
    assert data_in(path.parent) == before


def test_a_compaction_saves_what_is_no_record_or_a_copy_and_can_be_undone(path: Path) -> None:
    before = data_in(path.parent)
    with open_(path) as store:
        records = texts(store.read())
        report = store.compact()
        assert (report.kept, report.dropped) == (len(records), 0)
        assert store.scan().clean
        assert texts(store.read(strict=True)) == records
        for left in filter(LEFT.search, data_in(path.parent)):
            assert set(texts_in(path.parent / left)) <= set(records)
        if report.quarantine is not None:
            store.recover(undo=report.quarantine)
    assert data_in(path.parent) == before


def texts_in(file: Path) -> list[str]:
    return [json.dumps(json.loads(line), sort_keys=True) for line in file.read_bytes().splitlines()]


def test_a_compaction_with_a_retention_drops_only_what_is_out(path: Path) -> None:
    with open_(path) as store:
        records = texts(store.read())
    with open_(path, retention=Retention(max_records=4)) as store:
        report = store.compact()
    assert report.kept == len(records[-4:])
    with open_store(url_of(path)) as store:
        assert texts(store.read(strict=True)) == records[-4:]
        assert store.scan().clean


@pytest.mark.parametrize("keep", range(1, 6))
def test_a_oldest_kepts_what_0_3_0_moved_away_alike_from_both_ends(
    keep: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    line = (
        '{"system_id": "local", "actor_address": "a", "event_type": "t", "payload": {}, "n": %d,'
        ' "timestamp": %d, "kind": "event"}\n'
    )
    moved = [line % (n, 1_700_000_000 + n) for n in (0, 1, 2, 1, 3)]
    path.with_name("a.log.quarantine.1795450896086").write_text("".join(moved))
    path.write_text(line % (4, 1_700_000_004))
    expected = list(range(5))[5 - keep :]
    with open_store(f"rotating:{path}", retention=Retention(max_records=keep)) as store:
        assert [record.data["n"] for record in store.read()] == expected
        assert [record.data["n"] for record in store.records()] == expected
        assert store.compact().kept == keep
        assert [record.data["n"] for record in store.read(strict=True)] == expected


def test_appends_and_rotations_go_on_behind_it(path: Path) -> None:
    with open_(path) as store:
        records = texts(store.read())
        added = [event(300_000_000 + number, pad="y" * 60) for number in range(20)]
        for record in added:
            store.append(record)
        assert texts(store.read()) == records + texts(added)
        store.recover()
        assert texts(store.read(strict=True)) == records + texts(added)
        assert store.scan().clean
    if url_of(path).startswith("rotating:"):
        assert len(list(path.parent.glob(f"{path.name}.00*"))) > 1


@pytest.mark.parametrize(
    "name", ["rotating/healthy", "rotating/max_files_reached_active_unbounded", "generated/bursts"]
)
def test_beyond_the_bound_0_3_0_s_files_are_dropped_first_the_oldest_first(
    name: str, tmp_path: Path
) -> None:
    path = copy(name, tmp_path / "store")
    with open_(path) as store:
        records = texts(store.read())
    added = [event(300_000_000 + number, pad="y" * 60) for number in range(6)]
    with open_store(f"rotating:{path}?max_bytes=300&max_files=3") as store:
        for record in added:
            store.append(record)
        kept = texts(store.read())
    assert kept == (records + texts(added))[-len(kept) :]
    assert len(kept) < len(records) + len(added)
    assert not list(path.parent.glob("*.[1-9]"))


def test_what_0_3_0_left_is_none_of_the_files_that_are_bounded(tmp_path: Path) -> None:
    path = copy("generated/killed_in_compact_renaming", tmp_path / "store")
    with open_(path) as store:
        oldest = texts(store.read())[:9]
    with open_store(f"rotating:{path}?max_bytes=700&max_files=1") as store:
        for number in range(20):
            store.append(event(300_000_000 + number, pad="y" * 60))
        assert texts(store.read())[:9] == oldest


def test_a_scan_names_the_leftovers_that_are_the_only_place_of_a_record(path: Path) -> None:
    with open_(path) as store:
        records = texts(store.read())
        store.compact()
        still = [Path(name) for name in store.scan().leftovers]
    # What it does not name can go.
    for entry in path.parent.iterdir():
        if LEFT.search(entry.name) and entry not in still:
            entry.unlink()
    with open_(path) as store:
        assert texts(store.read()) == records
    url, left = url_of(path), len(records)
    for name in still:
        name.unlink()
        with open_store(url) as store:
            assert len(store.read()) < left
            left = len(store.read())


def test_a_set_is_no_single_file_and_a_single_file_is_a_set(path: Path) -> None:
    if url_of(path).startswith("rotating:"):
        with pytest.raises(StoreURLError, match="open it as rotating:"):
            open_store(f"json:{path}")
    else:
        with open_(path) as single, open_store(f"rotating:{path}") as rotating:
            assert texts(single.read()) == texts(rotating.read())
