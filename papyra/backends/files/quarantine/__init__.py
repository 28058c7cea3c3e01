"""
What was taken out of a file store, and how does it come back?

`writer` saves what a rewrite removes, `manifest` describes it, `undo` puts it back.
"""
