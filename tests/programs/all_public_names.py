"""Use every public name where orjson is missing, and print what is imported besides the standard library."""

import sys

sys.modules["orjson"] = None  # type: ignore[assignment]
before = set(sys.modules)
import papyra  # noqa: E402

for name in papyra.__all__:
    getattr(papyra, name)
print({name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
