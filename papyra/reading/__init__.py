"""
Which records does a read return?

`scanner` turns lines into records and findings. `query` applies retention and filters, from the oldest
record that stays (`oldest_kept`); `keep` decides for a compaction or recovery. `seen_ids` tells which records were
met before. Where an id comes twice, `duplicates` says which copy is returned and which is reported, and
`repeated_ids` whether that can be. `foreign_lines` gives lines of other tools an id and a checksum.
"""
