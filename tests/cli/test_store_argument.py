"""Which store a command is about: STORE, --store or PAPYRA_STORE; a URL or a path."""

import os
import socket
from collections.abc import Callable

import pytest
from cli.shell import PICTURE, STORE, STRANGE, Shell, everything, intact
from stores import counts, original

from papyra import Record, RotatingBackend

COMMANDS = [
    ("scan",),
    ("recover",),
    ("recover", "--dry-run"),
    ("compact",),
    ("compact", "--dry-run"),
    ("metrics", "persistence"),
    ("metrics", "reset"),
]
WAYS: dict[str, Callable[[str], tuple[list[str], dict[str, str]]]] = {
    "STORE": lambda store: ([store], {}),
    "--store": lambda store: (["--store", store], {}),
    "PAPYRA_STORE": lambda store: ([], {"PAPYRA_STORE": store}),
}


def is_published(command: tuple[str, ...]) -> bool:
    return command[0] == "metrics"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", ["json:other", "other", "./other"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_is_named_by_url_or_path_in_each_of_three_ways(
    shell: Shell, command: tuple[str, ...], store: str, way: str
) -> None:
    (shell.directory / "other").write_bytes(intact(2))
    arguments, variables = WAYS[way](store)

    done = shell.papyra(*command, *arguments, **variables)

    if is_published(command):
        assert done.code == 4
        assert done.err.startswith(f"papyra: {shell.directory}/other.metrics: ")
    else:
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{shell.directory}/other: ")


def test_an_argument_and_an_option_go_before_the_variable(shell: Shell) -> None:
    (shell.directory / "other").write_bytes(intact(2))
    for way in ("STORE", "--store"):
        arguments, _ = WAYS[way]("other")
        done = shell.papyra("scan", *arguments, PAPYRA_STORE="json:none")
        assert done.out.startswith(f"{shell.directory}/other: 2 records")
    shell.path.write_bytes(intact(1))
    assert shell.papyra("scan", PAPYRA_STORE="").out.startswith(f"{shell.path}: 1 record")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_that_is_named_twice_is_refused(shell: Shell, command: tuple[str, ...]) -> None:
    shell.path.write_bytes(intact(1))

    done = shell.papyra(*command, STORE, "--store", STORE)
    name = " ".join(word for word in command if word != "--dry-run")

    assert done == (
        2,
        "",
        (
            f"papyra: {name}: the store is given both as an argument and with --store; give it once."
            f" 'papyra {name} --help' tells more.\n"
        ),
    )
    assert everything(shell.directory) == {STORE: intact(1)}


def test_a_path_finds_a_set_of_rotated_files(shell: Shell) -> None:
    with RotatingBackend(shell.path, max_bytes=100) as store:
        for n in range(3):
            store.append(Record("event", data={"n": n}))

    assert shell.papyra("scan", STORE).out.startswith(f"{shell.path}: 3 records ")
    assert (
        shell.papyra("compact", f"{STORE}?max_files=2")
        .out.splitlines()[-1]
        .startswith(f"{shell.path}: 1 file dropped beyond max_files; 2 records kept, 1 dropped")
    )
    assert shell.papyra("metrics", "persistence", STORE, "--json").counters == counts(
        records_written=3, compactions_triggered=1
    )


@pytest.mark.parametrize("rotated", [f"{STORE}.1", f"{STORE}.2", f"{STORE}.000000000007"])
def test_a_path_finds_a_set_by_its_files_where_the_active_one_is_gone(
    shell: Shell, rotated: str
) -> None:
    """Also one of Papyra 0.3.0's, by its names."""
    is_original = len(rotated) < len(f"{STORE}.000000000007")
    (shell.directory / rotated).write_bytes(original(1, 2) if is_original else intact(2))

    assert shell.papyra("scan", STORE).out.startswith(f"{shell.path}: 2 records ")


def test_two_slashes_are_one_where_a_path_begins_with_them_and_refused_in_a_url(
    shell: Shell,
) -> None:
    shell.path.write_bytes(intact(2))

    assert shell.papyra("scan", f"/{shell.path}").out.startswith(f"{shell.path}: 2 records")
    assert shell.papyra("scan", f"json://{shell.path}").out.startswith(f"{shell.path}: 2 records")
    refused = shell.papyra("scan", f"json://{STORE}")
    assert refused[:2] == (2, "")
    assert f"write json:{STORE} for a file in the working directory, or json:/{STORE} for" in (
        refused.err
    )


def test_options_may_follow_a_path(shell: Shell) -> None:
    shell.path.write_bytes(intact(4))

    done = shell.papyra("compact", f"{STORE}?max_records=3&lock_timeout=2s", "--dry-run")

    assert f"{shell.path}: a compaction would drop 1 of 4 records" in done.out
    wrong = shell.papyra("compact", f"{STORE}?max_record=3")
    assert (wrong.code, wrong.out) == (2, "")
    assert "'max_record' is not an option; " in wrong.err
    assert wrong.err.endswith("; did you mean max_records?\n")


@pytest.mark.parametrize("name", ["what?max_records=0", "100%25", "50%3F", "a:b", "tape:x", "-x"])
def test_a_path_is_taken_as_it_is_where_a_file_has_that_name(shell: Shell, name: str) -> None:
    (shell.directory / name).write_bytes(intact(2))

    done = shell.papyra("scan", "--", name)

    assert done == (
        0,
        f"{shell.directory}/{name}: 2 records in {2 * len(intact(1))} bytes; no anomalies\n",
        "",
    )


def test_a_scheme_goes_before_a_path_that_looks_like_one(shell: Shell) -> None:
    (shell.directory / "json:x").write_bytes(intact(2))

    assert shell.papyra("scan", "json:x").code == 6
    assert shell.papyra("scan", "./json:x").code == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("place", "code", "reason"),
    [
        ("none", 6, "{0}/none: no such store"),
        ("none/x", 6, "{0}/none/x: no such store, and no directory for one"),
        (".", 1, "{0}: it is a directory; name a file in it"),
        ("picture", 1, "{0}/picture: not a papyra store"),
        ("socket", 1, "{0}/socket: "),
        (f"{STORE}.lock", 2, "{0}/papyra.ndjson.lock: it is a part of the store {0}/papyra.ndjson; name that"),
        (f"{STORE}.000000000001", 2, "name that one"),
        (f"{STORE}.quarantine", 2, "name that one"),
        ("tape:x", 2, "a store URL must begin with one of memory:, json:, "),
        ("https://example.org/x", 2, "a store URL must begin with one of "),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_a_store_is_named_in_one_line_and_stays_as_it_is(
    shell: Shell, command: tuple[str, ...], place: str, code: int, reason: str
) -> None:
    shell.path.write_bytes(intact(1))
    (shell.directory / "picture").write_bytes(PICTURE)
    (shell.directory / f"{STORE}.lock").write_bytes(b"")
    (shell.directory / f"{STORE}.000000000001").write_bytes(intact(1))
    (shell.directory / f"{STORE}.quarantine").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(".", os.O_RDONLY)
        os.chdir(shell.directory)  # the whole path may be too long for a socket
        try:
            listener.bind("socket")
        finally:
            os.fchdir(here)
            os.close(here)
    before = everything(shell.directory)

    done = shell.papyra(*command, place)

    assert done[:2] == (code, "")
    assert reason.format(shell.directory) in done.err
    assert done.err.count("\n") == 1
    assert shell.papyra(*command, place, "--json").error["exit"] == code
    assert everything(shell.directory) == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_that_is_not_there_is_answered_with_the_nearest_one(
    shell: Shell, command: tuple[str, ...]
) -> None:
    (shell.directory / "actors.ndjson").write_bytes(intact(1))
    (shell.directory / "notes.ndjson").write_bytes(PICTURE)
    (shell.directory / "logs.ndjson.000000000001").write_bytes(intact(1))
    before = everything(shell.directory)

    for given, near in (
        ("actor.ndjsn", "; did you mean '{}/actors.ndjson'? Otherwise start the program: its first append makes"),
        ("json:actors.json", "; did you mean '{}/actors.ndjson'? Otherwise start"),
        ("log.ndjson", "; did you mean '{}/logs.ndjson'? Otherwise start"),
        ("note.ndjson", "; correct the name, or start the program: its first append makes the store\n"),
        ("x", "; correct the name, or start the program: its first append makes the store\n"),
    ):  # fmt: skip
        done = shell.papyra(*command, given)
        path = shell.directory / given.removeprefix("json:")
        assert done[:2] == (6, "")
        assert done.err.startswith(f"papyra: {path}: no such store{near.format(shell.directory)}")
    assert everything(shell.directory) == before


@pytest.mark.parametrize(
    ("store", "code"),
    [("none", 6), ("json:none", 6), ("tape:x", 2), ("picture", 1), ("json:x?a=1", 2)],
)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_store_is_said_to_be_from_the_variable_or_the_default(
    shell: Shell, command: tuple[str, ...], store: str, code: int
) -> None:
    (shell.directory / "picture").write_bytes(PICTURE)

    from_variable = shell.papyra(*command, PAPYRA_STORE=store)
    from_argument = shell.papyra(*command, store)
    by_default = shell.papyra(*command, "--json")

    assert from_argument[:2] == from_variable[:2] == (code, "")
    assert from_variable.err == from_argument.err[:-1] + (
        "; the store is that of the variable PAPYRA_STORE\n"
    )
    assert by_default.error["message"].endswith(
        "; without STORE, --store and PAPYRA_STORE the store is the default json:papyra.ndjson"
    )


@pytest.mark.parametrize("command", ["scan", "recover", "compact"])
def test_a_path_that_this_user_may_not_read_is_one_line(
    shell: Shell, unprivileged: list[str], command: str
) -> None:
    shell.path.write_bytes(intact(1))
    shell.path.chmod(0)

    done = shell.papyra(command, STORE, prefix=unprivileged)

    assert done[:2] == (1, "")
    assert done.err.startswith(f"papyra: {shell.path}: ")
    assert done.err.endswith(
        ": Permission denied; let this user read and write the store and its directory\n"
    )


def test_what_was_saved_is_listed_by_the_path_of_a_store_that_is_gone(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    assert shell.papyra("recover", STORE).code == 0
    shell.path.unlink()

    listed = shell.papyra("recover", STORE, "--list")

    assert (listed.code, listed.err) == (0, "")
    assert "6 bytes out of papyra.ndjson" in listed.out


def test_an_import_finds_its_source_by_a_path(shell: Shell) -> None:
    (shell.directory / f"{STORE}.000000000001").write_bytes(intact(2))

    done = shell.papyra("import", STORE, "json:new")

    assert (done.code, done.err) == (0, "")
    assert (shell.directory / "new").read_bytes() == intact(2)
