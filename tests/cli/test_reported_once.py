"""A damage is told once by each command, in the words of the shell."""

import re
from collections import Counter

import pytest
from cli.shell import STRANGE, TORN, Shell, intact

COMMANDS = {
    "scan": ("scan", "{}"),
    "recover --dry-run": ("recover", "{}", "--dry-run"),
    "recover": ("recover", "{}"),
    "compact --dry-run": ("compact", "{}", "--max-records", "1000", "--dry-run"),
    "compact": ("compact", "{}", "--max-records", "1000"),
    "compact --yes": ("compact", "{}", "--max-records", "2", "--yes"),
    "import --dry-run": ("import", "{}", "json:new.ndjson", "--dry-run"),
    "import": ("import", "{}", "json:new.ndjson"),
    "import --seal": ("import", "{}", "json:new.ndjson", "--seal"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_damage_is_told_once(shell: Shell, command: tuple[str, ...]) -> None:
    whole = intact(3)
    shell.path.write_bytes(whole + TORN + STRANGE + b'{"kind":"log","timestamp":1,"n":NaN}\n')
    positions = [len(whole), len(whole) + len(TORN), len(whole) + len(TORN) + len(STRANGE)]

    done = shell.papyra(*(word.format(shell.path) for word in command))

    reported = Counter(int(place) for place in re.findall(r"byte (\d+)", done.out + done.err))
    assert {place: reported[place] for place in positions} == dict.fromkeys(positions, 1)
    assert done.err == ""
    assert "()" not in done.out
