"""What stands in where a system has less."""

import errno
import os
from collections.abc import Callable
from types import ModuleType

import pytest

from papyra.system import sync


def fcntl_of_macos(fail: int) -> ModuleType:
    """Return a module whose F_FULLFSYNC fails with the error number *fail*."""
    module = ModuleType("fcntl")
    module.F_FULLFSYNC = 51  # type: ignore[attr-defined]

    def fcntl(descriptor: int, command: int) -> None:
        raise OSError(fail, os.strerror(fail))

    module.fcntl = fcntl  # type: ignore[attr-defined]
    return module


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that fsync was called with."""
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    return calls


def find(monkeypatch: pytest.MonkeyPatch, fail: int) -> Callable[[int], object]:
    monkeypatch.setattr(sync, "_fcntl", fcntl_of_macos(fail))
    return sync._find_sync()


@pytest.mark.parametrize("fail", [errno.ENOTSUP, errno.ENOTTY, errno.EINVAL])
def test_where_the_file_system_knows_no_full_sync_it_is_a_plain_one(
    monkeypatch: pytest.MonkeyPatch, synced: list[int], fail: int
) -> None:
    find(monkeypatch, fail)(7)
    assert synced == [7]


def test_a_full_sync_that_failed_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, synced: list[int]
) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        find(monkeypatch, errno.EIO)(7)
    assert synced == []
