"""The reference pages are what `make reference` makes of the code, and their examples run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from reference import PAGES, urls

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
#: A page, and its Python blocks, each with the text that the page shows below it.
EXAMPLES = {
    page.name: re.findall(
        r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?",
        page.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    for page in sorted(REFERENCE.glob("*.md"))
}


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run `make reference`"


@pytest.mark.parametrize(
    ("table", "word", "what"),
    [("_SCHEMES", "json", "scheme"), ("_MEANINGS", "max_age", "option")],
)
def test_a_scheme_or_an_option_that_is_not_explained_is_named_with_the_table_to_change(
    table: str, word: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = {name: text for name, text in getattr(urls, table).items() if name != word}
    monkeypatch.setattr(urls, table, explained)
    with pytest.raises(
        ValueError, match=rf"^{table} in tests/reference/urls\.py .* {what} .* {word}$"
    ):
        urls.make()


@pytest.mark.parametrize("name", [name for name, examples in EXAMPLES.items() if examples])
def test_the_examples_of_a_page_run_one_after_the_other_and_print_what_it_shows(
    name: str, tmp_path: Path
) -> None:
    for program, output in EXAMPLES[name]:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stdout, done.stderr) == (output, "")


def test_every_block_of_code_is_an_example_or_the_output_of_one() -> None:
    fences = sum(page.read_text().count("```") for page in REFERENCE.glob("*.md"))
    blocks = [block for examples in EXAMPLES.values() for example in examples for block in example]
    assert fences == 2 * sum(map(bool, blocks))
    assert len(blocks) >= 8
