"""Print which of the modules that the arguments name are not installed."""

import sys
from importlib.util import find_spec

print(*[name for name in sys.argv[1:] if find_spec(name) is None], sep=", ")
