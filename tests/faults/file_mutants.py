"""Steps that keep a store's files apart from those of others."""

from typing import Final

from faults.text_mutant import TextMutant

_NEIGHBOURS: Final = "tests/core/test_neighbours.py::"
_UNPUBLISHED: Final = "tests/core/test_unpublished.py::"
_FILES: Final = "tests/core/test_files.py::"

FILES: Final = (
    TextMutant(
        "NUL bytes beside a record are damage",
        "format/damaged_lines.py",
        'isinstance(first.content, Record) and b"\\0" in line[: first.start]',
        "False",
        "tests/core/test_power_cuts.py::test_nuls_beside_a_record_are_damage_and_the_record_is_read",
    ),
    TextMutant(
        "files of a store whose name is longer are left out of a listing",
        "backends/files/paths.py",
        "in without_neighbours(endings):",
        "in endings:",
        f"{_NEIGHBOURS}test_a_store_neither_reads_nor_changes_what_its_neighbours_have",
    ),
    TextMutant(
        "a file that begins with a checksummed line was not rotated by 0.3.0",
        "backends/files/paths.py",
        " if is_legacy_name(ending) and is_newer(path) else ending",
        " if is_legacy_name(ending) and False else ending",
        f"{_NEIGHBOURS}test_a_file_of_checksummed_lines_was_not_rotated_by_0_3_0",
    ),
    TextMutant(
        "a rotation leaves out a number whose lock is there",
        "backends/files/rotating.py",
        'for side in ("", ".lock")',
        'for side in ("",)',
        f"{_NEIGHBOURS}test_a_rotation_takes_no_number_whose_lock_is_there",
    ),
    TextMutant(
        "a rotated file of a store in use gets no lock of its own",
        "backends/files/store.py",
        "            check_whole(self._layout)\n",
        "",
        f"{_NEIGHBOURS}test_a_rotated_file_of_a_store_in_use_is_not_opened_as_a_store_of_its_own",
    ),
    TextMutant(
        "what follows the NULs at the beginning of a file tells whose it is",
        "backends/files/store_check.py",
        "        if not core:\n",
        "        if not core:\n            return\n        if not core:\n",
        f"{_FILES}test_somebody_elses_file_is_not_a_store",
    ),
    TextMutant(
        "where nothing was written nothing has to be taken back",
        "backends/files/store.py",
        "if os.fstat(active.descriptor).st_size > start:",
        "if True:",
        f"{_FILES}test_a_file_that_may_not_be_changed_for_a_while_takes_records_again_afterwards",
    ),
    TextMutant(
        "counters whose page was removed are published again",
        "backends/files/publication.py",
        "if self.mark is None and is_lost(self._metrics):",
        "if False:",
        f"{_UNPUBLISHED}test_counters_that_were_removed_are_published_again_with_all_that_was_counted",
    ),
    TextMutant(
        "ids of the quarantine have the fraction of their second",
        "backends/files/quarantine/writer.py",
        "{int(rest * 0x10000):04x}{os.urandom(2).hex()}",
        "{os.urandom(4).hex()}",
        "tests/core/test_undo.py::test_what_is_saved_within_one_second_is_listed_oldest_first",
    ),
)
