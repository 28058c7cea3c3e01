"""A store in a directory that several users may write: none of them locks another out."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import Child
from stores import event

from papyra import RotatingBackend, open_store

OWNER, OTHER, GROUP = 65501, 65502, 65503
OPERATIONS = {
    "recover": "store.recover().clean",
    "compact": "store.compact().clean",
    "scan": "store.scan().found",
    "append": "[store.append(Record('event', data={'x': 'y' * 90})) for _ in range(8)]",
    "look": "store.compact(dry_run=True).found",
    "import": "papyra.import_store(open_store('memory:'), store).copied",
}
#: Puts back what the other user took out.
UNDO = "[store.recover(undo=saved.id).restored for saved in store.quarantined()]"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may write and reach, as pytest's own is not."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root becomes two other users")
    directory = Path(tempfile.mkdtemp(prefix="papyra-users-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def become(child: Child, user: int, *groups: int) -> None:
    """Have *child* become *user*, who may not read what Python has yet to import."""
    with tempfile.TemporaryDirectory() as warm:
        child.do("import logging, traceback, _strptime")
        child.do(f"warm = Path({warm!r})")
        child.do("store = open_store(f'rotating:{warm}/a?max_bytes=200')")
        child.do("store.append_many([Record('event', data={'x': 'y' * 90})] * 4)")
        child.do("(warm / 'a').open('a').write('no record\\n')")
        assert child.do("store.scan().found") == 1
        assert child.do("store.compact(dry_run=True).found") == 1
        assert child.do("store.recover(undo=store.recover().quarantine).restored") == 10
        assert child.do("len(store.quarantined())") == 0
        assert child.do("store.recover().clean") is True
        assert child.do("store.compact().clean") is True
        assert child.do("papyra.import_store(open_store('memory:'), store).copied") == 0
        assert child.do("len(store.read())") == 4
        assert "raised" in child.do("open_store(f'json:{warm}/none/x').append(Record('e'))")
        child.do("store.close()")
    child.do(f"os.setgroups({list(groups)})")
    child.do(f"os.setresgid({user}, {user}, {user})")
    child.do(f"os.setresuid({user}, {user}, {user})")
    assert child.do("os.geteuid()") == user


def make(path: Path, mode: int, group: int) -> str:
    """Make a rotated set with damage, of OWNER and *group*; return its URL."""
    url = f"rotating:{path}?max_bytes=300"
    with open_store(url) as store:
        assert isinstance(store, RotatingBackend)
        for n in range(6):
            store.append(event(n, filler="x" * 60))
    with path.open("ab") as file:
        file.write(b"no record\n")
    for file_ in path.parent.iterdir():
        if file_.is_dir():  # the counters of the program that made it
            shutil.rmtree(file_)
        elif file_.suffix == ".lock":
            file_.unlink()
        else:
            os.chown(file_, OWNER, group)
            file_.chmod(mode)
    return url


def side_files(path: Path) -> dict[str, tuple[int, str]]:
    """Return the owner and mode of everything beside the store's data."""
    return {
        str(file.relative_to(path.parent)): (file.stat().st_uid, stat.filemode(file.stat().st_mode))
        for file in path.parent.rglob("*")
        if not file.name.removeprefix(path.name + ".").isdigit() and file != path
    }


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize(("mode", "group"), [(0o660, GROUP), (0o666, OWNER)], ids=["group", "all"])
def test_what_another_user_who_may_write_the_store_makes_keeps_its_owner_out_of_nothing(
    place: Path, operation: str, mode: int, group: int
) -> None:
    path = place / "store.ndjson"
    url = make(path, mode, group)
    with Child() as other, Child() as owner:
        become(other, OTHER, GROUP)
        become(owner, OWNER, GROUP)
        other.do(f"store = open_store({url!r})")
        done = other.do(operation)
        assert not isinstance(done, dict), done
        owner.do(f"store = open_store({url!r})")
        counters = f"open_counters({url!r}).read().live"
        for needed in (UNDO, *OPERATIONS.values(), "len(store.read())", counters):
            done = owner.do(needed)
            assert not isinstance(done, dict), (needed, done, side_files(path))
            if needed == UNDO:
                assert bool(done) is (operation in {OPERATIONS["recover"], OPERATIONS["compact"]})
        assert owner.do("store.close()") is None
        assert not isinstance(other.do(operation), dict)
        assert other.do(f"sum(open_counters({url!r}).reset().values()) > 0") is True
        assert owner.do(f"sum(open_counters({url!r}).reset().values()) > 0") is not None


@pytest.mark.parametrize(
    "operation",
    [operation for name, operation in OPERATIONS.items() if name not in {"scan", "look"}],
)
def test_a_user_who_may_not_write_the_store_leaves_nothing_beside_it(
    place: Path, operation: str
) -> None:
    path = place / "store.ndjson"
    url = make(path, 0o644, OWNER)
    before = {file: file.read_bytes() for file in place.iterdir()}
    with Child() as other, Child() as owner:
        become(other, OTHER)
        become(owner, OWNER)
        other.do(f"store = open_store({url!r})")
        refused = other.do(operation)
        assert refused["raised"] == "StoreIOError"
        assert f"{path}: nothing was changed: Permission denied" in refused["message"]
        assert {file: file.read_bytes() for file in place.iterdir()} == before
        owner.do(f"store = open_store({url!r})")
        for needed in OPERATIONS.values():
            done = owner.do(needed)
            assert not isinstance(done, dict), (needed, done)


@pytest.mark.parametrize("command", ["scan", "look"])
def test_a_look_of_a_user_who_may_only_read_makes_nothing(place: Path, command: str) -> None:
    path = place / "store.ndjson"
    url = make(path, 0o644, OWNER)
    before = sorted(place.iterdir())
    with Child() as other:
        become(other, OTHER)
        other.do(f"store = open_store({url!r})")
        assert other.do(OPERATIONS[command]) == 1
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize("ending", ["store.close()", "None"], ids=["closed", "open"])
def test_a_look_must_be_able_to_read_the_lock_that_is_there_and_an_append_to_write_it(
    place: Path, ending: str
) -> None:
    path, lock = place / "store.ndjson", place / "store.ndjson.lock"
    with Child() as owner, Child() as other:
        become(owner, OWNER)
        become(other, OTHER)
        owner.do(f"store = open_store('json:{path}')")
        owner.do("store.append(Record('event'))")
        owner.do(ending)
        other.do(f"store = open_store('json:{path}')")
        path.chmod(0o666)
        lock.chmod(0o600)
        for look in ("len(store.read())", "store.scan().records"):
            refused = other.do(look)
            assert refused["raised"] == "StoreIOError"
            assert refused["message"].startswith(f"{lock}: ")
        lock.chmod(0o644)
        for look in ("len(store.read())", "store.scan().records"):
            assert other.do(look) == 1
        refused = other.do("store.append(Record('event'))")
        assert refused["message"].startswith(f"{lock}: nothing was stored: Permission denied")
        lock.chmod(0o666)
        assert not isinstance(other.do("store.append(Record('event'))"), dict)


def test_side_files_have_the_mode_of_the_store_and_of_a_new_one_are_its_makers_alone(
    place: Path,
) -> None:
    path = place / "new.ndjson"
    with open_store(f"json:{path}") as store:
        store.append(event(1))
        assert {mode for _, mode in side_files(path).values()} == {"-rw-------", "drwx------"}
    path.unlink()
    for left in ("new.ndjson.lock", "new.ndjson.metrics"):
        file = place / left
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    path.write_bytes(b"")
    path.chmod(0o664)
    with path.open("ab") as data:
        data.write(b"no record\n")
    (place / "new.ndjson.lock").touch(0o664)
    with open_store(f"json:{path}") as store:
        store.recover()
        store.append(event(1))
    modes = side_files(path)
    del modes["new.ndjson.lock"]
    assert {mode for _, mode in modes.values()} == {"-rw-rw-r--", "drwxrwxr-x"}
    assert len(modes) >= 6
