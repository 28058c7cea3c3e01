"""
What did Papyra 0.3.0 leave beside its files?

`file_order` sorts its files by age. `leftovers` are files that its interrupted repairs left.
`duplicates` finds the records that they hold twice, and `seen_ids` tells which records were met
before.
"""
