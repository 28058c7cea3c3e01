"""
How does a store keep its lines in NDJSON files?

`json_file` and `rotating` are the two stores, and `store` is what both share. `paths` names the files,
`active_file` appends, `read_view` and `line_reader` read, `rewrite` and `swap` replace files whole.
`quarantine` keeps what a rewrite takes out, `legacy` knows the files of Papyra 0.3.0.
"""
