"""
What did Papyra 0.3.0 leave beside its files?

`leftovers` are files that its interrupted repairs left, `duplicates` the records that they hold twice.
"""
