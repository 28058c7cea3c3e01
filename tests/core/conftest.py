"""Every kind of store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import FILE_KINDS, KINDS, FileKind, Kind

from papyra import PersistenceBackend


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    """One kind of store, in a directory of the test's own."""
    return KINDS[request.param](tmp_path)


@pytest.fixture(params=list(FILE_KINDS))
def file_kind(request: pytest.FixtureRequest, tmp_path: Path) -> FileKind:
    """One kind of store made of files, in a directory of the test's own."""
    return FILE_KINDS[request.param](tmp_path)


@pytest.fixture
def backend(kind: Kind) -> Iterator[PersistenceBackend]:
    """An open store of each kind; a test that does not damage it leaves it clean."""
    with kind.open() as store:
        yield store
        if not store.closed:
            assert store.scan().anomalies == ()
