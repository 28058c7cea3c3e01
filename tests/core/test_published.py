"""Counters that other processes see and reset."""

import contextlib
import errno
import json
import logging
import os
import sys
import threading
from pathlib import Path
from types import FrameType

import pytest
from children import Child
from stores import FileKind, counts, event, locked_by_another_thread, raiser

from papyra import (
    NotPublishedError,
    StoreIOError,
    StoreLockedError,
    StoreNotFoundError,
    open_counters,
)
from papyra.metrics import exited, resets
from papyra.metrics.exited import Retired
from papyra.metrics.mmap_page import Page, open_page
from papyra.metrics.persistence import PersistenceMetrics
from papyra.metrics.storage import CounterStorage
from papyra.metrics.totals import RESET_DONE
from papyra.system.sync import sync_directory

pytestmark = pytest.mark.skipif(os.name == "nt", reason="nothing is published without flock")


def pages(kind: FileKind) -> list[str]:
    """Return the names of the pages beside the store."""
    names = os.listdir(f"{kind.path}.metrics")
    return [name for name in names if name not in {"lock", "retired"}]


def test_a_store_that_only_looked_is_not_published(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.read()
        store.scan()
        store.recover(dry_run=True)
        assert list(file_kind.path.parent.iterdir()) == []
        with pytest.raises(StoreNotFoundError, match="no such store"):
            open_counters(file_kind.url)
    file_kind.path.touch()
    with pytest.raises(NotPublishedError, match=r"\.metrics: no counters are published there"):
        open_counters(file_kind.url).read()


def test_what_was_counted_before_the_first_append_is_published_with_it(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as store:
        store.scan()
        store.append(event(1))
        assert open_counters(file_kind.url).read().snapshot() == counts(
            records_written=1, scan_operations=1
        )


@pytest.mark.parametrize("operation", ["recover", "compact"])
def test_a_recovery_or_compaction_publishes_whatever_becomes_of_it(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    file_kind.path.write_bytes(b'{"kind":"torn')
    with file_kind.open() as store:
        monkeypatch.setattr(store, "_rewrite", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            getattr(store, operation)()
        assert open_counters(file_kind.url).read().snapshot() == store.metrics.snapshot()
        assert sum(store.metrics.snapshot().values()) >= 2


def test_the_sum_is_over_all_objects_living_and_gone(file_kind: FileKind) -> None:
    counters = f"open_counters({file_kind.url!r})"
    with Child() as one, Child() as other, file_kind.open() as mine:
        for child, number in ((one, 3), (other, 4)):
            child.do(f"store = open_store({file_kind.url!r})")
            child.do(f"store.append_many([Record('event')] * {number})")
        mine.append(event(1))
        mine.read()

        counter_totals = open_counters(file_kind.url).read()
        assert counter_totals.snapshot() == counts(records_written=8, records_read=8)
        assert counter_totals.live == 3
        assert counter_totals.exited == 0
        assert one.do(f"{counters}.read().snapshot()") == counter_totals.snapshot()

        one.kill()
        other.do("store.close()")
        counter_totals = open_counters(file_kind.url).read()
        assert counter_totals.snapshot() == counts(records_written=8, records_read=8)
        assert (counter_totals.live, counter_totals.exited) == (1, 2)
    counter_totals = open_counters(file_kind.url).read()
    assert counter_totals.snapshot() == counts(records_written=8, records_read=8)
    assert (counter_totals.live, counter_totals.exited) == (0, 3)
    assert pages(file_kind) == []


def test_counts_survive_a_kill(file_kind: FileKind) -> None:
    with Child() as child:
        child.do(f"store = open_store({file_kind.url!r})")
        assert child.do("len([store.append(Record('event')) for _ in range(500)])") == 500
        child.do("store.append('no record')")
        child.kill()

    assert len(pages(file_kind)) == 1
    assert open_counters(file_kind.url).read().snapshot() == counts(
        records_written=500, write_errors=1
    )
    with file_kind.open() as store:
        store.append(event(1))
        assert len(pages(file_kind)) == 1  # the dead one's is folded
    assert open_counters(file_kind.url).read().snapshot() == counts(
        records_written=501, write_errors=1
    )


def test_a_reset_from_outside_is_seen_by_the_program_and_disturbs_nothing(
    file_kind: FileKind,
) -> None:
    with Child() as child:
        child.do(f"store = open_store({file_kind.url!r})")
        child.do("store.append_many([Record('event')] * 5)")
        since = child.do("store.metrics.since")

        assert open_counters(file_kind.url).reset() == counts(records_written=5)

        assert open_counters(file_kind.url).read().snapshot() == counts()
        assert child.do("store.metrics.snapshot()") == counts()
        assert child.do("store.metrics.totals()") == counts(records_written=5)
        assert child.do("store.metrics.since") > since
        child.do("store.append(Record('event'))")
        assert child.do("store.metrics.reset()") == counts(records_written=1)
        assert open_counters(file_kind.url).read().snapshot() == counts()
        assert child.do("len(store.read())") == 6


@pytest.mark.faults
def test_all_resets_and_the_last_snapshot_add_up_to_the_totals(file_kind: FileKind) -> None:
    with (
        Child() as child,
        Child() as resetter,
        file_kind.open(lock_timeout=100.0, **file_kind.busy) as mine,
    ):
        child.do(f"store = open_store({file_kind.url!r})")
        child.do("store.append(Record('event'))")
        child.do(
            "thread = threading.Thread(target=lambda:"
            " [store.append(Record('event')) for _ in range(3000)]); thread.start()"
        )
        # Nobody is to give up, however busy the machine is.
        patient = f"{file_kind.url}?lock_timeout=100"
        resetter.do(f"counters = open_counters({patient!r})")
        resetter.do("intervals, done = [], threading.Event()")
        resetter.do("loop = 'while not done.is_set(): intervals.append(counters.reset())'")
        resetter.do("thread = threading.Thread(target=exec, args=(loop, globals()))")
        resetter.do("thread.start()")
        intervals = []
        own: list[dict[str, int]] = []
        done = threading.Event()

        def append() -> None:
            for n in range(3000):
                mine.append(event(n))
                if n % 100 == 0:
                    own.append(mine.metrics.reset())
            done.set()

        thread = threading.Thread(target=append)
        thread.start()
        while not done.is_set():
            intervals.append(open_counters(patient).reset())
        thread.join()
        child.do("thread.join()")
        resetter.do("done.set(); thread.join()")
        intervals += resetter.do("intervals")
        child_totals = child.do("store.metrics.totals()")

        last = open_counters(file_kind.url).read()
        assert child_totals == counts(records_written=3001)
        assert mine.metrics.totals() == counts(records_written=3000)
        assert last.totals() == counts(records_written=6001)
        reset = sum(interval["records_written"] for interval in (*intervals, *own))
        assert reset + last.snapshot()["records_written"] == 6001


def test_a_resetter_killed_before_the_flip_changes_nothing(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append_many([event(1), event(2)])
        with Child() as child:
            child.do("from papyra.metrics.mmap_page import Page")
            child.do("fill = Page._fill")
            child.do("Page._fill = lambda *a: (fill(*a), os.kill(os.getpid(), signal.SIGKILL))")
            child.send(f"open_counters({file_kind.url!r}).reset()")
            child._process.wait()

        assert store.metrics.snapshot() == counts(records_written=2)
        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=2)
        assert open_counters(file_kind.url).reset() == counts(records_written=2)


@pytest.mark.parametrize(
    ("place", "name"),
    [("mmap_page.Page", "end_interval"), ("exited.Retired", "save"), ("resets", "sync_directory")],
)
def test_a_resetter_killed_anywhere_has_reset_nothing_once_somebody_looks(
    file_kind: FileKind, place: str, name: str
) -> None:
    """Not once the last step is done: then it has reset everything."""
    with file_kind.open() as gone:
        gone.append(event(0))
    with file_kind.open() as store, file_kind.open() as other:
        store.append_many([event(1), event(2)])
        other.append(event(3))
        with Child() as child:
            child.do(f"import papyra.metrics.{place.split('.', maxsplit=1)[0]}")
            child.do(f"place, name = papyra.metrics.{place}, {name!r}; real = getattr(place, name)")
            child.do("kill = lambda *a: (real(*a), os.kill(os.getpid(), signal.SIGKILL))")
            child.do("setattr(place, name, kill)")
            child.send(f"open_counters({file_kind.url!r}).reset()")
            child._process.wait()
        assert os.path.exists(f"{file_kind.path}.metrics/reset")

        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=4)
        assert store.metrics.snapshot() == counts(records_written=2)
        assert open_counters(file_kind.url).reset() == counts(records_written=4)
        assert open_counters(file_kind.url).read().snapshot() == counts()


def test_a_programs_own_reset_takes_back_one_of_all_that_was_killed(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        with Child() as child:
            child.do("from papyra.metrics.mmap_page import Page; end = Page.end_interval")
            child.do("Page.end_interval = lambda *a: (end(*a), os.kill(os.getpid(), 9))")
            child.send(f"open_counters({file_kind.url!r}).reset()")
            child._process.wait()
        store.append(event(2))
        assert store.metrics.reset() == counts(records_written=2)
        assert open_counters(file_kind.url).read().snapshot() == counts()


def test_a_damaged_note_of_a_reset_is_named(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        Path(f"{file_kind.path}.metrics/reset").write_bytes(b"{}")
        with pytest.raises(NotPublishedError, match=r"metrics/reset: damaged .*; remove it"):
            open_counters(file_kind.url).read()
        os.unlink(f"{file_kind.path}.metrics/reset")


def fail_the_sync_after_a_reset(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def sync(directory: str) -> None:
        if not os.path.exists(f"{file_kind.path}.metrics/reset"):
            raise error
        sync_directory(directory)

    monkeypatch.setattr("papyra.metrics.resets.sync_directory", sync)


def test_a_reset_that_was_done_before_an_interrupt_tells_the_interval(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        fail_the_sync_after_a_reset(file_kind, monkeypatch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt) as caught:
            open_counters(file_kind.url).reset()
        (note,) = caught.value.__notes__
        assert json.loads(note.removeprefix(RESET_DONE)) == counts(records_written=1)
        assert open_counters(file_kind.url).read().snapshot() == counts()


def test_no_second_interrupt_comes_between_a_reset_that_is_done_and_its_note(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It strikes at calls: each one from the first interrupt on, which a note was added to, is struck."""
    first = KeyboardInterrupt()
    first.add_note("an earlier note")

    def strike(frame: FrameType, what: str, _: object) -> None:
        if what == "c_call" and frame.f_code is resets.reset_all.__code__:
            raise KeyboardInterrupt

    def sync(directory: str) -> None:
        if not os.path.exists(f"{file_kind.path}.metrics/reset"):
            sys.setprofile(strike)
            raise first
        sync_directory(directory)

    with file_kind.open() as store:
        store.append(event(1))
        monkeypatch.setattr("papyra.metrics.resets.sync_directory", sync)
        counters = open_counters(file_kind.url)
        try:
            with pytest.raises(KeyboardInterrupt) as caught:
                counters.reset()
        finally:
            sys.setprofile(None)
    assert caught.value is first
    note, earlier = first.__notes__
    assert earlier == "an earlier note"
    assert json.loads(note.removeprefix(RESET_DONE)) == counts(records_written=1)


def test_an_interrupt_is_raised_where_the_disk_is_too_full_to_take_the_reset_back(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_kind.open() as first:
        first.append(event(1))
    with file_kind.open() as store:
        store.append(event(2))
        counters = open_counters(file_kind.url)
        full = OSError(errno.ENOSPC, "No space left on device")
        with monkeypatch.context() as patch:
            patch.setattr(
                "papyra.metrics.mmap_page.Page.begin_interval", raiser(KeyboardInterrupt())
            )
            saves = iter([Retired.save])

            def save(retired: Retired) -> None:
                next(saves, raiser(full))(retired)

            patch.setattr(Retired, "save", save)
            with pytest.raises(KeyboardInterrupt) as caught:
                counters.reset()
            assert not hasattr(caught.value, "__notes__")
        assert counters.read().snapshot() == counts(records_written=2)


@pytest.mark.parametrize("step", ["save", "unlink"])
def test_folding_interrupted_anywhere_counts_nothing_twice(file_kind: FileKind, step: str) -> None:
    with Child() as early, Child() as late:
        for child in (early, late):
            child.do(f"store = open_store({file_kind.url!r})")
            child.do("store.append_many([Record('event')] * 5)")
        # The second time there is a page that was folded the first time, and not removed.
        for ended in (early, late):
            ended.kill()
            with Child() as child:
                child.do("import papyra.metrics.exited as exited")
                child.do("die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)")
                if step == "save":
                    child.do("exited.Retired.save = die")
                else:
                    child.do("os.unlink = lambda path: path.endswith('.tmp') or die()")
                child.do(f"store = open_store({file_kind.url!r})")
                child.send("store.append(Record('event'))")
                child._process.wait()

    for _ in range(2):
        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=10)
    with file_kind.open() as store:
        store.append(event(1))
        assert open_counters(file_kind.url).read().snapshot() == counts(records_written=11)
        assert open_counters(file_kind.url).read().exited == 2


@pytest.mark.parametrize("step", ["_fill", "show"])
def test_an_interrupt_while_counters_are_published_counts_nothing_twice(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with file_kind.open() as store:
        store.scan()
        with monkeypatch.context() as patch:
            patch.setattr(f"papyra.metrics.own_page.OwnPage.{step}", raiser(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                store.append(event(1))
        store.append(event(2))
        expected = counts(scan_operations=1, records_written=1)
        assert store.metrics.snapshot() == expected
        assert open_counters(file_kind.url).read().snapshot() == expected
    assert open_counters(file_kind.url).read().snapshot() == expected


def test_no_append_runs_while_the_counts_move_into_their_page(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would count in the storage that is being left; see `PersistenceMetrics._settle_written`."""
    held = []
    move = PersistenceMetrics._count_in

    def moving(self: PersistenceMetrics, storage: CounterStorage) -> None:
        held.append(store._queue.leader == threading.get_ident())
        move(self, storage)

    monkeypatch.setattr(PersistenceMetrics, "_count_in", moving)
    with file_kind.open() as store:
        store.append(event(1))

    assert held == [True, True]  # into the page, and at the end out of it


def test_a_thousand_openings_leave_one_small_file(file_kind: FileKind) -> None:
    for n in range(100):
        with file_kind.open(sync="none") as store:
            store.append(event(n))
    assert sorted(os.listdir(f"{file_kind.path}.metrics")) == ["lock", "retired"]
    retired = Path(f"{file_kind.path}.metrics/retired")
    assert retired.stat().st_size < 1000
    assert json.loads(retired.read_text())["exited"] == 100
    assert open_counters(file_kind.url).read().snapshot() == counts(records_written=100)


def test_a_sum_while_a_reset_does_not_end_says_so(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        lock = f"{file_kind.path}.metrics/lock"
        with (
            locked_by_another_thread(lock),
            pytest.raises(StoreLockedError, match=f"process {os.getpid()}"),
        ):
            open_counters(f"{file_kind.url}?lock_timeout=0.01").read()


def test_a_store_waits_for_its_own_timeout_for_a_reset_of_another(file_kind: FileKind) -> None:
    with file_kind.open(lock_timeout=0.0) as store:
        store.append(event(1))
        with locked_by_another_thread(f"{file_kind.path}.metrics/lock"):
            with pytest.raises(StoreLockedError, match="for more than 0 s"):
                store.metrics.reset()
            file_kind.open(lock_timeout=0.0).close()
        assert store.metrics.reset() == counts(records_written=1)


def test_a_place_that_cannot_be_written_degrades_to_counters_of_the_process(
    file_kind: FileKind, caplog: pytest.LogCaptureFixture
) -> None:
    Path(f"{file_kind.path}.metrics").write_text("in the way")
    with file_kind.open() as store:
        store.append(event(1))
        store.append(event(2))
        assert store.metrics.snapshot() == counts(records_written=2)
    (warning,) = caplog.messages
    assert "other processes do not see its counters: " in warning


def test_a_reset_that_cannot_be_saved_resets_nothing(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_kind.open() as gone:
        gone.append_many([event(1), event(2)])
    with file_kind.open() as store:
        store.append(event(3))
        counters = open_counters(file_kind.url)
        with monkeypatch.context() as patch:
            patch.setattr("papyra.metrics.exited.sync_data", raiser(OSError(28, "no space")))
            with pytest.raises(StoreIOError, match="no space"):
                counters.reset()
        assert counters.read().snapshot() == counts(records_written=3)
        assert counters.reset() == counts(records_written=3)


def test_a_handler_of_the_warning_may_use_the_store(file_kind: FileKind) -> None:
    class Appending(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            store.append(event(2))

    Path(f"{file_kind.path}.metrics").write_text("in the way")
    handler = Appending()
    logging.getLogger("papyra").addHandler(handler)
    try:
        with file_kind.open() as store:
            store.append(event(1))
            assert store.metrics.snapshot() == counts(records_written=2)
    finally:
        logging.getLogger("papyra").removeHandler(handler)


def test_a_damaged_file_of_retired_counters_is_named(
    file_kind: FileKind, caplog: pytest.LogCaptureFixture
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
    retired = Path(f"{file_kind.path}.metrics/retired")
    retired.write_text("no json")
    with pytest.raises(NotPublishedError, match="retired: damaged"):
        open_counters(file_kind.url).read()
    with file_kind.open() as store:
        store.append(event(2))  # nothing of the store depends on it
        assert store.metrics.snapshot() == counts(records_written=1)
    assert "retired: damaged" in caplog.text


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"totals": [1], "baseline": [], "since": 0}', "5"]
)
def test_retired_counters_of_another_shape_are_damaged_too(
    file_kind: FileKind, content: str
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
    Path(f"{file_kind.path}.metrics/retired").write_text(content)
    for use in (open_counters(file_kind.url).read, open_counters(file_kind.url).reset):
        with pytest.raises(NotPublishedError, match="retired: damaged"):
            use()
    with file_kind.open() as store:
        store.append(event(2))


def test_a_page_that_was_never_finished_is_nothing(file_kind: FileKind) -> None:
    directory = Path(f"{file_kind.path}.metrics")
    directory.mkdir()
    (directory / "lock").touch()
    file_kind.path.touch()
    for content in (b"", bytes(4096)):
        (directory / "123-0123abcd").write_bytes(content)
        for use in (open_counters(file_kind.url).read, open_counters(file_kind.url).reset):
            with pytest.raises(NotPublishedError, match="no counters are published there"):
                use()
    with file_kind.open() as store:
        store.append(event(1))
        assert open_counters(file_kind.url).read().exited == 0


def test_a_removed_directory_disturbs_nobody(file_kind: FileKind) -> None:
    import shutil

    with file_kind.open() as store:
        store.append(event(1))
        shutil.rmtree(f"{file_kind.path}.metrics")
        store.append(event(2))
        assert store.metrics.reset() == counts(records_written=2)
        store.append(event(3))
        assert store.metrics.snapshot() == counts(records_written=1)


def test_a_full_disk_refuses_a_page_and_does_not_kill_the_process(
    file_kind: FileKind, small_disk: Path
) -> None:
    """A sparse page would: writing to it through the map is a SIGBUS where there is no block."""
    file_kind.path = small_disk / "store.ndjson"
    file_kind.path.touch()
    Path(f"{file_kind.path}.metrics").mkdir()
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    with Child() as child:
        child.do(f"store = open_store({file_kind.url!r})")
        assert child.do("store.append(Record('event'))")["raised"] == "StoreIOError"
        assert child.do("store.metrics.snapshot()") == counts(write_errors=1)
        (small_disk / "filler").unlink()
        child.do("store.append(Record('event'))")
        assert child.do("store.metrics.snapshot()") == counts(write_errors=1, records_written=1)


def test_a_page_of_which_only_a_part_can_be_written_is_done_without(file_kind: FileKind) -> None:
    with Child() as child:
        child.do("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))")
        child.do(f"store = open_store({file_kind.url!r})")
        child.do("store.append(Record('event'))")
        assert child.do("store.metrics.snapshot()") == counts(records_written=1)
        assert pages(file_kind) == []


def test_who_comes_or_goes_looks_at_a_few_pages_however_many_there_are(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    real = open_page

    def look(path: str, *, writable: bool) -> tuple[Page | None, bool]:
        looks.append(path)
        return real(path, writable=writable)

    with contextlib.ExitStack() as others:
        for number in range(60):
            others.enter_context(file_kind.open(sync="none")).append(event(number))
        monkeypatch.setattr(exited, "open_page", look)
        with file_kind.open() as store:
            store.append(event(60))
            assert 0 < len(looks) <= 16
            looks.clear()
        assert 0 < len(looks) <= 17  # its own, too
    counter_totals = open_counters(file_kind.url).read()
    assert (counter_totals.snapshot(), counter_totals.live, counter_totals.exited) == (
        counts(records_written=61),
        0,
        61,
    )


@pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")
def test_many_pages_without_an_owner_are_folded_by_those_who_come(file_kind: FileKind) -> None:
    stores = [file_kind.open(sync="none") for _ in range(100)]
    for store in stores:
        store.append(event(1))
    del store
    stores.clear()
    assert len(pages(file_kind)) == 100
    for number in range(20):
        with file_kind.open(sync="none") as store:
            store.append(event(number))
    assert pages(file_kind) == []
    counter_totals = open_counters(file_kind.url).read()
    assert (counter_totals.snapshot(), counter_totals.live, counter_totals.exited) == (
        counts(records_written=120),
        0,
        120,
    )


@pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")
def test_pages_without_an_owner_are_few_beside_many_that_live(file_kind: FileKind) -> None:
    with contextlib.ExitStack() as others:
        for number in range(60):
            others.enter_context(file_kind.open(sync="none")).append(event(number))
        for number in range(150):
            file_kind.open(sync="none").append(event(number))
        assert 60 < len(pages(file_kind)) < 120  # four of them, as a rule
        counter_totals = open_counters(file_kind.url).read()
        assert (counter_totals.snapshot(), counter_totals.live) == (counts(records_written=210), 60)
        assert open_counters(file_kind.url).reset() == counts(records_written=210)
        assert len(pages(file_kind)) == 60


def test_a_reset_that_is_done_is_told_although_the_disk_refuses_to_sync_its_end(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        fail_the_sync_after_a_reset(file_kind, monkeypatch, OSError(5, "I/O error"))
        assert open_counters(file_kind.url).reset() == counts(records_written=1)
        assert store.metrics.snapshot() == counts()
