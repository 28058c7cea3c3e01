"""
What runs inside a Redis server?

Lua scripts, each of which the server runs as one step, with no other command in between. `append` stores a batch and
finds out whether the server has it already; `counters` takes in and resets the counts. `reading` returns the entries
page by page; `rewrite` moves and drops entries. `import_lease` keeps other imports out; `startup_check` tries the
commands that a store needs. The client sends them; nothing here connects.

Redis does not undo what a script wrote before it failed. It may refuse any command in the middle of one, because the
user lacks a right, or because the command was renamed. So each script reads everything it needs before it writes. Then
it either writes with one command, or notes with each write the commands that undo it (see `rollback`).

The client sends a script again when its reply was lost, so a second run of the same message changes nothing.

The hashes of a store:

    :writers   WRITER -> "seconds last"             when the writer last wrote, and the number of its last record
               OBJECT:counts -> "seconds n1 ... n9"  the totals of the counters that a store object last reported
               import -> "seconds TOKEN"             when the import that is under way last renewed its lease
    :counters  NAME -> total, baseline:NAME -> total at the last reset, since -> seconds,
               reset, ended -> the token of the last reset and the counts of the interval that it ended
"""
