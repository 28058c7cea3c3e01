"""
What is a line?

`codec` makes a line of a record and a record of an intact line. `json_rules` says which data can be
stored, `unlimited_json` parses it without the interpreter's limits. `damaged_lines` and `flaws` work out what
any other line contains; `legacy_lines` knows those of Papyra 0.3.0.
"""
