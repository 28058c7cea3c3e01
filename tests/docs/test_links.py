"""Every link of README and the docs leads to a file that is there, and to a heading in it."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
#: Blocks of code, fenced or indented, and code within a line: what looks like a link there is not one.
CODE = re.compile(r"^```.*?^```$|^(?: {4}.*\n)+|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


def without_code(text: str) -> str:
    return CODE.sub("", text)


@cache
def headings(page: Path) -> list[str]:
    """Return the anchors of a page's headings, as GitHub and Python-Markdown make them of the text."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE)
    titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in found]
    return [re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles]


def links(page: Path) -> list[str]:
    return LINK.findall(without_code(page.read_text()))


def fault(page: Path, link: str) -> str:
    """Return what is wrong with *link*; "" if nothing is."""
    if link.startswith("https://"):
        return ""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return f"{link}: the file does not exist"
    if anchor and anchor not in headings(target):
        return f"{link}: the page does not have this heading"
    return ""


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    path = ROOT / page
    assert list(filter(None, (fault(path, link) for link in links(path)))) == []


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES[1:]])
def test_no_two_headings_of_a_page_have_one_anchor(page: str) -> None:
    if page == "CHANGELOG.md":  # each version has the same parts
        return
    anchors = headings(ROOT / page)
    assert sorted(set(anchors)) == sorted(anchors)


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {page for page in index.parent.rglob("*.md") if page != index} <= linked


def test_the_site_lists_the_pages_in_the_order_of_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    pages = list(dict.fromkeys(link for link in links(index) if link.endswith(".md")))
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert listed == ["README.md", *pages]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES[2:]])
def test_a_page_of_the_site_links_to_pages_of_the_site_alone(page: str) -> None:
    """What lies outside docs/ is not built: there the link would lead nowhere."""
    path, docs = ROOT / page, ROOT / "docs"
    inside = [link for link in links(path) if not link.startswith("https://")]
    targets = [(path.parent / link.partition("#")[0]).resolve() for link in inside]
    assert [str(target) for target in targets if not target.is_relative_to(docs)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `word`\n\n[a](#one-word) [`b`](other.md) [c](#two) `[d](none.md)`\n")
    assert links(page) == ["#one-word", "other.md", "#two"]
    assert list(filter(None, (fault(page, link) for link in links(page)))) == [
        "other.md: the file does not exist",
        "#two: the page does not have this heading",
    ]
