"""What the README and the docs say is what the code does."""

import re
from pathlib import Path

import pytest

from papyra import (
    COUNTERS,
    JsonBackend,
    MemoryBackend,
    PersistenceMetricsMixin,
    RotatingBackend,
)
from papyra.backends.redis import RedisBackend
from papyra.reports import ANOMALY_TYPES

ROOT = Path(__file__).parents[2]
COUNTERS_PAGE = (ROOT / "docs" / "reference" / "counters.md").read_text()
BACKENDS: dict[str, type[PersistenceMetricsMixin]] = {
    "Memory": MemoryBackend,
    "JSON": JsonBackend,
    "Rotating": RotatingBackend,
    "Redis": RedisBackend,
}
NAMES = [counter.name for counter in COUNTERS]


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below the row that begins with *heading*."""
    lines = text[re.search(rf"^\| *{heading} *\|", text, re.MULTILINE).start() :].splitlines()  # type: ignore[union-attr]  # a missing table fails
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[
            : next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
        ]
    ]
    return [table[0], *table[2:]]


def test_the_matrix_is_what_each_backend_supports() -> None:
    heading, *matrix = rows(COUNTERS_PAGE, "Backend")
    assert heading[1:] == NAMES
    assert [row[0] for row in matrix] == list(BACKENDS)
    for name, *cells in matrix:
        supported = [n for n, cell in zip(NAMES, cells, strict=True) if cell == "Yes"]
        assert set(cells) <= {"Yes", "No"}
        assert set(NAMES) - set(supported) == BACKENDS[name].unsupported


def test_every_counter_is_explained_in_order() -> None:
    _, *table = rows(COUNTERS_PAGE, "counter")
    assert [row[0].strip("`") for row in table] == NAMES


def test_every_type_of_anomaly_has_cause_and_cure() -> None:
    _, *table = rows((ROOT / "docs" / "anomalies.md").read_text(), "type")
    assert [row[0].strip("`") for row in table] == list(ANOMALY_TYPES)
    assert all(len(row) == 4 and all(row) for row in table)


def test_every_link_leads_somewhere() -> None:
    pages = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "tests" / "README.md")
    for document in pages:
        for link in re.findall(r"\]\(([^)#]+)[)#]", document.read_text()):
            assert link.startswith("https://") or (document.parent / link).exists(), link


def test_the_readme_is_short_and_its_first_screen_leads_to_the_counters() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 125
    first_screen = "\n".join(lines[:25])
    assert "docs/reference/counters.md" in first_screen
    assert "docs/explanation/counters.md" in first_screen


def test_every_command_is_on_the_page_on_the_shell() -> None:
    commands = re.findall(
        r"^    (papyra(?: [a-z]+)+) \[OPTIONS\](?! \[COMMAND\])",
        (ROOT / "docs" / "reference" / "cli.md").read_text(),
        re.MULTILINE,
    )
    page = (ROOT / "docs" / "how-to" / "use-the-shell.md").read_text()

    assert len(commands) >= 6
    assert [name for name in commands if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "page", ["README.md", "docs/tutorial.md", "docs/explanation/limits.md", "docs/reliability.md"]
)
def test_a_page_that_names_another_system_says_that_it_was_not_tried(page: str) -> None:
    parts = re.split(r"\n(?=- )|\n\n", (ROOT / page).read_text())
    found = [part for part in parts if re.search(r"macOS|Windows|3\.14", part)]

    assert found
    assert [part for part in found if not re.search(r"(not|nothing above was)\s+tried", part)] == []
