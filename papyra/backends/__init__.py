"""The stores; each module holds one, and what it needs of other packages is imported there."""
