"""How fast papyra is beside others, all measured in one run."""
