"""
The threads that asyncio's operations run in, beside the event loop.

They are papyra's own. The application's executor may be busy. It takes no jobs once the main thread has
ended, in an `atexit` handler, or after it was shut down. A store must be closed even then. All are
daemons, because a program that forgets `aclose` must come to its end. If the interpreter starts no more
threads, the operation runs where it is called, and the loop waits for it.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeVar

#: Operations of one pool that run at once; further ones wait for a thread.
MOST_THREADS: Final = 8

_Job = Callable[[], None]
_Result = TypeVar("_Result")


class JobThread(Thread):
    """
    A thread that does the *jobs* it is given until it is given None; it holds nothing in between.

    Args:
        jobs: A queue that other threads share; by default one of its own.
    """

    def __init__(self, jobs: "SimpleQueue[_Job | None] | None" = None) -> None:
        super().__init__(name="papyra-aio", daemon=True)
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue() if jobs is None else jobs

    def run(self) -> None:
        """Do what is to be done until there is no more."""
        while (job := self.jobs.get()) is not None:
            job()
            del job


class ThreadPool:
    """
    At most `MOST_THREADS` threads, started as they are needed, for operations of any event loop.

    One that is dropped has its threads end.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[JobThread] = []
        self._lock = Lock()
        self._unfinished = 0
        self._is_ended = False

    async def run(self, operation: Callable[[], _Result]) -> _Result:
        """
        Return what *operation* returns in a thread of the pool.

        Cancelled before a thread took it, it is not begun; afterwards it runs to its end.
        """
        loop = get_running_loop()
        done: Future[_Result] = loop.create_future()
        job = partial(_do, loop, copy_context(), operation, done, self._finished)
        if not self._give(job):
            return operation()
        return await done

    def end(self) -> list[JobThread]:
        """Have the threads end once they have done what they were given, and return them."""
        with self._lock:
            threads, self._threads, self._is_ended = self._threads, [], True
        for _ in threads:
            self._jobs.put(None)
        return threads

    def _give(self, job: _Job) -> bool:
        """Give *job* to a thread; False if there is none, and none can be started."""
        with self._lock:
            if self._is_ended:
                return False
            self._threads = _alive(self._threads)
            if self._unfinished >= len(self._threads) and len(self._threads) < MOST_THREADS:
                self._start()
            if not self._threads:
                return False
            self._unfinished += 1
            self._jobs.put(job)
        return True

    def _start(self) -> None:
        thread = JobThread(self._jobs)
        self._threads.append(thread)  # first: one that an interrupt keeps from here would never end
        try:
            thread.start()
        except RuntimeError:  # the system, or an interpreter that ends, has no more threads
            self._threads.remove(thread)

    def _finished(self) -> None:
        with self._lock:
            self._unfinished -= 1

    def __del__(self) -> None:
        for _ in getattr(self, "_threads", ()):  # an interrupt may have ended `__init__`
            self._jobs.put(None)


async def run_alone(operation: Callable[[], _Result]) -> _Result:
    """Return what *operation* returns in a thread of its own, which has ended by then."""
    loop = get_running_loop()
    done: Future[_Result] = loop.create_future()
    thread = JobThread()
    thread.jobs.put(partial(_do, loop, copy_context(), operation, done))
    thread.jobs.put(None)
    try:
        thread.start()
    except RuntimeError:  # the system, or an interpreter that ends, has no more threads
        return operation()
    try:
        return await done
    finally:
        if not done.cancelled():
            thread.join()  # it has told the loop, which was the last that it does


def _alive(threads: list[JobThread]) -> list[JobThread]:
    return [thread for thread in threads if thread.is_alive()]


def _do(
    loop: AbstractEventLoop,
    context: Context,
    operation: Callable[[], Any],
    done: "Future[Any]",
    finished: _Job | None = None,
) -> None:
    """Do *operation* in this thread, and tell the *loop*."""
    result: Any = None
    error: BaseException | None = None
    if not done.cancelled():
        try:
            result = context.run(operation)
        except BaseException as raised:  # noqa: BLE001  raised where the result is awaited
            error = raised
    if finished is not None:
        finished()
    with suppress(RuntimeError):  # the loop is closed: no caller waits
        loop.call_soon_threadsafe(_deliver, done, result, error)
    del error  # it holds this frame by its traceback


def _deliver(done: "Future[Any]", result: object, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
