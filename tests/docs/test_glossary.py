"""docs/glossary.md explains each word in one sentence."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text()
ENTRIES = re.findall(r"^- \*\*(.+?)\*\*: (.+)$", PAGE, re.MULTILINE)
#: The field's words that the code, the messages and the pages use.
WORDS = [
    *("group commit", "batch", "leader", "segment", "active segment", "torn write", "read view"),
    *("generation", "rewrite filter", "quarantine", "manifest", "multi-process counters"),
    *("exited processes", "scrape", "exposition", "checkpoint", "position", "follow", "bridge"),
    *("record", "store", "series", "retention", "anomaly", "seal", "lock_timeout", "scan"),
    *("recovery", "compaction", "findings", "counter", "total", "snapshot", "reset"),
    *("pending warning", "queue lock", "settled", "counter storage", "counter totals"),
    *("located record", "seen ids", "keep filter", "verdict", "fragment", "repair", "rejected"),
    *("crash state", "process pool", "expected state", "outcome log", "traced program"),
    *("crash point", "sigkill", "yielded", "undo", "import", "room", "commit queue", "primitive"),
]


def test_every_line_of_the_page_is_a_heading_an_entry_or_its_first_sentence() -> None:
    lines = [line for line in PAGE.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 1 + len(ENTRIES)


#: Words that these replaced: each would be a second word for one thing.
REPLACED = [
    *("told", "untold", "door", "gate", "book", "tally", "judge", "sorter", "piece", "mend"),
    *("handed over", "turned away", "autopsy", "nursery", "ledger", "watched"),
]


@pytest.mark.parametrize("word", REPLACED)
def test_a_word_that_was_replaced_is_not_on_the_page(word: str) -> None:
    assert not re.search(rf"\b{word}s?\b", PAGE, re.IGNORECASE)


@pytest.mark.parametrize(("word", "meaning"), ENTRIES)
def test_an_entry_is_one_sentence_of_at_most_25_words(word: str, meaning: str) -> None:
    text = re.sub(r"`[^`]*`|\[([^\]]*)\]\([^)]*\)", r"\1x", meaning)
    assert re.findall(r"[.!?](?= |$)", text) == ["."]
    assert text.endswith(".")
    assert len(meaning.split()) <= 25


def test_no_word_comes_twice_and_every_word_of_the_field_is_there() -> None:
    words = [word.lower() for word, _ in ENTRIES]
    assert sorted(set(words)) == sorted(words)
    assert set(WORDS) <= set(words)
