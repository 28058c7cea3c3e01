"""
What was taken out of a file store, and how does it come back?

`writer` saves the bytes that a rewrite removes, `manifest` reads what was noted of them, `undo` puts them back.
"""
