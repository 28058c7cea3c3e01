"""A real Prometheus."""

import shutil
from collections.abc import Iterator

import pytest

from servers import Server, free_port, missing, running


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """Debian's Prometheus and the port that it scrapes ten times a second, from second 5 on."""
    binary = shutil.which("prometheus") or missing("no prometheus: apt-get install prometheus")
    directory = tmp_path_factory.mktemp("prometheus")
    port, target = free_port(), free_port()
    (directory / "p.yml").write_text(
        "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
        "scrape_configs:\n"
        f"- {{job_name: papyra, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n"
    )
    command = [
        binary,
        f"--config.file={directory}/p.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    # The port accepts connections, and answers 503, before Prometheus is ready.
    ready = f"http://127.0.0.1:{port}/-/ready"
    with running(command, port, directory / "log", ready_url=ready) as server:
        yield server, target
