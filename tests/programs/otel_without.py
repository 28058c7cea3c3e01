"""Run each STATEMENT where a module is not installed, and print the import that fails: MODULE STATEMENT..."""

import sys

sys.modules[sys.argv[1]] = None  # type: ignore[assignment]
import papyra  # noqa: E402, F401  for the statements
import papyra_otel  # noqa: E402, F401

for statement in sys.argv[2:]:
    try:
        exec(statement)
    except ImportError as error:
        print(type(error).__name__, error)
