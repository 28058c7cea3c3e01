"""A store that is a set of files: rotation, order, the bound for their number, and who else is there."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Child
from stores import counts, event, numbers, original, raiser

from papyra import Retention, RotatingBackend, StoreFailedError, StoreIOError, open_store
from papyra.backends.files.line_reader import FileLine, forward
from papyra.backends.files.paths import Layout
from papyra.format.codec import encode, seal
from papyra.primitives import RewriteFilter
from papyra.reports import Rewritten

#: Room for two of the tests' records.
TWO = 270


def segments(path: Path) -> list[str]:
    """Return the endings of the sealed segments, oldest first."""
    return sorted(entry.suffix[1:] for entry in path.parent.glob(f"{path.name}.0*"))


def number(n: int) -> str:
    """Return the ending of the segment *n*."""
    return f"{n:012}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.ndjson"


def test_a_full_file_is_sealed_under_a_number_and_never_renamed_again(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(5):
            store.append(event(n))
        first = os.stat(f"{path}.{number(1)}").st_ino
        for n in range(5, 9):
            store.append(event(n))
        assert segments(path) == [number(n) for n in (1, 2, 3, 4)]
        assert os.stat(f"{path}.{number(1)}").st_ino == first
        assert all(entry.stat().st_size <= TWO for entry in path.parent.glob("store.ndjson.0*"))
        assert numbers(store.read()) == list(range(9))
        assert numbers(store.read(limit=3)) == [6, 7, 8]
        assert numbers(list(store.records())) == list(range(9))
        assert store.scan().clean
        assert store.metrics.snapshot() == counts(
            records_written=9, records_read=21, scan_operations=1
        )


def test_a_recovery_looks_again_only_at_files_that_it_replaced_and_at_the_active_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def noted(descriptor: int, size: int, source: str) -> Iterator[FileLine]:
        looked.append(source.removeprefix(f"{path}."))
        return forward(descriptor, size, source)

    monkeypatch.setattr("papyra.backends.files.read_view.forward", noted)
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(7):
            store.append(event(n))
        with Path(f"{path}.{number(2)}").open("ab") as file:
            file.write(b"no record\n")
        assert store.recover().clean
        assert looked == [number(1), number(2), number(3), str(path), number(2), str(path)]
        assert numbers(store.read(strict=True)) == [0, 1, 2, 3, 4, 5, 6]


def test_beside_files_of_0_3_0_s_a_recovery_looks_again_at_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that comes meanwhile is one of a record in a file that was left untouched."""
    Path(f"{path}.1").write_bytes(original(1, 2))
    with RotatingBackend(path) as store:
        store.append(event(3))
        real = store._rewrite

        def rewrite(rewrite_filter: RewriteFilter) -> Rewritten:
            done = real(rewrite_filter)
            with path.open("ab") as file:
                file.write(original(1))
            return done

        with path.open("ab") as file:
            file.write(b"no record\n")
        with monkeypatch.context() as patch:
            patch.setattr(store, "_rewrite", rewrite)
            report = store.recover()
        assert [left.type for left in report.remaining] == ["duplicate_record"]
        assert store.recover().clean
        assert len(store.read(strict=True)) == 3


def test_a_rotation_replaces_no_file_that_has_its_number(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing may be a moment old."""
    Path(f"{path}.{number(1)}").write_text("somebody's only copy")
    monkeypatch.setattr("papyra.backends.files.paths.Layout.last_number", lambda _: 0)
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(3):
            store.append(event(n))
    assert Path(f"{path}.{number(1)}").read_text() == "somebody's only copy"
    assert segments(path) == [number(1), number(2)]


def test_a_rotation_without_a_number_left_stores_nothing_and_says_so(path: Path) -> None:
    last = Path(f"{path}.{number(10**12 - 1)}")
    last.touch()
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(2):
            store.append(event(n))
        with pytest.raises(StoreIOError, match="no number is left for a full file"):
            store.append(event(2))
        assert numbers(store.read()) == [0, 1]
        last.unlink()
        os.utime(path.parent)
        store.append(event(3))
        assert numbers(store.read()) == [0, 1, 3]
        assert store.metrics.snapshot() == counts(records_written=3, write_errors=1, records_read=5)


def test_a_copy_without_its_lock_whose_newest_file_is_damaged_is_still_a_store(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(3):
            store.append(event(n))
    path.write_bytes(b"[" + path.read_bytes()[1:])
    Path(f"{path}.lock").unlink()

    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append(event(3))
        assert numbers(store.read()) == [0, 1, 3]
        assert store.recover().remaining == ()


def test_a_batch_that_is_too_large_has_a_file_of_its_own(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append(event(0))
        store.append_many([event(n) for n in range(1, 9)])
        store.append(event(9))
        assert segments(path) == [number(1), number(2)]
        assert os.stat(f"{path}.{number(2)}").st_size > TWO
        assert numbers(store.read()) == list(range(10))


def test_beyond_the_bound_the_oldest_are_dropped_and_it_is_told(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RotatingBackend(path, max_bytes=TWO, max_files=2) as store:
        for n in range(7):
            store.append(event(n))
        assert segments(path) == [number(3)]
        assert numbers(store.read()) == [4, 5, 6]
    dropped = [f"{path}.{number(n)}: dropped, as one file more than max_files=2" for n in (1, 2)]
    assert caplog.messages == dropped


def test_one_file_alone_is_dropped_as_a_whole(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO, max_files=1) as store:
        for n in range(5):
            store.append(event(n))
        assert segments(path) == []
        assert numbers(store.read()) == [4]


def test_what_cannot_be_dropped_costs_no_record(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with RotatingBackend(path, max_bytes=TWO, max_files=1) as store:
        store.append_many([event(0), event(1)])
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", raiser(OSError(errno.EACCES, "permission denied")))
            store.append(event(2))
        assert numbers(store.read()) == [0, 1, 2]
        assert "more than 1 files: [Errno 13] permission denied" in caplog.text
        store.append_many([event(3), event(4)])
        assert numbers(store.read()) == [3, 4]


def test_a_compaction_drops_what_a_smaller_bound_leaves_no_room_for(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(7):
            store.append(event(n))
        size = store.scan().bytes
    with RotatingBackend(path, max_bytes=TWO, max_files=2) as store:
        report = store.compact()
        assert (report.bytes_before, report.bytes_after) == (size, store.scan().bytes)
        assert report.files_dropped == (f"{path}.{number(1)}", f"{path}.{number(2)}")
        assert (report.kept, report.dropped) == (3, 4)
        assert [message.partition(":")[0] for message in caplog.messages] == [*report.files_dropped]
        assert numbers(store.read()) == [4, 5, 6]


def test_a_compaction_that_fails_has_logged_the_files_that_it_dropped(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(5):
            store.append(event(n))
    with RotatingBackend(path, max_bytes=TWO, max_files=2) as store:
        monkeypatch.setattr(store, "_rewrite", raiser(OSError(errno.EIO, "input/output error")))
        with pytest.raises(OSError, match="input/output"):
            store.compact()
        (dropped,) = caplog.messages
        assert dropped == f"{path}.{number(1)}: dropped, as one file more than max_files=2"


def test_no_number_is_used_twice(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO, max_files=1) as store:
        for n in range(5):
            store.append(event(n))
    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append_many([event(5), event(6)])
        assert segments(path) == [number(3)]
    # Neither where the lock, which knows the last one, was removed.
    os.unlink(f"{path}.lock")
    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append(event(7))
        assert segments(path) == [number(3), number(4)]
        assert numbers(store.read()) == [4, 5, 6, 7]


def test_a_torn_line_is_sealed_with_its_file(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append_many([event(0), event(1)])
        with path.open("ab") as file:
            file.write(b'{"kind":"eve')
        store.append(event(2))
        assert path.read_bytes().count(b"\n") == 1
        assert numbers(store.read()) == [0, 1, 2]
        assert store.metrics.snapshot()["anomaly_detected"] == 2  # by the append, and by the read
        assert store.recover().clean
        assert numbers(store.read(strict=True)) == [0, 1, 2]


def test_an_interrupted_rotation_leaves_a_store_that_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("bump_generation", "sync_directory", "own_like"):
        with RotatingBackend(path, max_bytes=TWO) as store:
            store.append_many([event(n) for n in range(2)])
            before = numbers(store.read())
            with monkeypatch.context() as patch:
                patch.setattr(
                    f"papyra.backends.files.active_file.{step}", raiser(KeyboardInterrupt())
                )
                with pytest.raises(KeyboardInterrupt):
                    store.append(event(9))
            store.append(event(2))
            assert numbers(store.read()) == [*before, 2]
            assert store.metrics.snapshot()["records_written"] == 3
            assert store.scan().clean


def test_a_failed_sync_before_a_rotation_is_final(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RotatingBackend(path, max_bytes=TWO, sync="none") as store:
        store.append_many([event(0), event(1)])
        with monkeypatch.context() as patch:
            fault = OSError(errno.EIO, "input/output error")
            patch.setattr("papyra.backends.files.store.sync_data", raiser(fault))
            with pytest.raises(StoreFailedError, match="could not be brought to the disk"):
                store.append(event(2))
        with pytest.raises(StoreFailedError):
            store.append(event(2))
        assert segments(path) == []
        assert numbers(store.read()) == [0, 1]
        assert store.metrics.snapshot() == counts(records_written=2, write_errors=2, records_read=2)


def test_a_rotation_that_the_system_refuses_is_one_write_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append_many([event(0), event(1)])
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", raiser(OSError(errno.ENOSPC, "no space")))
            with pytest.raises(StoreIOError, match="nothing was stored: no space"):
                store.append(event(2))
        store.append(event(3))
        assert numbers(store.read()) == [0, 1, 3]
        assert store.metrics.snapshot() == counts(records_written=3, write_errors=1, records_read=3)


def test_a_new_file_has_the_mode_of_the_one_before(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        store.append(event(0))
        path.chmod(0o640)
        store.append_many([event(1), event(2)])
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert segments(path) == [number(1)]
        path.unlink()  # as where a rotation was killed before there was a new one
        store._active._look_at = 0.0  # the look now and then is due
        store.append(event(3))
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_reader_goes_on_while_files_are_rotated_dropped_and_compacted(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(9):
            store.append(event(n))
        stream = store.records()
        assert next(stream).data["n"] == 0
        os.unlink(f"{path}.{number(2)}")  # as a rotation of another process drops it
        RotatingBackend(path, retention=Retention(max_records=4)).compact()
        store.append_many([event(9), event(10)])
        # What was dropped or compacted meanwhile is gone; what is there is read, once, in order.
        assert numbers(list(stream)) == [1, 5, 6, 7, 8]


def test_a_sealed_file_that_has_its_old_inode_again_is_read_whole(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO) as store:
        for n in range(5):
            store.append(event(n))
        stream = store.records()
        assert next(stream).data["n"] == 0
        sealed = Path(f"{path}.{number(2)}")
        # As after two compactions: the second one's file may have the inode that the first one freed.
        sealed.write_bytes(sealed.read_bytes().splitlines(keepends=True)[1])
        assert numbers(list(stream)) == [1, 3, 4]


@pytest.mark.parametrize("moment", ["slots", "stat"])
def test_a_read_beside_the_first_append_of_all_sees_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path.write_bytes(b"".join(seal(encode(event(n)), "0" * 16, n) for n in range(3)))
    real = getattr(Layout, moment)

    def looked_before_a_rotation(layout: Layout) -> Any:
        found = real(layout)
        monkeypatch.undo()
        Path(f"{path}.lock").touch()
        path.rename(f"{path}.{number(1)}")
        return found

    with RotatingBackend(path) as store:
        monkeypatch.setattr(Layout, moment, looked_before_a_rotation)
        assert numbers(store.read()) == [0, 1, 2]


def test_a_compaction_removes_files_of_which_nothing_stays(path: Path) -> None:
    with RotatingBackend(path, max_bytes=TWO, retention=Retention(max_records=3)) as store:
        for n in range(8):
            store.append(event(n))
        assert store.compact().dropped == 5
        assert segments(path) == [number(3)]
        assert numbers(store.read()) == [5, 6, 7]
        assert path.exists()
    with RotatingBackend(path, retention=Retention(max_records=0)) as store:
        store.compact()
        assert segments(path) == []
        assert path.read_bytes() == b""


def test_a_file_rotated_during_a_compaction_is_compacted_under_its_new_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from papyra.reading.keep import KeepFilter

    with RotatingBackend(path, max_bytes=TWO, retention=Retention(max_records=1)) as store:
        store.append_many([event(0), event(1)])
        real = KeepFilter.finish

        def finish(keep_filter: KeepFilter, source: str) -> None:
            with RotatingBackend(path, max_bytes=TWO) as other:
                other.append_many([event(2), event(3)])
            real(keep_filter, source)

        monkeypatch.setattr(KeepFilter, "finish", finish)
        report = store.compact()
        assert (report.kept, report.dropped) == (1, 1)
    assert segments(path) == [number(1)]
    with RotatingBackend(path) as everything:
        assert numbers(everything.read()) == [1, 2, 3]
        assert everything.scan().clean


def test_the_cut_of_a_compaction_may_be_dropped_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all that is newer would be taken for older than the cut, and dropped for good."""
    from papyra.reading.keep import KeepFilter

    with RotatingBackend(path, max_bytes=TWO, retention=Retention(max_records=4)) as store:
        for n in range(8):
            store.append(event(n))
        real = KeepFilter.begin

        def begin(keep_filter: KeepFilter, lines: object) -> None:
            real(keep_filter, lines)  # type: ignore[arg-type]  # handed on as it came
            os.unlink(f"{path}.{number(3)}")

        monkeypatch.setattr(KeepFilter, "begin", begin)
        report = store.compact()
        assert (report.kept, report.dropped) == (2, 4)
        assert numbers(store.read()) == [6, 7]


def test_processes_rotate_and_append_side_by_side(path: Path) -> None:
    url = f"rotating:{path}?max_bytes=2000"
    with Child() as one, Child() as two, open_store(url) as mine:
        for child, start in ((one, 1000), (two, 2000)):
            child.do(f"store = open_store({url!r})")
            child.send(
                f"[store.append(Record('event', data={{'n': n}})) for n in range({start}, {start}+300)]"
            )
        for n in range(300):
            mine.append(event(n))
        for child in (one, two):
            assert len(child.answer()) == 300
        found = numbers(mine.read())
        for start in (0, 1000, 2000):
            own = [n for n in found if start <= n < start + 1000]
            assert own == list(range(start, start + 300))
        assert mine.scan().clean


@pytest.mark.parametrize("option", ["max_bytes=0", "max_files=0", "max_bytes=x", "max_files=1.5"])
def test_a_bound_is_a_whole_number_from_1_on(path: Path, option: str) -> None:
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        open_store(f"rotating:{path}?{option}")


def test_a_line_that_cannot_be_read_does_not_keep_its_file_from_being_dropped(path: Path) -> None:
    forged = seal(b'{"kind":"event","timestamp":1700000000.0,"n":x', "0" * 16, 1)
    path.with_name(f"{path.name}.000000000001").write_bytes(forged)
    with RotatingBackend(path, max_files=1) as store:
        store.append(event(1))
        assert store.compact(dry_run=True).dropped == 1
        report = store.compact()
        assert (report.dropped, report.kept, store.scan().records) == (1, 1, 1)
        assert store.metrics.snapshot() == counts(
            records_written=1, compactions_triggered=1, scan_operations=1
        )
