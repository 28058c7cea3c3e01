"""What `--help` says of each command; not docstrings, because python -OO takes these away."""

from typing import Final

from papyra.cli.exit_codes import EXIT_CODES

EPILOG: Final = "\b\nExit codes, the same for every command:\n" + "\n".join(
    f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items()
)

_STORE: Final = """

STORE is a store URL, or the path of the file that a store appends to. Without it, --store URL names the
store, or PAPYRA_STORE does.
"""

APP: Final = """
Look after a papyra store: its counters, its damage, its size.

Programs may go on using the store meanwhile.
"""

METRICS: Final = """
Show or reset the ten counters of a store.

They are those of all programs that have the store open, or had; the store itself is not touched.
"""

PERSISTENCE: Final = (
    """
Show what was counted since the last reset.

The counts of all programs that have the store open, or had, are added up. A program publishes its own
with its first append, recover or compact; where none ever did, nothing is known, and the exit code is 4.
"""
    + _STORE
)

RESET: Final = (
    """
Set all ten counters to zero, and show what they were.

Programs that have the store open are not disturbed: they go on counting, from zero. Of a store in files
they see zero in their own snapshot, too; of a Redis store these are their own. What Prometheus is given
never falls. With --json, stdout has the ten zeros, and stderr one object with the interval that ended.
"""
    + _STORE
)

SCAN: Final = (
    """
Look for damage; nothing in the store is changed, and no file is made.

Every finding is shown with its address: the file, and where in it the damaged line begins. If there is
any, the exit code is 3.
"""
    + _STORE
)

RECOVER: Final = (
    """
Take damage out of the store.

Every byte that is removed is saved in the quarantine first, the directory PATH.quarantine beside the
store. Intact records stay as they are. If damage remains, or a file that does not belong to the store, or
a dry run found any, the exit code is 3.

--undo puts back what a recovery or compaction saved, byte for byte. That works while the store has only
been appended to since.
"""
    + _STORE
)

COMPACT: Final = (
    """
Drop the records that the retention does not keep.

Dropped records are not saved anywhere: look first with --dry-run. The retention is --max-records,
--max-age and --max-total-bytes, or the URL's options of these names, as in
json:actors.ndjson?max_age=7d; without one no record is dropped. An age leaves records alone whose
timestamps are below 1,000,000,000, which are not wall-clock times. Of rotating: the oldest files beyond
max_files go first, whole. Damage is moved to the quarantine, as by recover. If a file remains that
does not belong to the store, or a dry run found damage, the exit code is 3.

If more than half of the records would go, the command asks on a terminal; elsewhere it changes nothing
without --yes, and the exit code is 2. What goes is decided when it is done: records that are appended
between the question and the answer may push others out of the retention.
"""
    + _STORE
)

IMPORT: Final = """
Copy the records of the store SRC into the store DST.

Their lines are copied as they are, in their order, with their ids. What DST holds already is passed
over: after an interruption, do it again. Damage is shown and not copied, and the exit code is 3 then.
SRC is a store URL, or the path of the file that a store appends to; DST is a store URL.
"""
