"""A directory whose time is put back: what came meanwhile is seen all the same."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from children import Child
from stores import counts, event, numbers

from papyra import RotatingBackend
from papyra.backends.files import paths
from papyra.system import clock as system_clock
from servers import missing, wait_until

#: A time at which nothing here was made.
_ELSEWHERE = 1_600_000_000


class Clock:
    """What the time is for a store's listings."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _by_utime(directory: Path, _: Path) -> None:
    os.utime(directory, (_ELSEWHERE, _ELSEWHERE))


def _by(command: Callable[[Path, Path], list[str]]) -> Callable[[Path, Path], None]:
    def put(directory: Path, backup: Path) -> None:
        argv = command(directory, backup)
        if shutil.which(argv[0]) is None:
            missing(f"no {argv[0]}: apt-get install {argv[0]}")
        subprocess.run(argv, check=True, capture_output=True)

    return put


#: What sets the time of a directory into which it puts something: (directory, what is put there).
PUT_BACK: dict[str, Callable[[Path, Path], None]] = {
    "os.utime": _by_utime,
    "rsync -a": _by(lambda to, from_: ["rsync", "-a", f"{from_}/", f"{to}/"]),
    "cp -a": _by(lambda to, from_: ["cp", "-a", f"{from_}/.", f"{to}/"]),
    "tar -x": _by(lambda to, from_: ["tar", "-x", "-C", f"{to}", "-f", f"{from_}.tar"]),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the listings, which stands still by itself."""
    clock = Clock()
    monkeypatch.setattr(paths, "monotonic", clock)
    return clock


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that were listed."""
    real, listed = os.listdir, list[str]()

    def listdir(path: str) -> list[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    return listed


def pass_a_tick(directory: Path) -> None:
    """Return once the file system tells another time than it does now."""
    scratch = directory / "scratch"
    scratch.touch()
    before = scratch.stat().st_ctime_ns

    def passed() -> bool:
        scratch.touch()
        return scratch.stat().st_ctime_ns != before

    wait_until(passed)


@pytest.fixture(params=list(PUT_BACK))
def put_back(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], None]:
    """Set the time of a directory to what it is elsewhere, as one way of copying into it does."""
    backup = tmp_path / "backup"
    backup.mkdir()
    (backup / "readme").touch()
    os.utime(backup, (_ELSEWHERE, _ELSEWHERE))
    if shutil.which("tar"):
        subprocess.run(["tar", "-c", "-C", backup, "-f", f"{backup}.tar", "."], check=True)
    return lambda directory: PUT_BACK[request.param](directory, backup)


@pytest.mark.parametrize(
    "operation", ["read", "read newest", "records", "scan", "compact", "recover"]
)
def test_what_came_before_a_directorys_time_was_put_back_is_seen(
    tmp_path: Path,
    clock: Clock,
    put_back: Callable[[Path], None],
    listings: list[str],
    operation: str,
) -> None:
    directory = tmp_path / "stores"
    directory.mkdir()
    path = directory / "store.ndjson"
    with RotatingBackend(path, max_bytes=400) as writer, RotatingBackend(path) as long_lived:
        writer.append_many([event(n) for n in range(4)])
        writer.append_many([event(n) for n in range(4, 9)])
        put_back(directory)
        for _ in range(3):
            assert numbers(long_lived.read()) == list(range(9))
            clock.now += 60.0
        listings.clear()
        long_lived.read()
        assert listings == []  # its listing is believed

        pass_a_tick(tmp_path)  # as two seconds are, by the real clock
        for n in range(9, 20):
            writer.append(event(n))
        put_back(directory)

        whole = list(range(20))
        match operation:
            case "read":
                assert numbers(long_lived.read()) == whole
            case "read newest":
                assert numbers(long_lived.read(limit=15)) == whole[5:]
            case "records":
                assert numbers(list(long_lived.records())) == whole
            case "scan":
                assert long_lived.scan().records == 20
            case "compact":
                assert long_lived.compact().kept == 20
            case "recover":
                with next(directory.glob("*.000000000003")).open("ab") as segment:
                    segment.write(b"no record\n")
                os.utime(directory, (_ELSEWHERE, _ELSEWHERE))
                assert long_lived.recover().found == 1
        assert writer.metrics.snapshot() == counts(records_written=20)


@pytest.mark.parametrize(
    "times",
    [
        {"st_mtime_ns": 1_700_000_002_000_000_000, "st_ctime_ns": 1_700_000_002_000_000_000},
        {"st_mtime_ns": 1_700_000_001_230_000_000, "st_ctime_ns": 1_700_000_001_230_000_000},
        {"st_ctime_ns": 0},
    ],
    ids=["FAT", "exFAT", "a file system without such a time"],
)
def test_a_listing_is_never_believed_where_nothing_but_a_time_that_can_be_set_vouches_for_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, times: dict[str, int]
) -> None:
    real = os.stat

    def stat(path: str, **how: bool) -> os.stat_result:
        return os.stat_result(tuple(real(path, **how)), times)

    monkeypatch.setattr(os, "stat", stat)
    with RotatingBackend(tmp_path / "store.ndjson", max_bytes=150) as store:
        for number in range(5):
            store.append(event(number))
            clock.now += 60.0
            assert numbers(store.read()) == list(range(number + 1))


def test_a_listing_is_believed_only_once_two_seconds_went_by_without_a_change(
    tmp_path: Path, clock: Clock, listings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time of change may come in steps of up to two seconds, and two changes show as one."""
    real, step = os.stat, 2_000_000_000

    def in_steps(path: str, **how: bool) -> os.stat_result:
        status = real(path, **how)
        changed = int(clock.now * 1e9) // step * step + 1
        return os.stat_result(tuple(status), {"st_mtime_ns": changed, "st_ctime_ns": changed})

    monkeypatch.setattr(os, "stat", in_steps)
    with RotatingBackend(tmp_path / "store.ndjson") as store:
        store.append(event(1))
        store.read()
        clock.now += 1.9
        store.read()
        listings.clear()
        store.read()
        assert listings != []  # what is made now would have the time that was seen


def test_a_frozen_time_is_not_the_locks_and_listings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freezegun replaces `time.monotonic` in every module that has it as an attribute."""
    import time

    real = time.monotonic
    with RotatingBackend(tmp_path / "store.ndjson", lock_timeout=5.0) as store:
        store.append(event(1))
        for module in list(sys.modules.values()):
            for name, value in list(vars(module).items()):
                if value is real:
                    monkeypatch.setattr(module, name, lambda: 1e9)
        before = system_clock.monotonic()
        assert 0.0 < before < 1e9
        with Child() as child:
            child.do("from papyra.system.locks import *")
            child.do(
                f"lock = locked('{store.source}.lock', LOCK_EXCLUSIVE, timeout=5); lock.__enter__()"
            )
            child.send("lock.__exit__(None, None, None)")
            store.append(event(2))
