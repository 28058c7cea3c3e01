"""One system call of many that goes wrong, without the system's help."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Final
from unittest import mock

import papyra.system
import papyra.system.descriptors

#: What the package calls of the os module, as it is called.
_CALLS: Final = (
    "chown",
    "fchmod",
    "fstat",
    "fsync",
    "ftruncate",
    "listdir",
    "lseek",
    "lstat",
    "mkdir",
    "open",
    "rename",
    "replace",
    "stat",
    "unlink",
    "write",
)
#: Calls that a full disk refuses.
_TAKE_SPACE: Final = frozenset({"mkdir", "open", "rename", "replace", "sync", "write"})
FAULTS: Final = ("EIO", "ENOSPC", "short", "interrupt")


class FailingCalls:
    """
    Counts calls, and has the one with a given number fail.

    Args:
        fault: "EIO", "ENOSPC", "short" (half is written, and no more after it) or "interrupt" (it
            is done, and KeyboardInterrupt is raised, as Ctrl-C during it would).
        at: The number of the call; 0 for none.

    Attributes:
        made: Calls so far.
        failed: The name of the call that went wrong; "" while none has.
    """

    def __init__(self, fault: str, at: int) -> None:
        self.made = 0
        self.failed = ""
        self._fault = fault
        self._at = at
        self._is_full = False

    def call(self, name: str, real: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Do *real*, or fail."""
        self.made += 1
        if self._is_full and name == "write":
            self._is_full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.made != self._at or (self._fault == "ENOSPC" and name not in _TAKE_SPACE):
            return real(*arguments, **options)
        self.failed = name
        if self._fault == "interrupt":
            real(*arguments, **options)
            raise KeyboardInterrupt
        if self._fault != "short":
            code = getattr(errno, self._fault)
            raise OSError(code, os.strerror(code))
        if name == "write":
            *descriptor, data = arguments
            self._is_full = len(data) > 1
            return real(*descriptor, data[: len(data) // 2 or 1])
        return real(*arguments, **options)

    @contextmanager
    def in_the_way(self) -> Iterator[None]:
        """Stand before every call that papyra makes."""
        replaced: dict[int, Callable[..., Any]] = {
            id(papyra.system.sync.sync_data): self._before("sync", papyra.system.sync.sync_data),
            id(papyra.system.files.read_at): self._before("read", papyra.system.files.read_at),
            id(papyra.system.descriptors.open_file): self._open_file,
        }
        with ExitStack() as stack:
            for module in [m for name, m in sys.modules.items() if name.startswith("papyra.")]:
                for name, value in vars(module).items():
                    if id(value) in replaced and not name.startswith("_"):
                        stack.enter_context(mock.patch.object(module, name, replaced[id(value)]))
            for name in _CALLS:
                stand_in = self._before(name, getattr(os, name))
                stack.enter_context(mock.patch.object(os, name, stand_in))
            yield

    def _before(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*arguments: Any, **options: Any) -> Any:
            return self.call(name, real, *arguments, **options)

        return stand_in

    def _open_file(
        self, path: str, flags: int, mode: str = "rb", *, buffering: int = -1
    ) -> IO[bytes]:
        """Open a file whose writes to the disk are calls like the others."""
        descriptor = os.open(path, flags, 0o600)
        if mode == "rb":
            return open(descriptor, mode)
        raw = _Raw(descriptor, mode)
        raw.calls = self
        size = buffering if buffering > 0 else io.DEFAULT_BUFFER_SIZE
        return io.BufferedWriter(raw, size)


class _Raw(io.FileIO):
    calls: FailingCalls

    def write(self, data: Any, /) -> int:
        written: int = self.calls.call("write", super().write, data)
        return written
