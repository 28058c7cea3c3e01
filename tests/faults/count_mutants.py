"""Steps that keep counts, reports and warnings right: of batches, recoveries, compactions and exited processes."""

from typing import Final

from faults.text_mutant import TextMutant

_COMMIT: Final = "tests/core/test_commit.py::"
_PUBLISHED: Final = "tests/core/test_published.py::"
_ROTATING: Final = "tests/core/test_rotating.py::"

COUNTS: Final = (
    TextMutant(
        "a batch is settled although an interrupt ended that",
        "writing/group_commit.py",
        "            except BaseException:\n                self._settle(store)\n                raise",
        "            except ZeroDivisionError:\n                raise",
        f"{_COMMIT}test_an_append_that_is_interrupted_while_it_settles_is_counted_before_it_raises",
    ),
    TextMutant(
        "a call that may not wait wakes the next",
        "writing/group_commit.py",
        "            else:\n                self._follow_up(store, ())\n            raise",
        "            raise",
        f"{_COMMIT}test_a_call_that_may_not_wait_wakes_the_one_that_came_while_it_tried",
    ),
    TextMutant(
        "a closed store fails what came while it was closed",
        "store_object.py",
        "                queue.refuse_soon(self)\n",
        "                pass\n",
        "tests/core/test_append_soon.py::"
        "test_what_comes_after_close_has_written_and_before_the_store_is_closed_is_a_write_error",
    ),
    TextMutant(
        "damage that only the rewrite met is counted",
        "maintenance.py",
        "            findings.merge(keep_filter.findings)\n",
        "            pass\n",
        "tests/core/test_counting.py::"
        "test_damage_that_comes_between_the_scan_and_the_rewrite_is_found_too",
    ),
    TextMutant(
        "a compaction logs the files that it dropped before it rewrites the others",
        "maintenance.py",
        "    store._flush_warnings()\n",
        "",
        f"{_ROTATING}test_a_compaction_that_fails_has_logged_the_files_that_it_dropped",
    ),
    TextMutant(
        "beside files of 0.3.0's all files are looked at again",
        "backends/files/rewrite.py",
        " or view.has_legacy)",
        ")",
        f"{_ROTATING}test_beside_files_of_0_3_0_s_a_recovery_looks_again_at_all",
    ),
    TextMutant(
        "a line that papyra did not begin is parsed",
        "reading/scanner.py",
        "if line.endswith(seen.next_end, 0, -END) and line.startswith(BEGINNING):",
        "if line.endswith(seen.next_end, 0, -END):",
        "tests/core/test_repeats.py::"
        "test_a_line_with_the_next_id_and_a_right_checksum_that_is_no_record_is_taken_out",
    ),
    TextMutant(
        "pages that were folded and not removed stay named",
        "metrics/exited.py",
        "        retired.folded = [*dead, *gone]\n",
        "        retired.folded = [*dead]\n",
        f"{_PUBLISHED}test_folding_interrupted_anywhere_counts_nothing_twice",
    ),
    TextMutant(
        "a page that could not be made is removed",
        "metrics/publishing.py",
        "            except BaseException:\n                os.unlink(path)\n                raise",
        "            except ZeroDivisionError:\n                raise",
        f"{_PUBLISHED}test_a_page_of_which_only_a_part_can_be_written_is_done_without",
    ),
    TextMutant(
        "a child lets go of its parent's page",
        "metrics/own_page.py",
        "        self.release()\n",
        "        pass\n",
        "tests/core/test_forks.py::"
        "test_counters_that_are_closed_count_as_exited_while_a_child_lives",
    ),
)
