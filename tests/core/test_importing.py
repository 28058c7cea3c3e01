"""Copying one store into another."""

import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from children import program
from stores import FileKind, counts, event, numbers, raiser

from papyra import (
    Anomaly,
    JsonBackend,
    MemoryBackend,
    NotAStoreError,
    RotatingBackend,
    StoreLockedError,
    UnsupportedError,
    import_store,
    open_store,
)
from papyra.backends.files.store import FileBackend

LEGACY = Path(__file__).parents[1] / "data" / "papyra-0.3.0"


def lines(path: Path) -> list[bytes]:
    """Return the lines of a store's files, oldest first."""
    files = [*sorted(path.parent.glob(f"{path.name}.0*")), path]
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The source: seven records and nothing else."""
    path = tmp_path / "old.ndjson"
    with JsonBackend(path) as store:
        for n in range(7):
            store.append(event(n))
    return path


def test_lines_are_copied_as_they_are_in_their_order(file_kind: FileKind, old: Path) -> None:
    with JsonBackend(old) as source, file_kind.open() as destination:
        report = import_store(source, destination)
        assert (report.read, report.copied, report.present, report.clean) == (7, 7, 0, True)
        assert source.metrics.snapshot() == counts(records_read=7)
        assert destination.metrics.snapshot() == counts(records_written=7)
        assert destination.scan().clean
    assert lines(file_kind.path) == lines(old)


def test_what_is_there_is_passed_over(file_kind: FileKind, old: Path) -> None:
    with JsonBackend(old) as source, file_kind.open() as destination:
        import_store(source, destination)
        destination.append(event(100))
        source.append(event(7))
        report = import_store(source, destination)
        assert (report.read, report.copied, report.present) == (8, 1, 7)
        assert numbers(destination.read()) == [*range(7), 100, 7]
        assert destination.metrics.totals()["records_written"] == 9


def test_the_destinations_own_records_are_numbered_without_a_clash(
    file_kind: FileKind, old: Path
) -> None:
    with JsonBackend(old) as source, file_kind.open() as destination:
        ids = {destination.append(event(50))}
        import_store(source, destination)
        ids.add(destination.append(event(51)))
        ids |= {str(record.id) for record in source.read()}
        assert {record.id for record in destination.read()} == ids
        assert len(ids) == 9


def test_a_dry_run_changes_nothing(file_kind: FileKind, old: Path) -> None:
    before = old.read_bytes()
    with JsonBackend(old) as source, file_kind.open() as destination:
        report = import_store(source, destination, dry_run=True)
        assert (report.dry_run, report.copied, report.present) == (True, 7, 0)
        assert destination.metrics.snapshot() == counts()
    assert old.read_bytes() == before
    assert not file_kind.path.exists()


def test_damage_is_told_and_not_copied(file_kind: FileKind, old: Path) -> None:
    content = old.read_bytes().splitlines(keepends=True)
    content[2] = b"junk\n"
    # Two records that share a line are two lines from now on, and the last one gets its newline.
    content[4] = content[4].rstrip(b"\n")
    content[6] = content[6].rstrip(b"\n")
    old.write_bytes(b"".join(content))
    with JsonBackend(old) as source, file_kind.open() as destination:
        report = import_store(source, destination)
        assert (report.read, report.copied, report.clean) == (6, 6, False)
        assert next(type_ for type_, *_ in report.anomalies) == "corrupted_line"
        assert source.metrics.snapshot()["anomaly_detected"] == report.found
        assert destination.scan().clean
        assert numbers(destination.read()) == [0, 1, 3, 4, 5, 6]
    assert old.read_bytes() == b"".join(content)


@pytest.mark.parametrize("sample", sorted(LEGACY.rglob("*.ndjson")), ids=lambda path: path.stem)
def test_a_store_of_0_3_0_is_copied_once_however_often(
    file_kind: FileKind, tmp_path: Path, sample: Path
) -> None:
    """Its records have no ids; equal ones are as many afterwards as they were."""
    path = tmp_path / "sample.ndjson"
    shutil.copy(sample, path)
    with open_store(f"json:{path}") as source, file_kind.open() as destination:
        expected = list(map(repr, source.read()))
        for present in (0, len(expected)):
            report = import_store(source, destination)
            assert (report.read, report.present) == (len(expected), present)
            assert list(map(repr, destination.read())) == expected


def test_equal_records_without_ids_are_as_many_as_there_were(
    file_kind: FileKind, tmp_path: Path
) -> None:
    line = (
        b'{"kind": "event", "system_id": "s", "actor_address": "a", "event_type": "t",'
        b' "payload": 1, "timestamp": 1.0}\n'
    )
    path = tmp_path / "old.ndjson"
    path.write_bytes(3 * line)
    file_kind.path.write_bytes(line)
    with JsonBackend(path) as source, file_kind.open() as destination:
        assert import_store(source, destination).copied == 2
        assert import_store(source, destination).copied == 0
        assert len(destination.read()) == 3


def test_a_store_is_not_copied_into_itself(old: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.ndjson"
    link.symlink_to(old)
    before = old.read_bytes()
    with JsonBackend(old) as one, JsonBackend(link) as other, RotatingBackend(old) as third:
        for destination in (one, other, third):
            with pytest.raises(
                UnsupportedError, match="cannot be imported into itself; name another"
            ):
                import_store(one, destination)
    with MemoryBackend() as one, MemoryBackend() as other:
        one.append(event(1))
        assert import_store(one, other).copied == 1
    assert old.read_bytes() == before


def test_two_imports_at_once_are_one_after_the_other(file_kind: FileKind, old: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait(read: int, copied: int) -> None:
        inside.set()
        go_on.wait()

    with JsonBackend(old) as source, file_kind.open() as destination:
        first = threading.Thread(
            target=lambda: import_store(source, destination, progress=wait), daemon=True
        )
        first.start()
        inside.wait()
        with file_kind.open(lock_timeout=0.01) as other:
            with pytest.raises(StoreLockedError):
                import_store(source, other)
            with pytest.raises(StoreLockedError):
                other.compact()
            other.append(event(100))  # nobody who only appends has to wait
        go_on.set()
        first.join()
        assert import_store(source, destination).present == 7


def test_progress_is_told_after_each_batch(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.transfer._LINES", 3)
    reported: list[tuple[int, int]] = []
    with JsonBackend(old) as source, JsonBackend(tmp_path / "new.ndjson") as destination:
        import_store(source, destination, progress=lambda *numbers: reported.append(numbers))
    assert reported == [(3, 3), (6, 6), (7, 7)]


def test_a_batch_that_fails_ends_the_import_and_the_next_goes_on(
    file_kind: FileKind, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.transfer._LINES", 3)
    with JsonBackend(old) as source, file_kind.open() as destination:
        real = type(destination)._append
        calls = 0

        def failing(
            self: FileBackend, lines: Sequence[bytes], *, deadline: float, may_wait: bool
        ) -> list[Anomaly]:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise OSError(28, "no space left on device")
            return real(self, lines, deadline=deadline, may_wait=may_wait)

        with monkeypatch.context() as patch:
            patch.setattr(type(destination), "_append", failing)
            with pytest.raises(OSError, match="no space left"):
                import_store(source, destination)
        assert destination.metrics.snapshot() == counts(records_written=3, write_errors=1)
        assert source.metrics.snapshot()["records_read"] == 6
        assert import_store(source, destination).copied == 4
        assert numbers(destination.read()) == list(range(7))


def test_a_source_that_cannot_be_read_is_one_read_error(
    file_kind: FileKind, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with JsonBackend(old) as source, file_kind.open() as destination:
        monkeypatch.setattr(
            "papyra.backends.files.read_view.View.lines", raiser(OSError(5, "i/o error"))
        )
        with pytest.raises(OSError, match="i/o error"):
            import_store(source, MemoryBackend())
        assert source.metrics.snapshot() == counts(read_errors=1)
        assert destination.metrics.snapshot() == counts()


@pytest.mark.faults
def test_an_import_that_is_killed_again_and_again_comes_to_its_end(
    file_kind: FileKind, tmp_path: Path
) -> None:
    path = tmp_path / "old.ndjson"
    with JsonBackend(path, sync="none") as store:
        store.append_many(event(n) for n in range(300))
    chance = random.Random(1)
    kill_count = 0
    while True:
        child = subprocess.Popen(
            program("import_in_batches", f"json:{path}", file_kind.url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        with child, child.stdin as go, child.stdout as batches:
            batches_left = chance.randrange(1, 15)
            while batches.readline():
                go.write(b"\n")
                go.flush()  # it is somewhere in the next batch now
                batches_left -= 1
                if not batches_left:
                    child.kill()
                    kill_count += 1
                    break
            child.wait()
        if child.returncode == 0:
            break
    assert kill_count > 3
    with file_kind.open() as destination:
        destination.recover()
        assert numbers(destination.read()) == list(range(300))
    assert lines(file_kind.path) == lines(path)


FOREIGN = (
    b'{"kind": "log", "timestamp": 1.0, "n": 1}\n'
    b'{"timestamp":2,"kind":"log","n":2}\n'
    b'{"kind": "log", "timestamp": 1.0, "n": 1}\n'
)
#: What is damage even then.
NOT_TAKEN = b'{"kind":"log"}\n{"kind":"log","timestamp":1,"_id":"a-1"}\n{"kind":"log","timestamp":1,"x":NaN}\n'


def test_lines_of_other_tools_are_damage_unless_they_are_sealed(
    file_kind: FileKind, tmp_path: Path
) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(FOREIGN + NOT_TAKEN)
    with JsonBackend(path) as source, file_kind.open() as destination:
        report = import_store(source, destination)
        assert (report.read, report.copied, report.found) == (0, 0, 6)
        assert [anomaly.type for anomaly in report.anomalies[:3]] == ["missing_checksum"] * 3
        dry = import_store(source, destination, seal=True, dry_run=True)
        assert (dry.copied, destination.read()) == (3, [])
        report = import_store(source, destination, seal=True)
        assert (report.read, report.copied, report.found) == (3, 3, 3)
        assert destination.scan().clean
        assert numbers(destination.read(strict=True)) == [1, 2, 1]
        assert len({record.id for record in destination.read()}) == 3
    assert path.read_bytes() == FOREIGN + NOT_TAKEN


#: Lines that no import takes in, and why a sealing one says so.
REFUSED = {
    b'{"kind":"log","timestamp":1,"n":NaN}': "data['n']: nan is not valid JSON",
    b'{"kind":"log","timestamp":1,"n":[1e400]}': "data['n'][0]: inf is not valid JSON",
    b'{"kind":"log","timestamp":1,"n":%s}' % (b"7" * 4301): "an integer of at most 4300 digits",
    b'{"kind":"log","timestamp":1,"n":"\\ud800"}': "data['n']: a lone surrogate at character 0",
    b'{"kind":"log","timestamp":1,"\\ud800":1}': "a lone surrogate at character 0",
    b'{"kind":"log","timestamp":1,"n":%s1%s}' % (b"[" * 300, b"]" * 300): "deeper than 200 levels",
    b'{"kind":"","timestamp":1}': "kind: must be a string of 1 to 255 characters",
    b'{"kind":"log","timestamp":1,"n":1,"n":2}': "two of its keys are 'n'",
    b'{"kind":"log","timestamp":1,"n":[{"a":1,"\\u0061":2}]}': "two of its keys are 'a'",
    b'{"kind":"log","kind":"audit","timestamp":1}': "two of its keys are 'kind'",
    b'{"kind":"log","timestamp":1,"timestamp":2}': "two of its keys are 'timestamp'",
}


@pytest.mark.parametrize("is_fast", [True, False], ids=["orjson", "json"])
def test_what_a_sealing_import_refuses_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_fast: bool
) -> None:
    if is_fast:
        pytest.importorskip("orjson")
    else:
        monkeypatch.setattr("papyra.format.codec.orjson", None)
    path = tmp_path / "log.ndjson"
    path.write_bytes(b"".join(line + b"\n" for line in (*REFUSED, FOREIGN.splitlines()[1])))
    with JsonBackend(path) as source, MemoryBackend() as destination:
        report = import_store(source, destination, seal=True)
        assert numbers(destination.read()) == [2]
        assert (report.read, report.copied, report.found) == (1, 1, len(REFUSED))
        assert source.metrics.snapshot() == counts(records_read=1, anomaly_detected=len(REFUSED))
        assert destination.metrics.snapshot() == counts(records_written=1, records_read=1)
    for anomaly, reason in zip(report.anomalies, REFUSED.values(), strict=True):
        assert anomaly.type == "missing_checksum"
        assert anomaly.detail.startswith("it cannot be sealed: ")
        assert reason in anomaly.detail
        assert "--seal" not in anomaly.detail


@pytest.mark.parametrize("seal", [False, True])
def test_damage_is_in_the_report_of_an_import_and_not_logged_as_well(
    old: Path, caplog: pytest.LogCaptureFixture, *, seal: bool
) -> None:
    with old.open("ab") as file:
        file.write(b"no record\n")
    with JsonBackend(old) as source, MemoryBackend() as destination:
        assert import_store(source, destination, seal=seal).found == 1
        assert caplog.messages == []
        assert source.metrics.snapshot() == counts(records_read=7, anomaly_detected=1)


def test_a_line_that_another_tool_glued_to_a_record_is_told_as_such_when_it_is_sealed(
    old: Path,
) -> None:
    whole = old.read_bytes()
    old.write_bytes(whole[:-1] + b'{"kind":"log","timestamp":1}\n')
    with JsonBackend(old) as source, MemoryBackend() as destination:
        report = import_store(source, destination, seal=True)
        assert (report.read, report.copied) == (7, 7)
    (anomaly,) = report.anomalies
    assert anomaly.type == "missing_checksum"
    assert "it shares its line with a record" in anomaly.detail
    assert anomaly.offset == len(whole) - 1


@pytest.mark.parametrize("digits", [640, 0])
def test_what_is_sealed_does_not_depend_on_the_limit_of_digits(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(b'{"kind":"log","timestamp":1,"n":%s}\n' % (b"7" * 4300))
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(digits)
    try:
        with JsonBackend(path) as source, MemoryBackend() as destination:
            assert import_store(source, destination, seal=True).copied == 1
            (record,) = destination.read()
    finally:
        sys.set_int_max_str_digits(before)
    assert record.data["n"] == int("7" * 4300)


def test_sealing_again_copies_only_what_came_since(
    file_kind: FileKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.transfer._LINES", 1)
    path = tmp_path / "log.ndjson"
    path.write_bytes(FOREIGN)

    def interrupted(read: int, copied: int) -> None:
        raise KeyboardInterrupt

    with JsonBackend(path) as source, file_kind.open() as destination:
        with pytest.raises(KeyboardInterrupt):
            import_store(source, destination, seal=True, progress=interrupted)
        assert import_store(source, destination, seal=True).copied == 2
        assert import_store(source, destination, seal=True).copied == 0
        with path.open("ab") as file:
            file.write(FOREIGN)
        assert import_store(source, destination, seal=True).copied == 3
        assert numbers(destination.read()) == [1, 2, 1] * 2
        with JsonBackend(tmp_path / "copy.ndjson") as third:
            assert import_store(destination, third).copied == 6


def test_a_file_that_begins_unlike_a_record_can_be_sealed(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(b'{"timestamp": 1.0, "kind": "log", "n": 5}')
    with JsonBackend(path) as source, MemoryBackend() as destination:
        with pytest.raises(NotAStoreError):
            import_store(source, destination)
        assert import_store(source, destination, seal=True).copied == 1
        assert numbers(destination.read()) == [5]
