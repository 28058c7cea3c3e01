"""Stores made of files: locks, processes, forks, damage in the small, and what lies beside them."""

import errno
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from children import Child, run_program, subject_to_permissions
from stores import FileKind, counts, event, locked_by_another_thread, numbers, raiser

from papyra import (
    ForkedStoreError,
    MemoryBackend,
    NotAStoreError,
    RotatingBackend,
    StoreFailedError,
    StoreIOError,
    StoreLockedError,
    import_store,
    open_counters,
)
from papyra.backends.files import read_view
from papyra.backends.files.background_sync import _Syncer, sync_soon
from papyra.backends.files.concurrent_swap import Replacement
from papyra.backends.files.paths import Layout
from papyra.backends.files.store import FileBackend
from papyra.format.codec import encode, seal
from papyra.system.descriptors import FileLock
from papyra.system.locks import LOCK_EXCLUSIVE, try_lock

PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 400


def tree(directory: Path) -> dict[str, bytes]:
    """Return every file below *directory* with its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_looking_creates_and_changes_nothing(file_kind: FileKind, tmp_path: Path) -> None:
    with file_kind.open() as store:
        assert store.read() == []
        assert list(store.records()) == []
        assert store.scan().clean
        assert store.recover(dry_run=True).clean
    assert tree(tmp_path) == {}

    with file_kind.open() as store:
        store.append(event(1))
    file_kind.path.write_bytes(file_kind.path.read_bytes() + b"no record\n" + b'{"torn')
    before = tree(tmp_path)
    with file_kind.open() as store:
        store.read()
        store.read(limit=1)
        store.scan()
        store.recover(dry_run=True)
    assert tree(tmp_path) == before


def test_a_file_of_no_bytes_is_an_empty_store(file_kind: FileKind) -> None:
    file_kind.path.touch()
    with file_kind.open() as store:
        assert store.read() == []
        assert store.scan().clean
        assert store.recover().clean
        assert store.compact().kept == 0
        store.append(event(1))
        assert numbers(store.read()) == [1]


@pytest.mark.parametrize(
    "content",
    [
        PICTURE,
        b'{\n  "name": "x"\n}\n',
        b'{"level":"info","msg":"somebody\'s log"}\n' * 9,
        bytes(65536) + PICTURE,
        bytes(3 * 1024 * 1024 - 5) + PICTURE,
        b"\n" * 70000 + b"a text\n",
    ],
    ids=[
        "a picture",
        "a document",
        "a log",
        "a disk",
        "one with a gap",
        "a text below blank lines",
    ],
)
def test_somebody_elses_file_is_not_a_store(
    file_kind: FileKind, tmp_path: Path, content: bytes
) -> None:
    file_kind.path.write_bytes(content)
    with file_kind.open() as store:
        assert store.read() == []
        assert not store.scan().clean
        for change in (
            lambda: store.append(event(1)),
            store.recover,
            lambda: store.recover(dry_run=True),
            store.compact,
        ):
            with pytest.raises(NotAStoreError, match="nothing was changed"):
                change()
        with MemoryBackend() as copy, pytest.raises(NotAStoreError):
            import_store(store, copy)
        assert store.metrics.snapshot()["write_errors"] == 1
    assert tree(tmp_path) == {"store.ndjson": content}


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 5000,
        b"\0" * 1500000,
        b"\0" * 1500000 + b'"}\n' + seal(encode(event(0)), "0" * 16, 1),
        b"\0" * 65536 + b'{"ki',
        b"\n\n \r\n",
        b"\xef\xbb\xbf\n" + seal(encode(event(0)), "0" * 16, 1),
        b'{"kind":"torn',
        b'{"k',
        b"a comment that somebody put there\n" + seal(encode(event(0)), "0" * 16, 1),
    ],
    ids=[
        "NULs",
        "more NULs",
        "a record behind them",
        "a torn one behind them",
        "blanks",
        "a byte order mark",
        "a torn line",
        "a shorter one",
        "a comment",
    ],
)
def test_a_damaged_store_is_still_one(file_kind: FileKind, content: bytes) -> None:
    file_kind.path.write_bytes(content)
    with file_kind.open() as store:
        store.append(event(1))
        assert numbers(store.read())[-1] == 1
        assert store.recover().clean
        assert numbers(store.read(strict=True))[-1] == 1


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="the system tells nothing of holes")
def test_a_hole_as_large_as_a_disk_is_passed_over_at_once(file_kind: FileKind) -> None:
    with file_kind.path.open("wb") as file:
        file.seek(1 << 40)
        file.write(PICTURE)

    with file_kind.open() as store, pytest.raises(NotAStoreError):
        store.append(event(1))


def test_a_rotated_store_whose_newest_file_holds_damage_alone_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    with RotatingBackend(path, max_bytes=150) as store:
        store.append(event(1))
        store.append(event(2))
        path.write_bytes(b"[" + path.read_bytes()[1:])
        store.append(event(3))
        assert store.recover().clean
        assert numbers(store.read(strict=True)) == [1, 3]


def test_a_rotation_while_a_store_is_first_looked_at_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    real = Layout.stat

    def rotate(self: Layout) -> os.stat_result | None:
        monkeypatch.undo()
        status = real(self)
        path.rename(f"{path}.000000000001")
        return status

    with RotatingBackend(path) as store:
        store.append(event(1))
        with RotatingBackend(path) as other:
            monkeypatch.setattr(Layout, "stat", rotate)
            other.append(event(2))
        assert numbers(store.read()) == [1, 2]


def test_segments_are_found_though_the_file_systems_clock_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a directory of another machine's, whose clock is minutes behind and goes in steps."""
    real = os.stat

    def stat_at_noon(path: str, **how: bool) -> os.stat_result:
        noon = 1_700_000_000_000_000_001
        return os.stat_result(tuple(real(path, **how)), {"st_mtime_ns": noon, "st_ctime_ns": noon})

    monkeypatch.setattr(os, "stat", stat_at_noon)
    with RotatingBackend(tmp_path / "store.ndjson", max_bytes=150) as store:
        for number in range(5):
            store.append(event(number))
            assert numbers(store.read()) == list(range(number + 1))


def test_a_directory_as_path_is_refused(file_kind: FileKind) -> None:
    store = file_kind.open()
    file_kind.path.mkdir()
    with pytest.raises(StoreIOError, match="it is a directory; name a file in it"):
        file_kind.open()
    for operation in (store.read, store.scan, store.recover, store.compact):
        with pytest.raises(StoreIOError, match="it is a directory; name a file in it"):
            operation()
    with pytest.raises(StoreIOError, match="it is a directory"):
        store.append(event(1))
    store.close()
    assert list(file_kind.path.iterdir()) == []


def test_a_path_that_cannot_be_is_an_error_that_names_it(
    file_kind: FileKind, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, reason in (
        (tmp_path / "file" / "x", "a part of the path is a file"),
        (tmp_path / "loop", "it is a link, or leads to itself"),
        (tmp_path / ("x" * 300), "choose a shorter path"),
    ):
        file_kind.path = path
        for open_ in (file_kind.open, lambda: open_counters(file_kind.url)):
            with pytest.raises(StoreIOError, match=reason):
                open_()


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="nobody knows the longest name here")
def test_a_name_too_long_for_what_is_made_beside_the_store_is_refused(
    file_kind: FileKind, tmp_path: Path
) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") - len(".000000000001")
    file_kind.path = tmp_path / ("x" * longest)
    with file_kind.open() as store:
        store.append(event(1))
        store.compact()
    file_kind.path = tmp_path / ("x" * (longest + 1))
    with pytest.raises(StoreIOError, match="choose a shorter path"):
        file_kind.open()


@pytest.mark.skipif(os.name == "nt", reason="no directory in use can be removed there")
def test_a_relative_path_in_a_directory_that_is_gone_says_so(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = "import os, papyra; os.rmdir(os.getcwd()); papyra.open_store('json:store.ndjson')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=gone, capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith(
        "StoreIOError: store.ndjson: the working directory is gone; give the whole path\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_what_is_only_called_like_a_temporary_file_is_left_alone(
    file_kind: FileKind, tmp_path: Path
) -> None:
    names = [f"store.ndjson.tmp.{ending}" for ending in ("notes", "abc", "0123abcd", "89abcdef")]
    notes, short, directory, link = (tmp_path / name for name in names)
    with file_kind.open() as store:
        store.append(event(1))
        for path in (notes, short):
            path.write_text("somebody's")
        directory.mkdir()
        link.symlink_to(notes)
        file_kind.path.write_bytes(file_kind.path.read_bytes() + b"junk\n")
        report = store.recover()
        assert {a.type for a in report.remaining} == {"unexpected_file"}
        assert sorted(a.source for a in report.remaining) == sorted(
            str(path) for path in (notes, short, directory, link)
        )
        assert report.removed == len(b"junk\n")
        store.compact()
    assert notes.read_text() == short.read_text() == link.read_text() == "somebody's"
    assert directory.is_dir()


def test_a_compaction_names_the_files_that_are_none_of_the_stores(
    file_kind: FileKind, tmp_path: Path
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        stale, strange = tmp_path / "store.ndjson.tmp.0123abcd", tmp_path / "store.ndjson.bak"
        for path in (stale, strange):
            path.write_text("x")
        report = store.compact()
        assert [anomaly.source for anomaly in report.remaining] == [str(strange)]
        assert (report.found, report.clean, stale.exists(), strange.exists()) == (
            2,
            False,
            False,
            True,
        )
        stale.write_text("x")
        recovery = store.recover()
        assert [anomaly.type for anomaly in recovery.remaining] == ["unexpected_file"]
        assert (stale.exists(), strange.read_text()) == (False, "x")
        assert store.metrics.snapshot() == counts(
            records_written=1,
            compactions_triggered=1,
            scan_operations=1,
            anomaly_detected=4,
            recovery_attempts=1,
        )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no fifos here")
def test_a_fifo_as_path_is_refused_and_not_waited_for(file_kind: FileKind) -> None:
    store = file_kind.open()
    os.mkfifo(file_kind.path)
    with pytest.raises(StoreIOError, match="not a regular file"):
        file_kind.open()
    for operation in (store.read, store.scan, lambda: store.append(event(1))):
        with pytest.raises(StoreIOError, match="not a regular file"):
            operation()
    store.close()


def test_a_missing_directory_is_an_error_that_says_so(file_kind: FileKind, tmp_path: Path) -> None:
    file_kind.path = tmp_path / "missing" / "store.ndjson"
    with pytest.raises(StoreIOError, match=r"there is no place for a store.*make the directory"):
        file_kind.open()
    (tmp_path / "missing").mkdir()
    with file_kind.open() as store:
        (tmp_path / "missing").rmdir()
        assert store.read() == []
        for _ in range(2):
            with pytest.raises(StoreIOError, match=r"nothing was stored.*make the directory"):
                store.append(event(1))
        assert store.metrics.snapshot() == counts(write_errors=2)
        (tmp_path / "missing").mkdir()
        store.append(event(1))
        assert open_counters(file_kind.url).read().snapshot() == counts(
            write_errors=2, records_written=1
        )


def test_new_files_are_the_owners_alone_and_a_link_is_followed_once(
    file_kind: FileKind, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere" / "real.ndjson"
    real.parent.mkdir()
    file_kind.path.symlink_to(real)
    with file_kind.open() as store:
        store.append(event(1))
        store.recover()
        assert store.source == str(real)
    assert file_kind.path.is_symlink()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in real.parent.iterdir()}
    assert modes == {
        "real.ndjson": 0o600,
        "real.ndjson.lock": 0o600,
        "real.ndjson.metrics": 0o700,
    }


def test_a_rewrite_keeps_the_mode(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        file_kind.path.chmod(0o640)
        file_kind.put(store, b"no record\n")
        store.recover()
        assert stat.S_IMODE(file_kind.path.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give")
def test_what_root_makes_beside_a_store_belongs_to_its_owner(
    file_kind: FileKind, tmp_path: Path
) -> None:
    file_kind.path.write_bytes(b'{"kind":0}\n')
    os.chown(file_kind.path, 65534, 65534)
    with file_kind.open() as store:
        store.recover()
        store.append(event(1))
    owners = {str(path): path.stat().st_uid for path in tmp_path.rglob("*")}
    assert len(owners) >= 7
    assert set(owners.values()) == {65534}


def test_a_store_that_may_not_be_read_or_written_says_so(
    file_kind: FileKind, tmp_path: Path
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
    before = tree(tmp_path)
    for path in tmp_path.iterdir():
        path.chmod(0)
    with Child(*subject_to_permissions()) as child:
        child.do(f"store = open_store({file_kind.url!r})")
        for operation in ("append(Record('event'))", "read()", "scan()", "recover()", "compact()"):
            raised = child.do(f"store.{operation}")
            assert raised["raised"] == "StoreIOError"
            assert "Permission denied; let this user read and write" in raised["message"]
        assert child.do("store.metrics.snapshot()") == counts(
            write_errors=1,
            read_errors=1,
            scan_operations=1,
            recovery_attempts=1,
            recovery_failures=1,
            compactions_triggered=1,
            compaction_errors=1,
        )
    for path in tmp_path.iterdir():
        path.chmod(0o700)
    assert tree(tmp_path) == before


def test_any_number_of_processes_append_beside_recoveries(file_kind: FileKind) -> None:
    with Child() as one, Child() as other, Child() as third, file_kind.open() as mine:
        for child in (one, other, third):
            child.do(f"store = open_store('{file_kind.url}')")
        for name, child in (("one", one), ("other", other)):
            child.send(
                "len([store.append(Record('event',"
                f" data={{'who': {name!r}, 'n': n}})) for n in range(2000)])"
            )
        for n in range(200):
            mine.append(event(n, who="mine"))
            if n % 20 == 0:
                assert third.do("store.recover().clean and store.compact().dropped") == 0
        assert one.answer() == 2000
        assert other.answer() == 2000

        records = mine.read(strict=True)
        for who, number in (("one", 2000), ("other", 2000), ("mine", 200)):
            assert numbers([r for r in records if r.data["who"] == who]) == list(range(number))
        assert mine.scan().clean


def test_a_rewrite_beside_an_appending_process_loses_nothing(file_kind: FileKind) -> None:
    with Child() as child, file_kind.open() as mine:
        child.do(f"store = open_store({file_kind.url!r})")
        child.do("store.append(Record('event', data={'n': 0}))")
        child.send("len([store.append(Record('event', data={'n': n})) for n in range(1, 3000)])")
        rewritten = 0
        while rewritten < 15:
            with FileLock(f"{file_kind.path}.lock", LOCK_EXCLUSIVE, timeout=5, create_like="."):
                file_kind.put(mine, b"no record\n")
            report = mine.recover()
            rewritten += report.quarantine is not None
        assert child.answer() == 2999
        assert numbers(mine.read()) == list(range(3000))
        assert child.do("store.metrics.snapshot()") == counts(records_written=3000)


def test_a_compaction_lets_go_of_a_file_that_a_rotation_dropped_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Replacement.take_place

    def late(self: Replacement, *, timeout: float) -> None:
        store.append_many([event(2), event(3)])
        store.append_many([event(4), event(5)])
        real(self, timeout=timeout)

    path = tmp_path / "store.ndjson"
    with RotatingBackend(path, max_bytes=150, max_files=1) as store:
        path.write_bytes(b'{"kind":0}\n')
        monkeypatch.setattr(Replacement, "take_place", late)
        report = store.compact()
        assert (report.clean, report.quarantine, store.quarantined()) == (True, None, [])
        assert numbers(store.read(strict=True)) == [4, 5]
        assert store.metrics.snapshot()["compaction_errors"] == 0


def test_a_held_lock_is_waited_for_and_then_named(file_kind: FileKind) -> None:
    with Child() as child, file_kind.open(lock_timeout=0.05) as store:
        store.append(event(1))
        child.do("from papyra.system.descriptors import *; from papyra.system.locks import *")
        child.do(
            f"lock = FileLock('{file_kind.path}.lock', LOCK_EXCLUSIVE, timeout=5); lock.__enter__()"
        )
        holder = f"held by process {child.pid} for more than 0.05 s"
        for operation in (lambda: store.append(event(2)), store.read, store.scan):
            with pytest.raises(StoreLockedError, match=holder):
                operation()
        assert store.metrics.snapshot() == counts(
            records_written=1, write_errors=1, read_errors=1, scan_operations=1
        )
        child.kill()
        store.append(event(2))
        assert numbers(store.read()) == [1, 2]


@pytest.mark.parametrize("operation", ["recover", "compact"])
def test_one_rewrites_at_a_time(file_kind: FileKind, operation: str) -> None:
    with file_kind.open(lock_timeout=0.05) as store:
        store.append(event(1))
        file_kind.put(store, b"no record\n")
        lock = f"{file_kind.path}.maint.lock"
        with (
            locked_by_another_thread(lock),
            pytest.raises(StoreLockedError, match=r"maint\.lock: held by process"),
        ):
            getattr(store, operation)()
        assert getattr(store, operation)().found == 1


def test_a_store_opened_before_a_fork_is_refused_in_the_child(file_kind: FileKind) -> None:
    done = run_program("forked_store", file_kind.url)
    assert done.stdout == "0 [1, 2, 3] 2 True\n"


@pytest.mark.parametrize(
    ("operation", "locked_in"),
    [
        ("read", "paths.Layout.slots"),
        ("scan", "paths.try_lock"),
        ("compact", "paths.Layout.slots"),
        ("compact", "concurrent_swap.bump_generation"),
    ],
)
def test_a_child_that_is_forked_beside_an_operation_keeps_nobody_out_though_it_lives_on(
    file_kind: FileKind, operation: str, locked_in: str
) -> None:
    done = run_program(
        "forked_beside", file_kind.url, file_kind.path, operation, locked_in, check=False
    )
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_a_parents_page_dies_with_it_though_a_child_lives_on(file_kind: FileKind) -> None:
    with Child() as child:
        child.do(f"store = open_store({file_kind.url!r})")
        child.do("store.append(Record('event'))")
        # A thread that does not live on in the child, where what it holds is never let go of.
        child.do("held = lambda storage, wait: wait.wait()")
        child.do(
            "threading.Thread(target=held, args=(store.metrics._storage, threading.Event()),"
            " daemon=True).start()"
        )
        child.do("(ready, tell), (wait, _) = os.pipe(), os.pipe()")
        orphan = child.do("os.fork() or (os.write(tell, b'.'), os.read(wait, 1), os._exit(0))")
        child.do("os.read(ready, 1) and None")  # the child runs, and its hooks have run
        assert open_counters(file_kind.url).read().live == 1
        child.kill()
        counter_totals = open_counters(file_kind.url).read()
        os.kill(orphan, signal.SIGKILL)
        assert (counter_totals.live, counter_totals.exited) == (0, 1)
    assert ForkedStoreError.__doc__


def test_a_file_that_was_moved_away_is_made_anew(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        file_kind.path.rename(f"{file_kind.path}-elsewhere")
        store._active._look_at = 0.0  # the look now and then is due
        store.append(event(2))
        assert numbers(store.read()) == [2]
        Path(f"{file_kind.path}.lock").unlink()
        store._active._look_at = 0.0
        store.append(event(3))
        assert Path(f"{file_kind.path}.lock").exists()
        assert numbers(store.read()) == [2, 3]


def test_a_recovery_keeps_the_first_append_out_while_it_looks(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lock file, as after a copy, it makes one; else it would see half a line."""
    file_kind.path.write_bytes(b"junk\n" + seal(encode(event(1)), "0" * 16, 1))
    real = read_view._data_file
    free: list[bool] = []

    def noted(path: str, status: os.stat_result, *, is_remains: bool = False) -> read_view.DataFile:
        if os.path.exists(f"{file_kind.path}.lock"):
            with open(f"{file_kind.path}.lock", "rb") as lock:
                free.append(try_lock(lock.fileno(), LOCK_EXCLUSIVE))
        return real(path, status, is_remains=is_remains)

    monkeypatch.setattr(read_view, "_data_file", noted)
    with file_kind.open() as store:
        assert store.recover().clean
    assert free[0] is False


def test_a_recovery_removes_temporary_files_where_no_store_is_left(file_kind: FileKind) -> None:
    stale = Path(f"{file_kind.path}.tmp.0123abcd")
    stale.touch()
    with file_kind.open() as store:
        assert store.recover().clean
        assert store.metrics.snapshot() == counts(
            scan_operations=1, anomaly_detected=1, recovery_attempts=1
        )
    assert not stale.exists()


def test_a_temporary_file_that_goes_while_it_is_looked_at_is_no_damage(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        temporary = Path(f"{file_kind.path}.tmp.0123abcd")
        temporary.touch()
        real = Layout._maintained

        def maintained(layout: Layout) -> bool:
            temporary.unlink()  # the compaction that wrote it ends
            return real(layout)

        monkeypatch.setattr(Layout, "_maintained", maintained)
        assert store.scan().clean


class TestSync:
    """When records are brought to the disk, and what a failure means."""

    @pytest.fixture
    def synced(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        calls: list[str] = []
        monkeypatch.setattr("papyra.backends.files.store.sync_data", lambda _: calls.append("data"))
        return calls

    def test_always_syncs_once_a_batch(self, file_kind: FileKind, synced: list[str]) -> None:
        with file_kind.open(sync="always") as store:
            store.append(event(1))
            store.append_many([event(2), event(3)])
            assert synced == ["data"] * 2
        assert synced == ["data"] * 3

    def test_none_never_syncs(self, file_kind: FileKind, synced: list[str]) -> None:
        with file_kind.open(sync="none") as store:
            store.append(event(1))
        assert synced == []

    def test_interval_syncs_within_a_second_and_at_close(
        self, file_kind: FileKind, synced: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soon: list[FileBackend] = []

        def sync_soon(store: FileBackend) -> None:
            soon.append(store)
            store._is_dirty = True

        monkeypatch.setattr("papyra.backends.files.store.sync_soon", sync_soon)
        with file_kind.open() as store:
            store.append(event(1))
            store.append(event(2))
            assert soon == [store]
            store._sync_written()
            assert synced == ["data"]
            store.append(event(3))
            assert soon == [store, store]
        assert synced == ["data"] * 2
        store._sync_written()  # the thread comes too late: nothing is open
        assert synced == ["data"] * 2

    def test_the_thread_syncs_what_is_written(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import threading

        done = threading.Event()
        monkeypatch.setattr("papyra.backends.files.background_sync.INTERVAL", 0.0)
        with file_kind.open() as store:
            real = store._sync_written

            def sync() -> None:
                real()
                done.set()

            monkeypatch.setattr(store, "_sync_written", sync)
            store.append(event(1))
            assert done.wait(30)

    def test_a_failed_sync_is_final_and_reading_goes_on(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(errno.EIO, "input/output error")

        store = file_kind.open(sync="always")
        store.append(event(1))
        with monkeypatch.context() as patch:
            patch.setattr("papyra.backends.files.store.sync_data", fail)
            with pytest.raises(StoreFailedError, match="could not be brought to the disk"):
                store.append(event(2))
        for _ in range(2):
            with pytest.raises(StoreFailedError, match="input/output error"):
                store.append(event(3))
        # Its bytes stay, neither acknowledged nor taken back: nobody can tell what the disk has.
        assert numbers(store.read()) == [1, 2]
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=3, records_read=2)
        store.close()
        with file_kind.open() as again:
            again.append(event(4))
            assert numbers(again.read()) == [1, 2, 4]

    def test_a_failed_sync_of_the_thread_is_final_too(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(errno.EIO, "input/output error")

        with file_kind.open() as store:
            store.append(event(1))
            with monkeypatch.context() as patch:
                patch.setattr("papyra.backends.files.store.sync_data", fail)
                store._sync_written()
            with pytest.raises(StoreFailedError):
                store.append(event(2))

    def test_a_failed_sync_of_the_thread_is_logged_and_raised_at_close(
        self,
        file_kind: FileKind,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(errno.EIO, "input/output error")

        before = set(os.listdir("/proc/self/fd"))
        store = file_kind.open()
        store.append(event(1))
        with monkeypatch.context() as patch:
            patch.setattr("papyra.backends.files.store.sync_data", fail)
            store._sync_written()
        assert "input/output error; no more is written" in caplog.text
        with pytest.raises(StoreFailedError, match="input/output error"):
            store.close()
        store.close()
        assert set(os.listdir("/proc/self/fd")) == before

    def test_what_cannot_be_synced_for_want_of_a_descriptor_is_synced_later(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, synced: list[str]
    ) -> None:
        def refuse(_: int) -> int:
            raise OSError(errno.EMFILE, "too many open files")

        soon: list[FileBackend] = []
        with file_kind.open() as store:
            store.append(event(1))
            monkeypatch.setattr("papyra.backends.files.store.sync_soon", soon.append)
            with monkeypatch.context() as patch:
                patch.setattr(os, "dup", refuse)
                store._sync_written()
            assert (soon, synced) == ([store], [])
            store._sync_written()
            assert synced == ["data"]

    @pytest.mark.parametrize(
        "reason", [RuntimeError("can't start new thread"), KeyboardInterrupt()]
    )
    def test_a_thread_that_could_not_be_started_is_started_by_the_next_append(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, reason: BaseException
    ) -> None:
        import threading

        done = threading.Event()
        monkeypatch.setattr("papyra.backends.files.background_sync.INTERVAL", 0.0)
        monkeypatch.setattr("papyra.backends.files.store.sync_soon", _Syncer().add)
        with file_kind.open() as store:
            monkeypatch.setattr(store, "_sync_written", done.set)
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", raiser(reason))
                with suppress(KeyboardInterrupt):
                    store.append(event(1))
            store.append(event(2))
            assert done.wait(30)
            assert store.metrics.snapshot() == counts(records_written=2)

    def test_a_round_that_ends_beside_an_append_leaves_no_record_unsynced(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, synced: list[str]
    ) -> None:
        with file_kind.open() as store:

            def at_once(dirty: FileBackend) -> None:
                sync_soon(dirty)
                dirty._sync_written()

            monkeypatch.setattr("papyra.backends.files.store.sync_soon", at_once)
            store.append(event(1))
            store.append(event(2))
            assert synced == ["data"] * 2

    def test_a_write_that_cannot_be_taken_back_is_final(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> int:
            raise OSError(errno.EIO, "input/output error")

        real = os.write

        def half(descriptor: int, data: bytes) -> int:
            real(descriptor, data[:9])
            fail()
            return 0

        with file_kind.open() as store:
            store.append(event(1))
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", half)
                patch.setattr(os, "ftruncate", fail)
                with pytest.raises(StoreFailedError, match="cannot be taken back"):
                    store.append(event(2))
            with pytest.raises(StoreFailedError):
                store.append(event(2))
            assert store.metrics.snapshot() == counts(records_written=1, write_errors=2)

    def test_a_failed_sync_at_close_lets_go_of_everything_and_raises(
        self, file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(errno.EIO, "input/output error")

        before = set(os.listdir("/proc/self/fd"))
        store = file_kind.open()
        store.append(event(1))
        with monkeypatch.context() as patch:
            patch.setattr("papyra.backends.files.store.sync_data", fail)
            with pytest.raises(StoreIOError, match="may not be on the disk"):
                store.close()
        store.close()
        assert store.closed
        assert set(os.listdir("/proc/self/fd")) == before


def test_an_open_store_has_three_descriptors_and_a_closed_one_none(file_kind: FileKind) -> None:
    before = set(os.listdir("/proc/self/fd"))
    store = file_kind.open()
    store.append(event(1))
    store.read()
    store.recover()
    store.compact()
    assert len(set(os.listdir("/proc/self/fd")) - before) == 3
    store.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_file_that_may_not_be_changed_for_a_while_takes_records_again_afterwards(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `chattr +i`: neither write nor cut is allowed, and nothing was written."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EPERM, "Operation not permitted")

    with file_kind.open() as store:
        store.append(event(1))
        with monkeypatch.context() as patch:
            patch.setattr("papyra.backends.files.store.write_all", refuse)
            patch.setattr(os, "ftruncate", refuse)
            with pytest.raises(StoreIOError, match="nothing was stored: Operation not"):
                store.append(event(2))
        store.append(event(3))
        assert numbers(store.read(strict=True)) == [1, 3]
        assert store.metrics.snapshot() == counts(records_written=2, write_errors=1, records_read=2)
