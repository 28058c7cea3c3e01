"""Steps that protect asyncio's calls: their places in the order, their bounds, and how they end."""

from typing import Final

from faults.text_mutant import TextMutant

_CANCELLATION: Final = "tests/aio/test_cancellation.py::"
_CLOSING: Final = "tests/aio/test_closing.py::"
_OPERATIONS: Final = "tests/aio/test_operations.py::"
_ORDER: Final = "tests/aio/test_order.py::"
_POSITIONS: Final = "tests/aio/test_queued_call.py::"
_WAITING: Final = "tests/aio/test_waiting.py::"

POSITIONS: Final = (
    TextMutant(
        "a call that joins others makes the lane busy",
        "aio/loop_writer.py",
        "        queued = QueuedCall(call.deadline, call, size, outcome)\n        self.is_free = False\n",
        "        queued = QueuedCall(call.deadline, call, size, outcome)\n",
        f"{_POSITIONS}test_who_is_encoded_while_the_only_other_call_ends_has_a_place_that_others_see",
    ),
    TextMutant(
        "a call that enters makes the lane busy",
        "aio/loop_writer.py",
        "        queued = QueuedCall(deadline)\n        self.is_free = False\n",
        "        queued = QueuedCall(deadline)\n",
        f"{_ORDER}test_many_records_take_their_place_before_they_are_encoded",
    ),
    TextMutant(
        "bytes of calls that join are counted",
        "aio/loop_writer.py",
        "        self._bytes += size\n        self._order[queued] = None\n",
        "        self._order[queued] = None\n",
        f"{_ORDER}test_the_bytes_that_wait_are_bounded",
    ),
    TextMutant(
        "bytes that were written are counted anew",
        "aio/loop_writer.py",
        "sum(queued.size for queued in self._order) if self._order else 0",
        "0",
        f"{_ORDER}test_the_bytes_that_wait_are_bounded",
    ),
    TextMutant(
        "the bytes that wait are bounded",
        "aio/loop_writer.py",
        "        return held >= MOST_WAITING or self._bytes >= MOST_BYTES\n",
        "        return held >= MOST_WAITING\n",
        f"{_ORDER}test_the_bytes_that_wait_are_bounded",
    ),
    TextMutant(
        "the calls that wait are bounded",
        "aio/loop_writer.py",
        "            or len(self._order) + len(self._sent) >= MOST_WAITING\n",
        "",
        f"{_WAITING}test_what_waits_is_bounded_and_keeps_its_order",
    ),
    TextMutant(
        "what the thread has counts as waiting",
        "aio/loop_writer.py",
        "        held = len(self._order) + len(self._sent)\n",
        "        held = len(self._order)\n",
        f"{_POSITIONS}test_what_the_thread_has_takes_room",
    ),
    TextMutant(
        "a lane that is closing takes no call",
        "aio/loop_writer.py",
        "            or self._closings\n",
        "",
        f"{_CLOSING}test_who_goes_on_appending_leaves_no_thread_and_no_warning",
    ),
    TextMutant(
        "a call that is not encoded yet is not overtaken",
        "aio/loop_writer.py",
        "            return order[: calls.index(None)] if None in calls else order\n",
        "            return [queued for queued in order if queued.call is not None]\n",
        f"{_ORDER}test_many_records_take_their_place_before_they_are_encoded",
    ),
    TextMutant(
        "a large call that is not encoded yet is not overtaken",
        "aio/loop_writer.py",
        "            if queued.call is None or (batch and size + queued.size > _BATCH_BYTES):\n",
        "            if queued.call is None:\n                continue\n"
        "            if batch and size + queued.size > _BATCH_BYTES:\n",
        f"{_POSITIONS}test_large_calls_keep_their_order_behind_one_that_is_encoded",
    ),
    TextMutant(
        "a call that is encoded at once waits for those before it",
        "aio/ordered_writes.py",
        "lane.is_alone(queued) and write_inline(call)",
        "write_inline(call)",
        f"{_ORDER}test_many_records_take_their_place_before_they_are_encoded",
    ),
    TextMutant(
        "who is late in the order is told",
        "aio/cancellation.py",
        "late = [queued for queued in self._order if queued.deadline < now]",
        "late: list[QueuedCall] = []",
        f"{_ORDER}test_who_is_late_when_a_batch_comes_back_is_told_so",
    ),
    TextMutant(
        "who is late in the line is told",
        "aio/cancellation.py",
        "                break\n            late.append(queued)\n        for queued in late:",
        "                break\n        for queued in late:",
        f"{_ORDER}test_who_is_late_when_a_batch_comes_back_is_told_so",
    ),
    TextMutant(
        "late is who was late when the batch ended",
        "aio/loop_writer.py",
        "self._give_up_late(ended)",
        "self._give_up_late(monotonic())",
        f"{_POSITIONS}test_late_is_who_was_late_when_the_batch_ended",
    ),
    TextMutant(
        "a late call tells its caller so",
        "aio/cancellation.py",
        "            queued.is_late = True\n",
        "",
        f"{_ORDER}test_who_is_late_when_a_batch_comes_back_is_told_so",
    ),
    TextMutant(
        "a call has its deadline while its records are encoded",
        "aio/ordered_writes.py",
        "monotonic() + max(store._lock_timeout, _STUCK)",
        "1e9",
        f"{_POSITIONS}test_who_does_not_go_on_encoding_is_late_one_day",
    ),
    TextMutant(
        "the time that encoding takes is no waiting",
        "aio/ordered_writes.py",
        "            queued.deadline = monotonic() + patience\n",
        "            queued.deadline = monotonic() - 1.0\n",
        f"{_ORDER}test_who_encodes_is_counted_by_the_bound",
    ),
    TextMutant(
        "a call that joined and is cancelled gives its place up",
        "aio/backend.py",
        "            except BaseException:\n                lane.leave(queued)\n                raise\n",
        "            except ZeroDivisionError:\n                raise\n",
        f"{_CANCELLATION}test_what_no_batch_has_taken_is_neither_stored_nor_counted",
    ),
    TextMutant(
        "a call that joined and is dropped gives its place up",
        "aio/backend.py",
        "                lane.abandon(queued)\n",
        "                pass\n",
        f"{_ORDER}test_a_coroutine_that_is_closed_leaves_no_place_behind",
    ),
    TextMutant(
        "a call that joined and is dropped is tidied a turn later",
        "aio/backend.py",
        "                lane.abandon(queued)\n",
        "                lane.leave(queued)\n",
        f"{_ORDER}test_a_place_that_a_finalizer_gives_up_in_the_middle_of_anything_is_tidied_later",
    ),
    TextMutant(
        "a call that joined and failed says so",
        "aio/backend.py",
        "            if queued.is_late or call.error is not None:\n                fail(store, queued, call)\n",
        "",
        f"{_OPERATIONS}test_every_caller_of_a_failed_write_is_a_write_error",
    ),
    TextMutant(
        "a call that is cancelled gives its place up",
        "aio/ordered_writes.py",
        "    except BaseException:\n        lane.leave(queued)\n",
        "    except BaseException:\n",
        f"{_ORDER}test_a_place_that_is_given_up_while_encoding_blocks_no_others",
    ),
    TextMutant(
        "a call that is dropped gives its place up",
        "aio/ordered_writes.py",
        "        lane.abandon(queued)\n",
        "        pass\n",
        f"{_ORDER}test_a_place_that_is_given_up_while_encoding_blocks_no_others",
    ),
    TextMutant(
        "places are tidied when one is given up",
        "aio/cancellation.py",
        "        if not self.loop.is_closed():\n            self._tidy()\n",
        "",
        f"{_POSITIONS}test_a_lane_is_free_again_once_its_only_call_was_given_up",
    ),
    TextMutant(
        "a loop that is closed tidies nothing",
        "aio/cancellation.py",
        "        if not self.loop.is_closed():\n            self._tidy()\n",
        "        self._tidy()\n",
        f"{_POSITIONS}test_a_call_that_ends_after_its_loop_raises_what_ended_it",
    ),
    TextMutant(
        "a call that the thread has is taken back",
        "aio/cancellation.py",
        "                    self.store._queue.cancel(queued.call)\n",
        "                    pass\n",
        f"{_CANCELLATION}test_what_the_thread_has_and_no_batch_yet_is_neither_stored_nor_counted",
    ),
    TextMutant(
        "who waits in line comes in when others leave",
        "aio/loop_writer.py",
        "        self._admit()\n        if self._order and",
        "        if self._order and",
        f"{_CANCELLATION}test_who_waits_for_room_and_is_cancelled_leaves_it_to_the_next",
    ),
    TextMutant(
        "what is behind a place that was given up is sent",
        "aio/loop_writer.py",
        "        if self._order and not self._sent and not self._is_sending:\n            self._send_soon()\n"
        "        self._note_use()\n\n    def _send_soon",
        "        self._note_use()\n\n    def _send_soon",
        f"{_POSITIONS}test_what_is_behind_a_call_that_ends_while_it_is_encoded_is_written",
    ),
    TextMutant(
        "a lane that becomes empty is free",
        "aio/loop_writer.py",
        "            self._send_soon()\n        self._note_use()\n\n    def _send_soon",
        "            self._send_soon()\n\n    def _send_soon",
        f"{_POSITIONS}test_a_lane_is_free_again_once_its_only_call_was_given_up",
    ),
    TextMutant(
        "places that were given up are not sent",
        "aio/loop_writer.py",
        "        if self._left:\n            self._tidy()\n        if self._sent:",
        "        if self._sent:",
        f"{_POSITIONS}test_a_call_that_is_dropped_in_the_turn_before_it_is_sent_is_not_written",
    ),
    TextMutant(
        "a batch that is told twice ends no other",
        "aio/loop_writer.py",
        "        if sent is not self._sent:\n            return  # they are awake by now\n",
        "",
        f"{_WAITING}test_a_batch_that_is_told_twice_ends_no_other",
    ),
    TextMutant(
        "a caller is told once",
        "aio/queued_call.py",
        "        if self.waiter is not None and not self.waiter.done():\n",
        "        if self.waiter is not None:\n",
        f"{_POSITIONS}test_a_caller_is_told_once_and_not_where_it_was_cancelled",
    ),
)
