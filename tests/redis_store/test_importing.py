"""Imports into a Redis store, out of it, and of what 0.3.0 wrote there."""

import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from children import program
from redis_kind import Redis
from stores import counts, event, numbers

from papyra import (
    JsonBackend,
    StoreLockedError,
    StoreNotFoundError,
    StoreURLError,
    UnsupportedError,
    import_store,
    open_counters,
    open_store,
)
from papyra.cli import main
from papyra.cli.exit_codes import ANOMALY
from papyra.errors import NotPublishedError

SAMPLES = Path(__file__).parents[1] / "data" / "papyra-0.3.0" / "redis"


@pytest.fixture
def system(kind: Redis, request: pytest.FixtureRequest) -> str:
    """The id of a system whose streams 0.3.0 wrote, as in one of the samples."""
    for row in filter(None, (SAMPLES / request.param).read_text().split("\n")):
        command, key, *words = shlex.split(row)
        kind.client.execute_command(command, key.replace("sample", kind.store_name), *words)
    return kind.store_name


def old_url(kind: Redis) -> str:
    return f"{kind.url}&layout=0.3.0"


@pytest.mark.parametrize("system", ["healthy.txt"], indirect=True)
def test_the_streams_of_0_3_0_are_one_source_in_the_servers_order(kind: Redis, system: str) -> None:
    with open_store(old_url(kind)) as source, kind.open() as destination:
        for copied in (10, 0):
            report = import_store(source, destination)
            assert (report.read, report.copied, report.clean) == (10, copied, True)
        found = destination.read()
        assert [record.kind for record in found] == (
            ["event"] * 4 + ["audit", "event"] + ["dead_letter"] * 3 + ["audit"]
        )
        assert found == source.read()
        assert source.read(limit=9) == found[1:]
        assert destination.metrics.snapshot() == counts(records_written=10, records_read=10)
    assert system == kind.store_name


@pytest.mark.parametrize("system", ["corrupted.txt"], indirect=True)
def test_damage_in_the_streams_of_0_3_0_is_told_by_its_entry(kind: Redis, system: str) -> None:
    with open_store(old_url(kind)) as source, kind.open() as destination:
        report = import_store(source, destination)
        assert report.copied == 10
        assert sorted((a.source, a.offset) for a in report.anomalies) == sorted(
            (f"papyra:{system}:{stream}", entry)
            for stream, entry in (
                ("audits", "1795450896915-0"),
                ("dead_letters", "1795450896916-0"),
                ("events", "1795450896915-0"),
                ("events", "1795450896915-1"),
            )
        )
        assert destination.scan().clean


@pytest.mark.parametrize("system", ["corrupted.txt"], indirect=True)
def test_a_scan_of_the_streams_of_0_3_0_advises_what_can_be_done(
    kind: Redis, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "--store", old_url(kind)]) == ANOMALY
    summary = capsys.readouterr().out.splitlines()[-1]
    assert summary.endswith(
        "4 anomalies; the streams of 0.3.0 cannot be written; papyra import copies the intact records"
    )
    assert "recover" not in summary


@pytest.mark.parametrize("system", ["healthy.txt"], indirect=True)
def test_the_streams_of_0_3_0_are_never_changed(kind: Redis, system: str) -> None:
    key = f"papyra:{system}:events"
    before = kind.client.xrange(key)
    with open_store(old_url(kind)) as source:
        assert source.scan().records == 10
        for change in (lambda: source.append(event(1)), source.recover, source.compact):
            with pytest.raises(
                UnsupportedError, match=r"the streams of 0\.3\.0 cannot be written; import"
            ):
                change()
    assert kind.client.xrange(key) == before
    with pytest.raises(NotPublishedError, match=r"0\.3\.0 published no counters"):
        open_counters(old_url(kind))


def test_a_layout_is_that_of_0_3_0_and_has_to_be_there(kind: Redis) -> None:
    with pytest.raises(
        StoreNotFoundError, match=r"0\.3\.0 wrote no stream there; correct name= or prefix="
    ):
        open_store(old_url(kind))
    with pytest.raises(StoreURLError, match=r"layout must be 0\.3\.0, or be left out"):
        open_store(f"{kind.url}&layout=2")


def test_a_file_is_copied_to_redis_and_back_line_by_line(kind: Redis, tmp_path: Path) -> None:
    path, back = tmp_path / "old.ndjson", tmp_path / "back.ndjson"
    with JsonBackend(path) as old, kind.open() as store, JsonBackend(back) as new:
        for n in range(20):
            old.append(event(n))
        store.append(event(100))
        assert import_store(old, store).copied == 20
        assert import_store(old, store).copied == 0
        assert store.metrics.snapshot()["records_written"] == 21
        assert import_store(store, new).copied == 21
    assert path.read_bytes() in back.read_bytes()


def test_a_store_is_not_imported_into_itself(kind: Redis) -> None:
    with kind.open() as one, kind.open() as other:
        one.append(event(1))
        with pytest.raises(UnsupportedError, match="cannot be imported into itself; name another"):
            import_store(one, other)


def test_one_import_at_a_time_and_a_dead_one_is_passed_over_after_a_minute(
    kind: Redis, tmp_path: Path
) -> None:
    with JsonBackend(tmp_path / "old.ndjson") as old, kind.open() as store, kind.open() as other:
        old.append(event(1))

        def meanwhile(read: int, copied: int) -> None:
            with pytest.raises(StoreLockedError, match="another import"):
                import_store(old, other)

        import_store(old, store, progress=meanwhile)
        assert import_store(old, other).present == 1
        now = kind.client.time()[0]
        kind.client.hset(kind.key("writers"), "import", f"{now - 30} 0123456789abcdef")
        with pytest.raises(StoreLockedError, match="another import"):
            import_store(old, store)
        kind.client.hset(kind.key("writers"), "import", f"{now - 100} 0123456789abcdef")
        assert import_store(old, store).present == 1
        assert not kind.client.hexists(kind.key("writers"), "import")


def test_an_import_that_was_taken_over_stores_no_more(
    kind: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.transfer._LINES", 2)
    with JsonBackend(tmp_path / "old.ndjson") as old, kind.open() as store:
        old.append_many(event(n) for n in range(6))

        def taken_over(read: int, copied: int) -> None:
            now = kind.client.time()[0]
            kind.client.hset(kind.key("writers"), "import", f"{now} 0123456789abcdef")

        with pytest.raises(StoreLockedError, match="another import"):
            import_store(old, store, progress=taken_over)
        assert numbers(store.read()) == [0, 1]
        assert kind.client.hexists(kind.key("writers"), "import")  # somebody else's


def test_an_import_that_is_killed_goes_on_where_it_was(kind: Redis, tmp_path: Path) -> None:
    path = tmp_path / "old.ndjson"
    with JsonBackend(path, sync="none") as old:
        old.append_many(event(n) for n in range(40))
    codes = []
    for batches in (1, 3, 100):
        child = subprocess.Popen(
            program("import_in_batches", f"json:{path}", kind.url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        with child, child.stdin as go, child.stdout as done:
            for _ in range(batches):
                if not done.readline():
                    break
                go.write(b"\n")
                go.flush()
            else:
                child.kill()
            child.wait()
        codes.append(child.returncode)
        kind.client.hdel(kind.key("writers"), "import")  # as after a minute
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    with kind.open() as store:
        assert numbers(store.read()) == list(range(40))
