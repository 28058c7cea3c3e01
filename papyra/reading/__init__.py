"""
Which records does a read return?

`scanner` turns lines into records and findings. `query` applies retention and filters, from the oldest
record that stays (`cut`); `keep` decides for a compaction or recovery. `seen_ids` tells which records were
met before, `duplicate_ids` and `last_copies` which copy of a repeated record counts.
"""
