"""The pages with figures say what the programs that write them would say today, figures apart."""

import re
from pathlib import Path

import pytest
from faults.discovery import discovered
from faults.report import _FILE_LIMITS, _INTRODUCTION, _PROMISES, _REDIS_LIMITS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RELIABILITY = {"reliability.md": _FILE_LIMITS, "reliability-redis.md": _REDIS_LIMITS}


def template(text: str) -> str:
    """Return an expression for *text*, in which each field in braces stands for some words."""
    return re.sub(r"\\\{\w+\\\}", ".+?", re.escape(text))


@pytest.mark.parametrize("name", RELIABILITY)
def test_a_page_on_reliability_has_the_words_of_the_program_that_writes_it(name: str) -> None:
    page = (DOCS / name).read_text()

    for paragraph in _INTRODUCTION.split("\n\n"):
        if "{when}" not in paragraph:  # a run may say more of itself
            assert re.search(template(paragraph), page), paragraph
    assert page.endswith(f"\n{RELIABILITY[name]}")


def test_the_pages_on_reliability_show_every_promise() -> None:
    pages = "".join((DOCS / name).read_text() for name in RELIABILITY)
    shown = re.findall(r"^\| P\d+ \| (.+?) \| \d", pages, re.MULTILINE)

    assert shown == list(_PROMISES)
    assert {name for names in _PROMISES.values() for name in names} <= set(discovered())


def test_the_page_on_performance_ends_with_the_limits_that_are_kept_beside_the_benchmarks() -> None:
    limits = (ROOT / "benchmarks" / "limits.md").read_text()

    assert (DOCS / "performance.md").read_text().endswith(f"\n## Limits\n\n{limits}")


def test_the_page_on_performance_has_the_words_of_the_program_that_writes_it() -> None:
    program = (ROOT / "benchmarks" / "__main__.py").read_text()
    page = (DOCS / "performance.md").read_text()
    texts = re.findall(r'^_[A-Z]+: Final = """\\\n(.*?)"""$', program, re.DOTALL | re.MULTILINE)

    assert len(texts) == 4
    for text in texts:
        assert re.search(template(text), page), text
