"""Write the pages into the directory that is given."""

import sys
from pathlib import Path

from reference import PAGES

for name, make in PAGES.items():
    Path(sys.argv[1], name).write_text(make(), encoding="utf-8")
