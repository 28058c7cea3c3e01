"""Counters that could not be published at first: published later, and told of until then."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from time import monotonic

import pytest
from children import Child, subject_to_permissions
from stores import FileKind, counts, event, locked_by_another_thread

from papyra import NotPublishedError, open_counters
from papyra.metrics.unpublished_marks import count_marks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="nothing is published without flock")

#: The seconds go by, and with them the last look whether the files were moved.
SOME_SECONDS_ON = "store._publication.again_at = store._active._look_at = 0.0"
UNSEEN = "1 program appends whose counters are not published"


def fill(place: Path) -> Path:
    """Leave no byte on the disk."""
    filler = place / "filler"
    for size in (4096, 1):
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while file.write(bytes(size)):
                pass
    return filler


def test_a_program_that_starts_on_a_full_disk_is_counted_once_there_is_space(
    file_kind: FileKind, small_disk: Path
) -> None:
    file_kind.path = small_disk / "store.ndjson"
    with file_kind.open() as first:
        first.append(event(1))
    filler = fill(small_disk)
    with Child() as child:
        child.do(f"store = open_store({file_kind.url!r})")
        for _ in range(3):
            refused = child.do("store.append(Record('event', data={'x': 'y' * 5000}))")
            assert refused["raised"] == "StoreIOError"
        counter_totals = open_counters(file_kind.url).read()
        assert (counter_totals.unpublished, counter_totals.snapshot()) == (
            1,
            counts(records_written=1),
        )
        filler.unlink()
        child.do(SOME_SECONDS_ON)
        for _ in range(5):
            child.do("store.append(Record('event'))")
        counter_totals = open_counters(file_kind.url).read()
        assert counter_totals.snapshot() == counts(records_written=6, write_errors=3)
        assert (counter_totals.unpublished, counter_totals.live, counter_totals.exited) == (0, 1, 1)
        assert child.do("store.metrics.snapshot()") == counts(records_written=5, write_errors=3)


def test_a_program_without_the_right_to_publish_is_told_of_and_counted_once_it_has_it(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as first:
        first.append(event(1))
    directory = Path(f"{file_kind.path}.metrics")
    directory.chmod(0)
    size = Path(f"{file_kind.path}.lock").stat().st_size
    with Child(*subject_to_permissions()) as child:
        child.do(f"store = open_store({file_kind.url!r})")
        for _ in range(5):
            child.do("store.append(Record('event'))")
        directory.chmod(0o700)
        counter_totals = open_counters(file_kind.url).read()
        assert (counter_totals.unpublished, counter_totals.snapshot()) == (
            1,
            counts(records_written=1),
        )
        assert Path(f"{file_kind.path}.lock").stat().st_size == size  # no new generation

        child.do(SOME_SECONDS_ON)
        child.do("store.append(Record('event'))")
        child.do("store.append(Record('event'))")
        counter_totals = open_counters(file_kind.url).read()
        assert (counter_totals.unpublished, counter_totals.live) == (0, 1)
        assert counter_totals.snapshot() == counts(records_written=8)


@pytest.mark.parametrize("end", ["child.kill()", "child.do('store.close()')"])
def test_where_no_other_counters_are_known_the_error_tells_of_the_programs_until_they_end(
    file_kind: FileKind, end: str
) -> None:
    Path(f"{file_kind.path}.metrics").touch()
    with Child() as child, Child() as other:
        for each in (child, other):
            each.do(f"store = open_store({file_kind.url!r})")
            each.do("store.append(Record('event'))")
        os.unlink(f"{file_kind.path}.metrics")
        counters = open_counters(file_kind.url)
        with pytest.raises(NotPublishedError, match="2 programs append whose counters are not"):
            counters.read()
        other.do("store.close()")
        with pytest.raises(NotPublishedError, match=UNSEEN):
            counters.read()
        if end == "child.kill()":
            child.kill()
        else:
            child.do("store.close()")
        with pytest.raises(NotPublishedError, match="no counters are published there"):
            counters.read()


def test_it_is_tried_again_only_after_some_seconds_and_told_once(
    file_kind: FileKind, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    with monkeypatch.context() as patch, file_kind.open() as store:

        def refuse(*_: object, **__: object) -> None:
            tries.append(1)
            raise PermissionError(13, "Permission denied")

        patch.setattr("papyra.backends.files.store.publish", refuse)
        for number in range(50):
            store._active._look_at = 0.0
            store.append(event(number))
        assert len(tries) == 1
        for number in range(5):
            store._publication.again_at = store._active._look_at = 0.0
            store.append(event(number))
            store.append(event(number))
        assert len(tries) == 6
        patch.undo()
        store._publication.again_at = store._active._look_at = 0.0
        store.append(event(1))
        store.append(event(2))
        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=62)
        assert store._publication.mark is None
    (warning,) = caplog.messages
    assert warning.endswith(
        ": Permission denied; an append at least 5 s later tries again, and the counts of a program without one"
        " end with the program"
    )


def test_programs_are_counted_by_their_pages_since_process_ids_repeat_across_containers(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as one, file_kind.open() as other:
        for store in (one, other):
            store.append(event(1))
        assert open_counters(file_kind.url).read().live == 2


def test_the_shell_tells_of_programs_whose_counters_it_cannot_see(file_kind: FileKind) -> None:
    from papyra.cli import render

    with file_kind.open() as store:
        store.append(event(1))
    metrics, aside = Path(f"{file_kind.path}.metrics"), Path(f"{file_kind.path}-metrics")
    shutil.move(metrics, aside)
    metrics.touch()
    with file_kind.open() as store:
        store.append(event(2))
        metrics.unlink()
        shutil.move(aside, metrics)
        source = open_counters(file_kind.url)
        counter_totals = source.read()
        assert f"unseen  {UNSEEN}" in render.counters(source.source, counter_totals)
        about = render.about(source.source, counter_totals)
    assert about == {
        "store": str(file_kind.path),
        "since": counter_totals.since,
        "live": 0,
        "exited": 1,
        "unpublished": 1,
    }


def test_a_program_on_a_disk_that_was_full_from_the_first_is_told_of(
    file_kind: FileKind, small_disk: Path
) -> None:
    file_kind.path = small_disk / "store.ndjson"
    fill(small_disk)
    with Child() as child:
        child.do(f"store = open_store({file_kind.url!r})")
        refused = child.do("store.append(Record('event'))")
        assert refused["raised"] == "StoreIOError"
        with pytest.raises(NotPublishedError, match=UNSEEN):
            open_counters(file_kind.url).read()


@pytest.mark.skipif(sys.platform != "linux", reason="marks are locks of an open file: Linux")
def test_locks_of_strangers_on_the_whole_lock_file_are_not_taken_for_programs(
    file_kind: FileKind,
) -> None:
    lock = f"{file_kind.path}.lock"
    Path(lock).touch()
    Path(f"{file_kind.path}.metrics").touch()
    with Child() as child, Child() as stranger:
        stranger.do("import fcntl")
        stranger.do(f"file = open({lock!r}, 'rb')")
        stranger.do("fcntl.lockf(file, fcntl.LOCK_SH)")
        assert count_marks(lock) == 0
        child.do(f"store = open_store({file_kind.url!r})")
        assert isinstance(child.do("store.append(Record('event'))"), str)
        stranger.kill()
        child.do(SOME_SECONDS_ON)
        child.do("store.append(Record('event'))")
        assert count_marks(lock) == 1


@pytest.mark.parametrize("how", ["the directory", "the page", "all of the store"])
def test_counters_that_were_removed_are_published_again_with_all_that_was_counted(
    file_kind: FileKind, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = Path(f"{file_kind.path}.metrics")
    with file_kind.open() as store:
        store.append(event(0))
        store.metrics.reset()
        for number in range(3):
            store.append(event(number))
        if how == "the page":
            for page in directory.glob("[0-9]*"):
                page.unlink()
        else:
            shutil.rmtree(directory)
        if how == "all of the store":
            for path in file_kind.path.parent.glob("store.ndjson*"):
                path.unlink()
        store._active._look_at = 0.0
        store.append(event(4))
        with pytest.raises(NotPublishedError, match=UNSEEN if sys.platform == "linux" else ""):
            open_counters(file_kind.url).read()
        store.append(event(5))
        counter_totals = open_counters(file_kind.url).read()
        assert counter_totals.snapshot() == store.metrics.snapshot() == counts(records_written=5)
        assert (counter_totals.unpublished, counter_totals.live, counter_totals.exited) == (0, 1, 0)
        assert open_counters(file_kind.url).reset() == counts(records_written=5)
        assert store.metrics.snapshot() == counts()
        assert store.metrics.totals() == counts(records_written=6)
        store.append(event(6))
    assert open_counters(file_kind.url).read().snapshot() == counts(records_written=1)
    (warning,) = caplog.messages
    assert "the counters of this program were removed" in warning


def test_an_append_that_publishes_again_waits_for_no_reset(file_kind: FileKind) -> None:
    with file_kind.open(lock_timeout=60.0) as store:
        store.append(event(0))
        for page in Path(f"{file_kind.path}.metrics").glob("[0-9]*"):
            page.unlink()
        store._active._look_at = 0.0
        store.append(event(1))
        begin = monotonic()
        with locked_by_another_thread(f"{file_kind.path}.metrics/lock"):
            store.append(event(2))
            assert monotonic() - begin < 30
        assert store._publication.mark is not None
        store._publication.again_at = store._active._look_at = 0.0
        store.append(event(3))
        store.append(event(4))
        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=5)


def test_counters_whose_place_is_taken_are_told_of_as_unseen_until_it_is_free(
    file_kind: FileKind,
) -> None:
    directory = Path(f"{file_kind.path}.metrics")
    with file_kind.open() as store:
        store.append(event(0))
        shutil.rmtree(directory)
        directory.touch()
        for number in range(1, 4):
            store._active._look_at = 0.0
            store.append(event(number))
        with pytest.raises(NotPublishedError) as reported:
            open_counters(file_kind.url).read()
        seen = " (1 program appends whose counters are not published)"
        assert str(reported.value) == (
            f"{directory}: it is not a directory, so programs cannot publish their"
            f" counters{seen if sys.platform == 'linux' else ''}; move it away: each program publishes"
            " them with its next append, some seconds later"
        )
        directory.unlink()
        for number in range(4, 6):
            store._publication.again_at = store._active._look_at = 0.0
            store.append(event(number))
        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=6)
