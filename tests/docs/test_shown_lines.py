"""The lines of records that the pages show are those that papyra writes, byte for byte."""

import re
from pathlib import Path
from zlib import crc32

import pytest

ROOT = Path(__file__).parents[2]


def test_each_line_that_a_page_shows_ends_with_the_checksum_of_its_bytes() -> None:
    shown = 0
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for sealed, checksum in re.findall(
            r'^(\{"kind":.*),"_crc":"([0-9a-f]{8})"\}$', page.read_text(), re.MULTILINE
        ):
            assert f"{crc32(sealed.encode()):08x}" == checksum, (page, sealed)
            shown += 1
    assert shown >= 4


def test_the_example_makes_the_line_and_the_bytes_that_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"^## Example$.*?^```python$(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (line,) = re.findall(r'^\{"kind":.*\}$', page, re.MULTILINE)
    writer, timestamp = re.findall(r'"timestamp":(.*?),.*"_id":"(.*?)-', line)[0][::-1]
    monkeypatch.setattr("os.urandom", lambda n: bytes.fromhex(writer)[:n])
    monkeypatch.setattr("time.time", lambda: float(timestamp))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    content = (tmp_path / "actors.ndjson").read_bytes()
    assert content.decode().splitlines()[0] == line
    sizes = re.findall(r"(\d+) bytes|before, (\d+) after", page)
    assert {int(number) for size in sizes for number in size if number} == {len(content)}
