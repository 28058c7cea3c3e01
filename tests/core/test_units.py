"""Durations and sizes as people write them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papyra import units

TIMES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SIZES = {"": 1, "B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)
}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("7s", 7.0),
        ("0.5", 0.5),
        ("250ms", 0.25),
        ("30m", 1800.0),
        ("1.5h", 5400.0),
        ("7d", 604_800.0),
        ("2w", 1_209_600.0),
    ],
)
def test_a_duration_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds
    assert isinstance(units.duration(text), float)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("67108864", 67_108_864),
        ("10B", 10),
        ("500MB", 500_000_000),
        ("500mb", 500_000_000),
        ("64MiB", 67_108_864),
        ("2GiB", 2_147_483_648),
        ("2gib", 2_147_483_648),
        ("1.5KiB", 1536),
        ("1.1GB", 1_100_000_000),
        ("0.0001kB", 0),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    assert units.size(text) == size


NONSENSE = [
    "", " ", "-1", "+1", " 7", "7 ", "7 d", "d", ".5", "5.", "1.2.3", "1e3", "1_000", "0x10", "inf", "nan",
    "7dd", "7x", "7k", "7K", "7M", "7G", "7Ki", "٣", "\uff17", "7\n", "9" * 31, "1,5", "7d3h",
]  # fmt: skip


@pytest.mark.parametrize("text", [*NONSENSE, "7D", "30M", "7MB", "1H", "1min", "1month"])
def test_what_is_not_a_duration_is_refused_with_the_list_of_units(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be seconds .* one of ms, s, m, h, d, w "):
        units.duration(text)


@pytest.mark.parametrize("text", [*NONSENSE, "7d", "1.5", "1.5B", "7bit", "7iB"])
def test_what_is_not_a_size_is_refused_with_the_list_of_units(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be .* one of B, kB, MB, GB, TB, KiB, MiB, GiB, "):
        units.size(text)


@pytest.mark.parametrize("text", [*NONSENSE, "7B", "7s", "1.0"])
def test_a_number_of_records_has_no_unit(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a whole number from 0 on$"):
        units.whole_number(text)
    assert units.whole_number("007") == 7


@given(
    whole=st.integers(0, 10**12),
    decimals=st.text("0123456789", max_size=6),
    time=st.sampled_from(sorted(TIMES)),
    unit=st.sampled_from(sorted(SIZES)),
)
def test_decimals_are_exact(whole: int, decimals: str, time: str, unit: str) -> None:
    text = f"{whole}.{decimals}" if decimals else str(whole)

    assert units.duration(text + time) == float(Fraction(text) * TIMES[time])
    if decimals and SIZES[unit] == 1:
        with pytest.raises(ValueError, match="must be"):
            units.size(text + unit)
    else:
        assert units.size(text + unit) == Fraction(text) * SIZES[unit] // 1
