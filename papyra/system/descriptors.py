"""
Open and lock files so that an interrupt leaves neither a descriptor nor a lock behind.

Python delivers a signal after each call, at each jump back and at the beginning of each function
written in Python. A handler that raises there, as Ctrl-C does, can therefore skip a whole `__exit__`
or `finally` that is a function of Python. It can also drop what a call has just returned. Here both
are one call of C. A descriptor is noted by the call that opens it, and unlocked and closed by the
call that ends the block. `io.IOBase` brings the rest: an `__exit__` and a finalizer that are C and
call `close`.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from io import IOBase
from itertools import chain, compress, repeat
from threading import get_ident
from typing import IO, Self

from papyra.system import own_locks
from papyra.system.clock import monotonic
from papyra.system.files import AT_ONCE, OPEN_FLAGS, check_odd, check_place, check_regular, own_like
from papyra.system.locks import LOCK_NONE, LOCK_SHARED, flock, lock


def open_file(path: str, flags: int, mode: str = "rb", *, buffering: int = -1) -> IO[bytes]:
    """
    Return a file object of *path*, opened with the *flags* of `os.open`; a new one has mode 0600.

    Raises:
        StoreIOError: if something other than a regular file is there, such as a FIFO.
    """
    check_place(path)
    # One call of C, as below.
    descriptors = map(os.open, (path,), (flags | OPEN_FLAGS | AT_ONCE,), (0o600,))
    return next(map(open, descriptors, (mode,), (buffering,)))


class Descriptors(IOBase):
    """
    Close all descriptors that were opened here, at the end of a `with` block.

    If an interrupt strikes outside of the block, they are closed when the object is freed.

    Attributes:
        close: Closes them; calling it again does nothing, and does not close numbers that the system
            has given out again meanwhile.
    """

    __slots__ = ("_opened",)

    # Set by the instance, in its dictionary: an interrupt may free the object before it is.
    close: Callable[[], None]  # pyright: ignore[reportIncompatibleMethodOverride]  C alone runs it

    def __init__(self) -> None:
        self._opened: list[int] = []
        # `any` runs the whole iterator, since each call returns None. An iterator that has ended
        # stays so, even if the caller calls `close` again.
        self.close = partial(any, self._closing(self._opened))  # type: ignore[assignment]  # bool

    def _closing(self, opened: list[int]) -> Iterator[None]:
        """Return an iterator that ends what is *opened* by the time that it runs; C alone."""
        return map(os.close, opened)

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        """
        Open the regular file *path*, without waiting for anything, and return its descriptor.

        Links are not followed, and programs inherit nothing.

        Raises:
            StoreIOError: if something else is there, such as a FIFO.
        """
        flags |= OPEN_FLAGS | AT_ONCE
        try:
            # One call of C: no interrupt comes between opening the file and noting its descriptor.
            self._opened.extend(map(os.open, (path,), (flags,), (mode,)))
        except OSError as error:
            check_odd(path, error)
            raise
        check_regular(path, self._opened[-1])
        return self._opened[-1]

    def duplicate(self, descriptor: int) -> int:
        """Return another descriptor of the same open file."""
        self._opened.extend(map(os.dup, (descriptor,)))
        return self._opened[-1]

    def open_or_create(self, path: str, flags: int, *, like: str, is_inside: bool = False) -> int:
        """Open *path*; users of *like* may use a new file (see `papyra.system.files.own_like`)."""
        while True:
            try:
                return self.open(path, flags)
            except FileNotFoundError:
                try:
                    descriptor = self.open(path, flags | os.O_CREAT | os.O_EXCL)
                except FileExistsError:  # another process made it meanwhile
                    continue
                own_like(path, like, is_inside=is_inside)
                return descriptor


class LockedDescriptors(Descriptors):
    """
    Unlock all descriptors that were opened here, and then close them.

    Closing alone is not enough. A child that another thread forked meanwhile has copies of the descriptors,
    and would keep other processes out as long as it lives. In the child the locks are its parent's, so
    there the descriptors are only closed.
    """

    __slots__ = ()

    def _closing(self, opened: list[int]) -> Iterator[None]:
        is_holder = map(os.getpid().__eq__, iter(os.getpid, None))
        unlocking = map(flock, compress(opened, is_holder), repeat(LOCK_NONE))
        return chain(unlocking, super()._closing(opened))


class FileLock(LockedDescriptors):
    """
    Hold *operation* on the file *path* during a `with` block.

    A shared lock opens the file for reading alone. If *create_like* is given, a missing file is created for the
    users of *create_like*. Otherwise no process can hold a lock on a missing file, and `descriptor` is None.

    Attributes:
        descriptor: Of the locked file, inside the block.

    Raises:
        StoreLockedError: on entry, if the lock was not free within *timeout* seconds.
    """

    __slots__ = ("_create_like", "_is_inside", "_operation", "_path", "_timeout", "descriptor")

    def __init__(
        self,
        path: str,
        operation: int,
        *,
        timeout: float,
        create_like: str = "",
        is_inside: bool = False,
    ) -> None:
        super().__init__()
        self._path = path
        self._operation = operation
        self._timeout = timeout
        self._create_like = create_like
        self._is_inside = is_inside
        self.descriptor: int | None = None

    def _closing(self, opened: list[int]) -> Iterator[None]:
        forgetting = map(own_locks.held.discard, zip(opened, repeat(get_ident()), strict=False))
        return chain(forgetting, super()._closing(opened))

    def __enter__(self) -> Self:
        try:
            self._acquire()
        except BaseException:
            # The traceback keeps this object, and with it the lock.
            try:
                self.close()
            except OSError:  # the file system has no locks; that error is being raised already
                self.close()  # goes on behind the call that failed
            raise
        return self

    def _acquire(self) -> None:
        flags = os.O_RDONLY if self._operation == LOCK_SHARED else os.O_RDWR
        if self._create_like:
            like, is_inside = self._create_like, self._is_inside
            descriptor = self.open_or_create(self._path, flags, like=like, is_inside=is_inside)
        else:
            try:
                descriptor = self.open(self._path, flags)
            except FileNotFoundError:
                return
        own_locks.held.add((descriptor, get_ident()))
        deadline = monotonic() + self._timeout
        lock(
            descriptor, self._operation, deadline=deadline, timeout=self._timeout, source=self._path
        )
        self.descriptor = descriptor
