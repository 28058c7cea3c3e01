"""
What does each operating system do differently?

`locks` and `descriptors` hold files and their locks, `own_locks` those of this thread. `files`, `sync`, `forks`
and `clock` wrap the calls that differ, `os_errors` says what a refusal means, `log` writes warnings.
"""
