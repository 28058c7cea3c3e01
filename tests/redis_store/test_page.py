"""The example of the page about Redis, with its server stopped in the middle."""

import re
from pathlib import Path
from typing import Any

import pytest
from stores import counts

from papyra import open_counters
from papyra.backends.redis.server_errors import COMMANDS
from servers import free_port, running_redis

ROOT = Path(__file__).parents[2]


def test_the_example_says_what_is_wrong_and_goes_on_when_the_server_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "redis.md").read_text()
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    port = free_port()
    text = (
        found[1].replace("localhost:6379", f"localhost:{port}").replace("timeout=2", "timeout=0.3")
    )
    opening, tried, shown = re.split(r"(?m)^(?=try:|print)", text)[:3]
    rest = text.removeprefix(opening + tried)
    names: dict[str, Any] = {}

    with running_redis("debian", tmp_path, port=port, keep=True):
        exec(opening, names)
        exec(tried, names)
        exec(rest, names)
        assert "'order': 1" in capsys.readouterr().out
    exec(tried, names)  # the server is stopped
    assert "did not reply" in capsys.readouterr().out
    with running_redis("debian", tmp_path, port=port, keep=True):
        exec(tried, names)
        exec(rest, names)
        reported = capsys.readouterr().out
        assert reported.count("'order': 1") == 2
        names["store"].close()
        assert open_counters(names["url"]).read().snapshot() == counts(
            records_written=2, write_errors=1, records_read=1 + 2
        )
    assert shown.startswith("print")


def test_the_page_about_redis_names_the_rights_that_are_asked_for() -> None:
    page = " ".join((ROOT / "docs" / "redis.md").read_text().split())
    assert COMMANDS in page
