"""Lines torn, cut, joined and overwritten: what a fragment of them can still pretend to be."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from faults.checked_store import CheckedStore
from faults.mosaic import Mosaic, Span, Tile, Written
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.scratch_stores import KINDS, data_files, opened, scratch

from papyra import MemoryBackend, PersistenceBackend, Record, import_store
from papyra.format.codec import encode, seal

_SAMPLES: Final = Path(__file__).parents[1] / "data" / "papyra-0.3.0"
#: Damaged lines of one store, each between lines that are whole.
_LINES: Final = 60
#: The first so many of the written lines wrap others, or look like them.
_WRAPPING: Final = 11
#: Bytes of a line's beginning that may have been overwritten.
_BEGUN: Final = len(b'{"system_id": "')
#: The keys that each of 0.3.0's kinds has, whatever else it has.
_SHAPES: Final = {
    "event": {"system_id", "actor_address", "event_type", "payload", "timestamp"},
    "dead_letter": {"system_id", "target", "message_type", "payload", "timestamp"},
    "audit": {"system_id", "timestamp", "total_actors", "dead_letters_count"},
}
_INNER: Final[dict[str, Any]] = {
    "kind": "event", "system_id": "inner", "actor_address": "local:1", "event_type": "Started",
    "payload": {"n": 1}, "timestamp": 5.5,
}  # fmt: skip
_INNER_AUDIT: Final[dict[str, Any]] = {
    "system_id": "inner", "timestamp": 6.5, "total_actors": 2, "alive_actors": 2,
    "stopping_actors": 0, "restarting_actors": 0, "registry_size": 1, "registry_orphans": [],
    "registry_dead": [], "dead_letters_count": 0, "kind": "audit",
}  # fmt: skip
#: What can pretend, as docs/anomalies.md says.
_PRETENDERS: Final = {
    "changed": "of 0.3.0's that were changed or put together and kept their shape",
    "nested": "from within one of 0.3.0's",
    "sealed": "with their checksums from within papyra's",
    "alone": "from within papyra's, alone on a line",
}


def served(*, long: bool) -> Outcome:
    """Damage the lines of papyra's and of 0.3.0's, and hold each record that is served to its bytes."""
    outcome_log = OutcomeLog()
    found: Counter[str] = Counter()
    written = [*_own(), *_legacy()]
    stores = 400 if long else 12
    for number in range(stores):
        kind = KINDS[number % len(KINDS)]
        with scratch() as directory:
            _try(kind, directory / "store.ndjson", written, outcome_log, found)
    pretending = "; ".join(f"{found[name]:,} {said}" for name, said in _PRETENDERS.items())
    tried = f"{stores * _LINES:,} damaged lines; served as documented: {pretending}"
    return outcome_log.outcome("lines torn, cut, joined and overwritten", tried)


def _own() -> Iterator[Written]:
    """Yield lines of papyra's whose data look as much like records as data can."""
    sealed = json.loads(seal(encode(Record("event", timestamp=7.5, data={"n": 7})), "inner", 1))
    nested: list[dict[str, Any]] = [
        {"n": 1, "text": "as most are"},
        {"message": _INNER},
        {"message": _INNER_AUDIT, "after": 1},
        {"list": [_INNER, _INNER_AUDIT, _INNER]},
        {"message": {"deeper": [[{"kind": "event", "timestamp": 5}]]}, "text": json.dumps(_INNER)},
        {"message": sealed},
        {"list": [sealed, {"more": sealed}], "after": {}},
        {key: value for key, value in _INNER.items() if key not in {"kind", "timestamp"}},
    ]
    for number, data in enumerate(nested):
        kind = "event" if "event_type" in data else "dead_letter"
        body = encode(Record(kind, timestamp=9.5, data=data))
        yield Written(seal(body, "outer", number), is_own=True)


def _legacy() -> Iterator[Written]:
    """Yield lines that 0.3.0 wrote, and some as it would write what wraps a record of its own."""
    letter = {"kind": "dead_letter", "system_id": "local", "target": None, "message_type": "dict"}
    for payload in (_INNER, [_INNER, _INNER_AUDIT], {"deeper": _INNER}):
        wrapping = letter | {"payload": payload, "timestamp": 8.5}
        yield Written(json.dumps(wrapping).encode() + b"\n", is_own=False)
    files = [file for file in sorted(_SAMPLES.rglob("*")) if file.suffix in {".ndjson", ".log"}]
    for file in files:
        for line in file.read_bytes().splitlines(keepends=True)[:2]:
            if line.endswith(b"}\n") and _shaped(line):
                yield Written(line, is_own=False)


def _try(
    kind: str, path: Path, written: list[Written], outcome_log: OutcomeLog, found: Counter[str]
) -> None:
    """Try one store, in whose files damaged lines and whole ones take turns."""
    with opened(kind, path) as store:
        for number in range(6):
            store.append(Record("event", timestamp=1.0 + number, data={"pad": "x" * 100}))
    mosaics = []
    for file in data_files(path):
        mosaic = Mosaic(written)
        mosaic.add(Tile(0, 0, written[0].text))  # else it might not be a store
        for _ in range(_LINES // len(data_files(path))):
            for tile in _damaged(written):
                mosaic.add(tile)
            line = _any_of(written)
            if mosaic.content.endswith(b"\n"):
                mosaic.add(Tile(line, 0, written[line].text))
        file.write_bytes(mosaic.content)
        mosaics.append(mosaic)
    with opened(kind, path) as store:
        checked_store = CheckedStore(store, outcome_log)
        checked_store.is_damaged = True
        records: list[Record] = checked_store.do("read") or []
        _classify(records, mosaics, outcome_log, found, once=kind == "rotating")
        _compare_ways(checked_store, records, outcome_log)


def _compare_ways(
    checked_store: CheckedStore, records: list[Record], outcome_log: OutcomeLog
) -> None:
    """Expect the same *records* on every way that leads to them, and nothing else afterwards."""
    store = checked_store.store
    outcome_log.expect("broken", "records() differs", holds=[*store.records()] == records)
    scanned = checked_store.do("scan")
    outcome_log.expect("broken", f"scan: {scanned.records}", holds=scanned.records == len(records))
    outcome_log.expect("broken", "an import differs", holds=_imported(store) == records)
    checked_store.do("recover")
    checked_store.is_damaged = False
    outcome_log.expect("broken", "not clean", holds=checked_store.do("scan").clean)
    outcome_log.expect("broken", "recover changed them", holds=checked_store.do("read") == records)


def _imported(store: PersistenceBackend) -> list[Record]:
    with MemoryBackend() as copy:
        import_store(store, copy)
        return copy.read()


def _damaged(written: list[Written]) -> Iterator[Tile]:
    """Yield the tiles of one line that is damaged, at random."""
    first, second = _any_of(written), _any_of(written)
    head, tail = written[first].text, written[second].text
    begin, end = random.choice(_objects(head)) if random.random() < 0.3 else _two_places(head)
    way = random.choice(
        ("torn", "joined", "cut", "overwritten", "overwritten", "lifted", "unsealed")
    )
    if way == "lifted":  # with a line's end before it and behind it
        yield Tile(first, begin, head[begin:end])
        yield Tile.strange(random.choice((b"\n", b"\n", b"\0\n", b" \r\n")))
        return
    if way == "unsealed":  # its id and checksum torn off
        yield Tile(first, 0, head.partition(b',"_id"')[0])
        yield Tile.strange(random.choice((b"}\n", b"}", b"\n")))
    elif way == "torn":
        yield Tile(first, 0, head[:end])
        yield Tile.strange(random.choice((b"\n", b"", b"\0\0\n", b"junk\n", b"}\n", b",\n")))
    elif way == "joined":
        yield Tile(first, 0, head[: random.choice((end, len(head) - 1))])
        yield Tile(second, 0, tail)
    elif way == "cut":
        start = random.randrange(len(tail))
        yield Tile(first, 0, head[:begin])
        yield random.choice((Tile(first, end, head[end:]), Tile(second, start, tail[start:])))
    else:
        at = random.choice((begin, end))
        length = random.choice((1, 1, 2, end - begin))
        yield Tile(first, 0, head[:at])
        yield _over(written[second], second, length)
        yield Tile(first, at + length, head[at + length :])


def _any_of(written: list[Written]) -> int:
    """Return the number of a line; half of them wrap others, or look like them."""
    return random.randrange(_WRAPPING if random.random() < 0.5 else len(written))


def _over(other: Written, line: int, length: int) -> Tile:
    """Return what stands where bytes were overwritten."""
    if random.random() < 0.3:
        start, _ = _two_places(other.text)
        return Tile(line, start, other.text[start : start + length])
    strange = random.choice((b"\n", b"\0", b" ", b'"', b"}", b"7", random.randbytes(length or 1)))
    return Tile.strange((strange * length)[:length])


def _two_places(text: bytes) -> tuple[int, int]:
    """Return two places in *text*, often where its structure is."""
    first, second = sorted((_place(text), _place(text)))
    return first, second


def _place(text: bytes) -> int:
    if random.random() < 0.5:
        return random.randrange(len(text))
    marks = [at for at, byte in enumerate(text) if byte in b'{}[],:"\n']
    return min(random.choice(marks) + random.randrange(2), len(text) - 1)


@cache
def _objects(text: bytes) -> list[tuple[int, int]]:
    """Return where the objects within *text* begin and end, that of the whole line included."""
    characters = text.decode("latin-1")
    found = []
    at = 0
    while (at := characters.find("{", at)) >= 0:
        with suppress(ValueError):
            _, end = json.JSONDecoder().raw_decode(characters, at)
            found.append((at, end))
        at += 1
    return found


def _classify(
    records: list[Record],
    mosaics: list[Mosaic],
    outcome_log: OutcomeLog,
    found: Counter[str],
    *,
    once: bool,
) -> None:
    """Find the bytes that each record was read from, and say by what right it was."""
    spans: dict[str, list[str]] = defaultdict(list)
    whole: Counter[str] = Counter()
    for mosaic in mosaics:
        for span in mosaic.objects():
            spans[_key(span.value)].append(_right_of(span, mosaic))
        whole.update(_key(json.loads(line)) for line in mosaic.whole_lines())
    for record in records:
        rights = spans[_key(_value(record))]
        rights.sort(key=lambda right: (right != "written", right not in _PRETENDERS))
        right = rights.pop(0) if rights else "bytes that stand nowhere"
        found[right] += 1
        outcome_log.expect(
            "glued", f"{right}: {record!r}", holds=right in {"written", *_PRETENDERS}
        )
    there = Counter(_key(_value(record)) for record in records)
    for key, times in whole.items():
        # 0.3.0's are known by their contents in rotated sets.
        least = 1 if once or '"_id"' in key else times
        outcome_log.expect("lost", key, holds=there[key] >= least)
    for key, times in there.items():
        outcome_log.expect("duplicated", key, holds='"_id"' not in key or times == 1)


def _right_of(span: Span, mosaic: Mosaic) -> str:  # noqa: PLR0911  a rule each
    """Return why a record may be read from *span*, or what it would be if it were."""
    line = span.line
    if mosaic.is_written(span):
        return "written"
    if line is None:
        return "strange bytes"
    if "_id" in span.value or "_crc" in span.value:
        if not line.is_own or not span.is_intact:
            return "a wrong checksum"
        return "sealed" if span.is_first or not span.goes_on else "a part of what goes on behind it"
    if span.goes_on:
        return "a part of what goes on behind it"
    if not _SHAPES.get(span.value["kind"], {"no such kind"}) <= span.value.keys():
        return "without the whole shape"
    if not line.is_own:
        return "changed" if span.offset < _BEGUN else "nested"
    if mosaic.content.startswith(b'{"kind":"', span.start) and span.offset == 0:
        return "one of papyra's without its checksum"
    return "alone" if span.is_alone else "from within one of papyra's"


def _value(record: Record) -> dict[str, Any]:
    """Return the object that *record* is read from, without its checksum."""
    value = {"kind": record.kind, "timestamp": record.timestamp, **record.data}
    return value if record.id is None else value | {"_id": record.id}


def _key(value: dict[str, Any]) -> str:
    """Return what two objects have in common that are the same record."""
    return json.dumps({k: v for k, v in value.items() if k != "_crc"}, sort_keys=True)


def _shaped(line: bytes) -> bool:
    try:
        value = json.loads(line)
        return bool(_SHAPES[value["kind"]] <= value.keys())
    except (ValueError, LookupError, TypeError):
        return False
