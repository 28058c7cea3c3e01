"""Print whether a pickle names the module that defines `Record`, which the program imports from there."""

import pickle

from papyra.record import Record

print(b"papyra.record" in pickle.dumps(Record("event")))
