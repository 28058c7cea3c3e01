"""Descriptors and locks are let go of in one call of C, by nobody but their holder, and once."""

import os
from pathlib import Path
from types import FunctionType

import pytest

from papyra import StoreBusyError, StoreLockedError
from papyra.system.descriptors import Descriptors, FileLock, LockedDescriptors
from papyra.system.locks import HAS_FLOCK, LOCK_EXCLUSIVE, LOCK_SHARED, try_lock

pytestmark = pytest.mark.skipif(not HAS_FLOCK, reason="there are no locks without flock")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a file that can be locked."""
    made = tmp_path / "lock"
    made.touch()
    return str(made)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def is_free(path: str) -> bool:
    try:
        with FileLock(path, LOCK_EXCLUSIVE, timeout=0):
            return True
    except (StoreBusyError, StoreLockedError):
        return False


@pytest.mark.parametrize("kind", [Descriptors, LockedDescriptors, FileLock])
def test_no_function_of_python_runs_at_the_end(kind: type[Descriptors]) -> None:
    """A signal's handler that raises at its beginning would skip it."""
    for name in ("__exit__", "__del__"):
        assert not isinstance(getattr(kind, name), FunctionType), name


def test_what_is_dropped_without_its_end_is_unlocked_and_closed(path: str) -> None:
    lock = FileLock(path, LOCK_EXCLUSIVE, timeout=0)
    descriptor = lock.__enter__().descriptor
    assert descriptor is not None
    assert not is_free(path)
    del lock
    assert not is_open(descriptor)
    assert is_free(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is open cannot be told")
def test_a_lock_that_was_refused_is_closed_while_the_traceback_lives(path: str) -> None:
    with FileLock(path, LOCK_SHARED, timeout=0):
        before = os.listdir("/proc/self/fd")
        refused = FileLock(path, LOCK_EXCLUSIVE, timeout=0)
        with pytest.raises(StoreBusyError) as _:
            refused.__enter__()
        assert os.listdir("/proc/self/fd") == before


def test_a_number_that_was_given_out_again_is_neither_unlocked_nor_closed(path: str) -> None:
    lock = FileLock(path, LOCK_EXCLUSIVE, timeout=0)
    with lock:
        number = lock.descriptor
    other = os.open(path, os.O_RDWR)
    assert other == number
    assert try_lock(other, LOCK_EXCLUSIVE)
    lock.close()
    del lock
    assert is_open(other)
    assert not is_free(path)
    os.close(other)


def test_a_child_that_was_forked_meanwhile_keeps_nobody_out(path: str) -> None:
    ended, end = os.pipe()
    with FileLock(path, LOCK_EXCLUSIVE, timeout=0):
        child = os.fork()
        if not child:
            os.close(end)
            os.read(ended, 1)  # until the parent is done
            os._exit(0)
    assert is_free(path)
    os.close(end)
    os.close(ended)
    os.waitpid(child, 0)


def test_a_child_does_not_unlock_what_is_its_parents(path: str) -> None:
    child = -1
    with FileLock(path, LOCK_EXCLUSIVE, timeout=0):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            assert not is_free(path)
    if not child:
        os._exit(0)  # past the end of the block


def test_a_file_that_does_not_exist_can_be_locked_by_nobody(tmp_path: Path) -> None:
    with FileLock(str(tmp_path / "lock"), LOCK_SHARED, timeout=0) as lock:
        assert lock.descriptor is None
    assert os.listdir(tmp_path) == []
