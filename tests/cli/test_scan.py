"""`papyra scan`, and what it tells of stores that are none."""

import shutil
from pathlib import Path

import pytest
from cli.shell import PICTURE, STORE, STRANGE, TORN, Shell, everything, intact

#: The end of a message about the store that a command without STORE is about.
DEFAULT = "; without STORE, --store and PAPYRA_STORE the store is the default json:papyra.ndjson"


def test_a_whole_store_is_code_0(shell: Shell) -> None:
    shell.path.write_bytes(intact(3))
    size = len(intact(3))

    assert shell.papyra("scan") == (
        0,
        f"{shell.path}: 3 records in {size} bytes; no anomalies\n",
        "",
    )
    assert shell.papyra("scan", "--json").document == {
        "records": 3,
        "bytes": size,
        "anomalies": [],
        "found": 0,
        "leftovers": [],
    }


def test_damage_is_shown_a_line_each_with_its_address_and_is_code_3(shell: Shell) -> None:
    size = len(intact(2))
    shell.path.write_bytes(intact(2) + TORN + STRANGE)

    torn, strange = shell.findings()

    assert torn[:4] == ("truncated_line", str(shell.path), size, len(TORN))
    assert strange[:4] == ("corrupted_line", str(shell.path), size + len(TORN), len(STRANGE))
    assert shell.papyra("scan") == (
        3,
        (
            f"{torn}\n{strange}\n"
            f"{shell.path}: 2 records in {size + len(TORN + STRANGE)} bytes; 2 anomalies;"
            " 'papyra recover --dry-run' shows what a recovery would remove\n"
        ),
        "",
    )


def test_with_json_a_finding_is_an_object(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE)
    (finding,) = shell.findings()

    shown = shell.papyra("scan", "--json")

    assert shown.code == 3
    assert shown.document == {
        "records": 1,
        "bytes": len(intact(1) + STRANGE),
        "anomalies": [
            {
                "type": "corrupted_line",
                "source": str(shell.path),
                "offset": len(intact(1)),
                "length": len(STRANGE),
                "detail": finding.detail,
            }
        ],
        "found": 1,
        "leftovers": [],
    }
    assert shown.out.count("\n") == 1


def test_findings_that_are_too_many_to_be_listed_are_told_by_their_number(shell: Shell) -> None:
    shell.path.write_bytes(b"x\n" * 10_002)

    shown = shell.papyra("scan")
    lines = shown.out.splitlines()

    assert shown.code == 3
    assert len(lines) == 3
    assert lines[-2] == "... and 2 more, which are not listed"
    assert "; 10002 anomalies; " in lines[-1]


def test_damage_of_one_sort_in_a_row_is_one_line(shell: Shell) -> None:
    shell.path.write_bytes(intact(1) + STRANGE * 3 + TORN + intact(3)[len(intact(1)) :] + STRANGE)
    first, _, _, torn, last = shell.findings()
    row = f"{first._replace(length=3 * len(STRANGE))}; 3 such in a row"

    assert shell.papyra("scan").out.splitlines()[:-1] == [row, str(torn), str(last)]
    assert shell.papyra("recover", "--dry-run").out.splitlines()[:-1] == [
        f"quarantine: {row}",
        f"quarantine: {torn}",
        f"quarantine: {last}",
    ]
    assert shell.papyra("recover").out.splitlines()[:-1] == [row, str(torn), str(last)]


def test_a_file_that_is_none_of_the_stores_has_no_byte_and_a_directory_no_size(
    shell: Shell,
) -> None:
    shell.path.write_bytes(intact(1))
    (shell.directory / f"{STORE}.bak").write_bytes(b"mine")
    (shell.directory / f"{STORE}.dir").mkdir()
    (shell.directory / f"{STORE}.link").symlink_to(STORE)
    detail = "papyra did not make this file; move it away if it is in the way"

    assert shell.papyra("scan").out.splitlines()[:-1] == [
        f"{shell.path}.bak: unexpected_file (4 bytes): {detail}",
        f"{shell.path}.dir: unexpected_file: {detail}",
        f"{shell.path}.link: unexpected_file: {detail}",
    ]


def test_a_scan_changes_and_makes_nothing(shell: Shell) -> None:
    shell.path.write_bytes(intact(2) + TORN + STRANGE)
    (shell.directory / f"{STORE}.tmp.0badcafe").write_bytes(intact(1))
    before = everything(shell.directory)

    assert shell.papyra("scan").code == 3
    assert shell.papyra("scan", "--json").code == 3
    assert everything(shell.directory) == before


def test_a_scan_goes_past_a_program_that_is_writing(shell: Shell) -> None:
    with shell.program() as program:
        program.ask("append 5")

        shown = shell.papyra("scan", "--json")

        assert (shown.code, shown.document["records"]) == (0, 5)
        assert program.ask("snapshot")["scan_operations"] == 0


def test_a_picture_is_damage_from_end_to_end(shell: Shell) -> None:
    shell.path.write_bytes(PICTURE)

    shown = shell.papyra("scan", "--json")

    assert shown.code == 3
    assert shown.document["records"] == 0
    assert sum(finding["length"] for finding in shown.document["anomalies"]) == len(PICTURE)
    assert everything(shell.directory) == {STORE: PICTURE}


@pytest.mark.parametrize(
    "command",
    [
        ("metrics", "persistence"),
        ("metrics", "reset"),
        ("scan",),
        ("recover",),
        ("recover", "--dry-run"),
        ("compact",),
    ],
    ids=" ".join,
)
class TestEveryCommand:
    def test_names_a_store_that_is_not_there_and_makes_nothing(
        self, shell: Shell, command: tuple[str, ...]
    ) -> None:
        cause = (
            f"{shell.path}: no such store; correct the name, or start the program: its first append makes the"
            f" store{DEFAULT}"
        )

        assert shell.papyra(*command) == (6, "", f"papyra: {cause}\n")
        assert shell.papyra(*command, "--json").error == {
            "type": "StoreNotFoundError",
            "message": cause,
            "exit": 6,
            "source": str(shell.path),
        }
        assert everything(shell.directory) == {}

    def test_does_not_promise_a_store_where_no_directory_for_it_is(
        self, shell: Shell, command: tuple[str, ...]
    ) -> None:
        shell.path.symlink_to("nowhere/store.ndjson")
        place = shell.directory / "nowhere" / "store.ndjson"
        cause = f"{place}: no such store, and no directory for one; correct the path{DEFAULT}"

        assert shell.papyra(*command) == (6, "", f"papyra: {cause}\n")

    def test_refuses_a_directory(self, shell: Shell, command: tuple[str, ...]) -> None:
        shell.path.mkdir()
        cause = f"{shell.path}: it is a directory; name a file in it"

        assert shell.papyra(*command) == (1, "", f"papyra: {cause}\n")
        assert shell.papyra(*command, "--json").error == {
            "type": "StoreIOError",
            "message": cause,
            "exit": 1,
            "source": str(shell.path),
        }
        assert everything(shell.directory) == {STORE: None}

    def test_refuses_a_bad_store_url_as_misuse(
        self, shell: Shell, command: tuple[str, ...]
    ) -> None:
        cause = "a store URL must begin with one of "

        shown = shell.papyra(*command, "--store", "tape:x")
        error = shell.papyra(*command, "--store", "tape:x", "--json").error

        assert shown[:2] == (2, "")
        assert shown.err.startswith(f"papyra: {cause}")
        assert shown.err.count("\n") == 1
        assert list(error) == ["type", "message", "exit"]
        assert (error["type"], error["exit"]) == ("StoreURLError", 2)
        assert error["message"].startswith(cause)

    def test_takes_the_store_from_the_option_before_the_environment(
        self, shell: Shell, command: tuple[str, ...], tmp_path: Path
    ) -> None:
        option, variable = tmp_path / "option.ndjson", tmp_path / "variable.ndjson"

        by_option = shell.papyra(
            *command, "--json", "--store", f"json:{option}", PAPYRA_STORE=f"json:{variable}"
        )
        by_variable = shell.papyra(*command, "--json", PAPYRA_STORE=f"json:{variable}")
        by_neither = shell.papyra(*command, "--json", PAPYRA_STORE="")

        assert by_option.error["source"] == str(option)
        assert by_variable.error["source"] == str(variable)
        assert by_neither.error["source"] == str(shell.path)


def test_a_store_of_which_only_leftovers_of_030_are_there_is_scanned_and_they_are_named(
    shell: Shell,
) -> None:
    left = Path(__file__).parents[1] / "data/papyra-0.3.0/rotating/killed_in_compact_rename1"
    shutil.copytree(left, shell.directory, dirs_exist_ok=True)
    path = shell.directory / "a.ndjson"
    assert not path.exists()
    named = "".join(
        f"{path}.{ending}: left by 0.3.0, with records that are in no other file; keep it\n"
        for ending in ("3.compact.tmp", "2.compact.tmp", "1.compact.tmp", "compact.tmp")
    )
    assert shell.papyra("scan", "--store", f"rotating:{path}") == (
        0,
        f"{named}{path}: 12 records in 1756 bytes; no anomalies\n",
        "",
    )


def test_the_advice_names_the_store_that_was_asked_for(shell: Shell) -> None:
    url = "json:odd name.ndjson"
    (shell.directory / "odd name.ndjson").write_bytes(intact(1) + b"junk\n")
    hint = f"papyra recover --dry-run --store '{url}' shows what a recovery would remove\n"

    assert shell.papyra("scan", "--store", url).out.endswith(hint)
    assert shell.papyra("recover", "--store", url).code == 0
    undo = f"papyra recover --undo ID --store '{url}' puts back what can be undone\n"
    assert shell.papyra("recover", "--list", "--store", url).out.endswith(undo)


def test_files_that_are_none_of_the_stores_are_no_reason_to_recover(shell: Shell) -> None:
    shell.path.write_bytes(intact(1))
    shell.path.with_name(STORE + ".bak").touch()

    done = shell.papyra("scan")

    assert done.code == 3
    assert done.out.endswith(
        "no record is damaged; move away the files that do not belong to the store\n"
    )


def test_a_file_without_a_record_may_be_no_store(shell: Shell) -> None:
    shell.path.write_text("a,b\n1,2\n")
    assert (
        "it holds no record, so check that it is a papyra store; if it is, "
        in shell.papyra("scan").out
    )
