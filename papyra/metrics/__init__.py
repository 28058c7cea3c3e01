"""
What was counted, and who sees it?

`persistence` counts for one store object, `mixin` gives it to a class, `storage` and `mmap_page` hold the
numbers. `multiprocess` sums up all processes of a store, `exited` those that are gone (`totals`); `resets` and
`unpublished_marks` belong to it. `exportable` names what an exporter reads.
"""
