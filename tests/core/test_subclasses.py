"""Values of subclasses are what they hold, whatever their own methods say: what is accepted can be read."""

import math
from collections import Counter, OrderedDict, defaultdict
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, cast

import pytest

from papyra import MemoryBackend, Record, RecordError
from papyra.format import codec


class _Money(float):
    def __sub__(self, other: object) -> float:
        raise TypeError("no minus for money")


class _Quiet(float):
    def __sub__(self, other: object) -> float:
        return 0.0


class _Text(str):
    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"fine"

    def __len__(self) -> int:
        return 3


class _List(list[Any]):
    def __iter__(self) -> Any:
        return iter([9])

    def __len__(self) -> int:
        return 0


class _Tuple(tuple[Any, ...]):
    __slots__ = ()

    def __iter__(self) -> Any:
        return iter([9])


class _Shown(dict[str, Any]):
    def items(self) -> Any:
        return [("other", 1)]


class _Hidden(dict[str, Any]):
    def __iter__(self) -> Any:
        return iter(())

    def values(self) -> Any:
        return []


class _Level(IntEnum):
    HIGH = 3

    def __str__(self) -> str:
        return "high"


class _Colour(StrEnum):
    RED = "red"


class _Point(NamedTuple):
    x: int
    y: int


ordered = OrderedDict([("a", 1), ("b", 2)])
ordered.move_to_end("a")

HELD: list[tuple[Any, Any]] = [
    (_Money(1.5), 1.5),
    (_Text("text"), "text"),
    (_List([1, 2]), [1, 2]),
    (_Tuple((1, 2)), [1, 2]),
    (_Shown(a=1), {"a": 1}),
    (_Hidden(a=1), {"a": 1}),
    (_Level.HIGH, 3),
    (_Colour.RED, "red"),
    (_Point(1, 2), [1, 2]),
    (Counter("aab"), {"a": 2, "b": 1}),
    (defaultdict(int, a=1), {"a": 1}),
    (ordered, {"b": 2, "a": 1}),
]

#: What no JSON can hold, hidden by a method, and where it is.
REFUSED: list[tuple[Any, str]] = [
    (_Quiet(math.nan), "data['v']"),
    (_Quiet(math.inf), "data['v']"),
    (_Text("a\ud800"), "data['v']"),
    (_List([math.nan]), "data['v'][0]"),
    (_Tuple((object(),)), "data['v'][0]"),
    (_Shown(a=object()), "data['v']['a']"),
    (_Hidden(a=math.nan), "data['v']['a']"),
    (_Hidden(cast("dict[str, Any]", {1: 1})), "data['v']"),
]


@pytest.fixture(params=["orjson", "the standard library"], autouse=True)
def _encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "the standard library":
        monkeypatch.setattr(codec, "orjson", None)


@pytest.mark.parametrize(("value", "held"), HELD)
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_value_holds_is_stored_and_read(value: Any, held: Any, *, nested: bool) -> None:
    store = MemoryBackend()
    store.append(Record("event", data={"v": [value] if nested else value}))
    (found,) = store.read()
    assert found.data == {"v": [held] if nested else held}
    if isinstance(held, dict):
        inner = found.data["v"][0] if nested else found.data["v"]
        assert list(inner) == list(held)


@pytest.mark.parametrize(("value", "path"), REFUSED)
def test_what_no_json_can_hold_is_refused_wherever_it_hides(value: Any, path: str) -> None:
    store = MemoryBackend()
    with pytest.raises(RecordError) as refused:
        store.append(Record("event", data={"v": value}))
    assert refused.value.path == path
    assert store.read() == []


def test_data_of_a_subclass_is_what_it_holds() -> None:
    store = MemoryBackend()
    store.append(Record("event", data=_Shown(a=1)))
    assert store.read()[0].data == {"a": 1}
    with pytest.raises(RecordError, match="reserved at its top level: kind"):
        Record("event", data=_Hidden(kind=1))
    with pytest.raises(RecordError, match="lone surrogate"):
        store.append(Record("event", data={_Text("a\ud800"): 1}))


@pytest.mark.parametrize("kind", [_Text(""), _Text("e" * 300)], ids=["none", "300"])
def test_a_kind_is_as_long_as_its_characters(kind: str) -> None:
    with pytest.raises(RecordError, match="a string of 1 to 255 characters"):
        Record(kind)
    store = MemoryBackend()
    with pytest.raises(RecordError, match="lone surrogate"):
        store.append(Record(_Text("a\ud800")))
    store.append(Record(_Colour.RED))
    assert store.read(kind="red")[0].kind == "red"
