"""
How do many write calls become one batch?

Each call (`call`) lines up (`waiting_calls`) in the queue of its store (`group_commit`); the caller at its
head, the leader, writes for all that wait. `outcome` counts what became of the batch and tells each caller.
"""
