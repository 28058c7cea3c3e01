"""The help texts of the commands, which are not docstrings because python -OO removes these."""

from typing import Final

from papyra.cli.exit_codes import EXIT_CODES

EPILOG: Final = "\b\nExit codes, the same for every command:\n" + "\n".join(
    f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items()
)

_STORE: Final = """

STORE is a store URL, such as json:actors.ndjson, or the path of the file that a store appends to. Without
it, the command takes the store of --store, of the variable PAPYRA_STORE, or json:papyra.ndjson.
"""

APP: Final = """
Look after a papyra store: show its counters, repair its damage, bound its size.

Programs may go on using the store meanwhile. Begin with "papyra scan STORE", which changes nothing.
"""

METRICS: Final = """
Show or reset the ten counters of a store.

They count for all programs that have the store open, or had it open. The store itself is not changed.
"""

PERSISTENCE: Final = (
    """
Show what was counted since the last reset.

It adds up the counts of all programs that have the store open, or had it open. A program publishes its
counts with its first append, recover or compact. If no program ever did, the exit code is 4.
"""
    + _STORE
)

RESET: Final = (
    """
Set all ten counters to zero, and show what they were.

Programs that have the store open go on counting, from zero. With a store of files, their own snapshots
show zero too; with a Redis store, their own snapshots stay as they are. The totals that Prometheus scrapes
never fall. With --json, stdout has the ten zeros, and stderr one object with the interval that ended.
"""
    + _STORE
)

SCAN: Final = (
    """
Look for damage; change nothing in the store, and create no file.

Each finding is shown with its address: the file, and the byte at which the damaged line begins. If there
is a finding, the exit code is 3.
"""
    + _STORE
)

RECOVER: Final = (
    """
Take damage out of the store.

Before a byte is removed, it is saved in the quarantine: the directory PATH.quarantine beside the store, or a
stream of a Redis store. Intact records stay as they are. If damage remains, or a file that does not belong
to the store, or if a dry run found any, the exit code is 3.

--undo puts back the bytes that a recovery or compaction saved. That works as long as programs have only
appended to the store since. A Redis store cannot undo.
"""
    + _STORE
)

COMPACT: Final = (
    """
Drop the records that the retention does not keep.

Dropped records are not saved anywhere: look first with --dry-run. The retention is --max-records,
--max-age and --max-total-bytes, or the URL's options of these names, as in
json:actors.ndjson?max_age=7d. Without one, no record is dropped. An age keeps records whose timestamps are
below 1,000,000,000, because these are not wall-clock times. A rotating: store first drops the oldest files
beyond max_files, whole. Damage is moved to the quarantine, as by recover. If a file remains that does not
belong to the store, or if a dry run found damage, the exit code is 3.

If more than half of the records would be dropped, the command asks on a terminal. Without a terminal and
without --yes it changes nothing, and the exit code is 2. The command decides what to drop after the answer.
Records that are appended between the question and the answer may push others out of the retention.
"""
    + _STORE
)

IMPORT: Final = """
Copy the records of the store SRC into the store DST.

The lines are copied as they are, in their order, with their ids. Records that DST has already are passed
over, so after an interruption run the command again. Damage is shown and not copied; the exit code is then 3.
SRC is a store URL, or the path of the file that a store appends to. DST is a store URL.
"""
