"""Steps that protect asyncio's threads and their ends: of writes, of reads, of closing, and in a child."""

from typing import Final

from faults.text_mutant import TextMutant

_CLOSING: Final = "tests/aio/test_closing.py::"
_ENDS: Final = "tests/aio/test_ends.py::"
_POOL: Final = "tests/aio/test_pool.py::"
_THREADS: Final = "tests/aio/test_threads.py::"

THREADS: Final = (
    TextMutant(
        "where no thread can be started the loop writes itself",
        "aio/loop_writer.py",
        "                self.store._commit_all(_calls(self._sent))\n"
        "                self._settled(self._sent, monotonic())\n                return\n",
        "                raise\n",
        f"{_ENDS}test_where_no_thread_can_be_started_the_loop_writes_itself",
    ),
    TextMutant(
        "a thread that an interrupt ended is replaced",
        "aio/loop_writer.py",
        "        elif self._writer is None or not self._writer.is_alive():\n            self._put()\n",
        "",
        f"{_ENDS}test_a_thread_that_is_interrupted_fails_one_call_and_another_writes_the_rest",
    ),
    TextMutant(
        "a close that is cancelled takes calls again",
        "aio/loop_writer.py",
        "        self._closings -= 1\n",
        "",
        f"{_CLOSING}test_a_close_that_is_cancelled_takes_calls_again",
    ),
    TextMutant(
        "closing waits for the thread that writes before it closes the store",
        "aio/backend.py",
        "            if isinstance(thread, Writer):\n                thread.join()\n",
        "            pass\n",
        f"{_POOL}test_the_store_is_closed_once_the_thread_that_writes_has_ended",
    ),
    TextMutant(
        "closing waits for papyra's threads",
        "aio/backend.py",
        "        finally:\n            for thread in threads:\n                thread.join()\n",
        "        finally:\n            pass\n",
        f"{_POOL}test_closing_waits_for_the_threads_of_reads",
    ),
    TextMutant(
        "a child has no threads of its parent",
        "aio/backend.py",
        "        self._pool, self._ending = ThreadPool(), []\n",
        "",
        f"{_THREADS}test_a_child_does_nothing_that_waited_for_a_thread_of_its_parent",
    ),
    TextMutant(
        "one that is dropped has its thread end",
        "aio/loop_writer.py",
        "            writer.jobs.put(None)\n        return writer\n",
        "            pass\n        return writer\n",
        f"{_POOL}test_a_thread_of_writes_that_is_dismissed_ends",
    ),
    TextMutant(
        "the threads of reads are bounded",
        "aio/thread_pool.py",
        " and len(self._threads) < MOST_THREADS",
        "",
        f"{_CLOSING}test_reads_at_once_share_a_bounded_number_of_threads_that_end",
    ),
    TextMutant(
        "the threads of reads end",
        "aio/thread_pool.py",
        "        for _ in threads:\n            self._jobs.put(None)\n",
        "",
        f"{_POOL}test_a_pool_that_is_ended_has_its_threads_end",
    ),
    TextMutant(
        "a pool that has ended starts no thread",
        "aio/thread_pool.py",
        "            if self._is_ended:\n                return False\n",
        "",
        f"{_POOL}test_a_pool_that_has_ended_starts_no_thread",
    ),
    TextMutant(
        "a pool that is dropped has its threads end",
        "aio/thread_pool.py",
        '        for _ in getattr(self, "_threads", ()):  # an interrupt may have ended `__init__`\n'
        "            self._jobs.put(None)\n",
        "        pass\n",
        f"{_POOL}test_a_pool_that_is_dropped_has_its_threads_end",
    ),
    TextMutant(
        "an operation that was cancelled is not begun",
        "aio/thread_pool.py",
        "    if not done.cancelled():\n        try:\n            result",
        "    if True:\n        try:\n            result",
        f"{_POOL}test_an_operation_that_was_cancelled_before_a_thread_took_it_is_not_begun",
    ),
    TextMutant(
        "threads that ended are replaced",
        "aio/thread_pool.py",
        "            self._threads = _alive(self._threads)\n",
        "",
        f"{_POOL}test_threads_that_ended_are_replaced",
    ),
    TextMutant(
        "a thread that has nothing to do is used again",
        "aio/thread_pool.py",
        "            self._unfinished -= 1\n",
        "            pass\n",
        f"{_POOL}test_one_thread_serves_operations_that_come_one_after_the_other",
    ),
    TextMutant(
        "what closes a store has ended when that returns",
        "aio/thread_pool.py",
        "            thread.join()  # it has told the loop, which was the last that it does\n",
        "            pass\n",
        f"{_POOL}test_what_runs_alone_has_ended_by_then",
    ),
    TextMutant(
        "an operation runs in the context of its caller",
        "aio/thread_pool.py",
        "result = context.run(operation)",
        "result = operation()",
        f"{_POOL}test_an_operation_sees_the_context_of_its_caller",
    ),
    TextMutant(
        "where no thread can be started the loop reads itself",
        "aio/thread_pool.py",
        "            self._threads.remove(thread)\n",
        "            raise\n",
        f"{_ENDS}test_where_no_thread_can_be_started_the_loop_writes_itself",
    ),
)
