"""What every store does and counts alike, on every version of the server."""

import inspect

from core import test_contract, test_counting

for suite in (test_contract, test_counting):
    for name, test in vars(suite).items():
        # Those of stores made of files need these.
        if name.startswith("test_") and "file_kind" not in inspect.signature(test).parameters:
            assert name not in globals()
            globals()[name] = test
