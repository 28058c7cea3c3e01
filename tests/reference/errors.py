"""The page of exceptions, from their docstrings; what to do about each is said here."""

from typing import Final

import griffe

import papyra
from papyra.cli import exit_codes
from papyra_otel import errors as otel_errors
from reference import api, markdown

#: The remedy for each error, for the program or its operator.
_REMEDIES: Final = {
    "PapyraError": "Catch it to catch every error that papyra raises of its own accord.",
    "RecordError": "Change the value that `path` names, and append the record again.",
    "CorruptRecordError": "Run `recover()` to move the damage to the quarantine, or read without `strict=True`.",
    "UnreadableRecordError": "Look at the line at `source` and `offset`. Remove it by hand if it is forged.",
    "StoreURLError": "Correct the URL. The message names the known schemes or options; [Store URLs](urls.md) lists them.",
    "StoreNotFoundError": "Correct the path, or start the program that makes the store with its first append.",
    "NotPublishedError": "Follow the message: wait for the first append of a program, or read `store.metrics` in it.",
    "NotAStoreError": "Name another path, or move the file away. A file that another tool wrote can be imported"
    " with `papyra import --seal`.",
    "UnsupportedError": "Use another kind of store for this, or leave the call out.",
    "UndoError": "Follow the message. Undo later recoveries and compactions first. The saved bytes stay in the quarantine.",
    "StoreClosedError": "Open the store again, or call it before `close()`.",
    "ForkedStoreError": "Open the store in the child, after the fork.",
    "StoreLockedError": "Try again, or allow more time with `lock_timeout`. `holder` names the process, where it is known.",
    "StoreBusyError": "Append with `append_soon()` in finalizers, weak reference callbacks and signal handlers.",
    "StoreFailedError": "Look at the disk. Then close the store and open it again.",
    "WriteOutcomeUnknownError": "Call `store.resend(error)` once the server can be reached again.",
    "StoreIOError": "Look at `errno` and `strerror`: free space, correct the rights, or start the server. Then try again.",
    "BridgeError": "Use the bridge that the provider has, or close it first. Give a store one name.",
    "AddressError": "Take another host or port, or stop the program that has the port.",
}
#: The attributes that the docstrings do not describe.
_ATTRIBUTES: Final = {
    "holder": "The process that held the lock, where the system tells it; otherwise empty.",
    "ids": "The ids of the records in the batch.",
    "reason": "The cause, in words.",
    "waited": "How long the call waited, in seconds.",
}
_INTRODUCTION = """\
All of papyra's exceptions derive from `PapyraError`. Each message names the place, the cause and what to do; the
attributes carry the same as data. An exception can be pickled and sent to another process. The last
column is the exit code of the command line; [Command line](cli.md#exit-codes) explains the codes."""


def make() -> str:
    """Return the page."""
    names = [name for name in papyra.__all__ if name.endswith("Error")]
    names.sort(key=lambda name: name != "PapyraError")  # the root first
    parts, rows = [], []
    for module, name in [
        *(("papyra", name) for name in names),
        ("papyra_otel", "BridgeError"),
        ("papyra_otel", "AddressError"),
    ]:
        kind = getattr(otel_errors if module == "papyra_otel" else papyra, name)
        thing = api.found(module, name)
        bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        code = str(exit_codes._exit_code(kind.__new__(kind))) if module == "papyra" else "-"
        assert thing.docstring is not None
        first = markdown.line(thing.docstring.value.partition("\n\n")[0])
        rows.append([f"[`{name}`](#{name.lower()})", first, code])
        parts += [f"## {name}", f"Import it from `{module}`. Derives from {bases}."]
        parts += _described(thing)
        parts.append(f"**What to do:** {_REMEDIES[name]}")
    table = markdown.table(["exception", "meaning", "exit code"], rows)
    return markdown.page(
        "Errors", "the docstrings and tests/reference/errors.py", _INTRODUCTION, table, *parts
    )


def _described(thing: griffe.Object) -> list[str]:
    """Return what the docstring of *thing* says, with the attributes that it leaves out."""
    assert thing.docstring is not None
    listed = {
        attribute.name
        for section in thing.docstring.parse("google", warnings=False)
        if section.kind is griffe.DocstringSectionKind.attributes
        for attribute in section.value
    }
    parts = list(api.described(thing))
    others = "\n".join(
        f"- `{name}`: {_ATTRIBUTES[name]}"
        for name, member in sorted(thing.members.items())
        if isinstance(member, griffe.Attribute) and name not in listed and not name.startswith("_")
    )
    if not others:
        return parts
    if not listed:
        return [*parts, "**Attributes**", others]
    return [*parts[:-1], f"{parts[-1]}\n{others}"]  # the attributes are the last section
