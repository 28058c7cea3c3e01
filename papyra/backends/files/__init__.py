"""Stores made of NDJSON files, and the parts that they are made of."""
