"""
What was counted, and who sees it?

`persistence` counts for one store object, `mixin` gives it to a class, `storage` and `own_page` hold the numbers.
`multiprocess` publishes them and sums up all processes of a store. `exited` keeps the counts of those that are gone,
and `resets` moves the zero point of all of them. `mmap_page`, `totals` and `unpublished_marks` belong to these.
`exportable` names what an exporter reads.
"""
