"""Print the public names that `dir` lists and `import *` brings, and what is said of another name."""

import papyra_otel

listed = dir(papyra_otel)
from papyra_otel import *  # noqa: E402, F403

print([name for name in papyra_otel.__all__ if name in listed and name in globals()])
try:
    papyra_otel.nothing  # noqa: B018  the access is the point
except AttributeError as error:
    print(error)
