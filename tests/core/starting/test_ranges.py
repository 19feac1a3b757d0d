"""Ansible's ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.starting.ranges import MOST, expand


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web1", ["web1"]),
        ("web[01:03].example.com", ["web01.example.com", "web02.example.com", "web03.example.com"]),
        ("web[8:10]", ["web8", "web9", "web10"]),
        ("db-[a:c]", ["db-a", "db-b", "db-c"]),
        ("db-[y:A]", ["db-y", "db-z", "db-A"]),
        ("n[0:10:5]", ["n0", "n5", "n10"]),
        ("n[:2]", ["n0", "n1", "n2"]),
        ("r[1:2]-[a:b]", ["r1-a", "r1-b", "r2-a", "r2-b"]),
    ],
)
def test_a_range_stands_for_its_names_both_ends_among_them(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("web[1:3", "has a bracket without its other half"),
        ("web1:3]", "has a bracket without its other half"),
        ("web[1]", "is no range: write it as"),
        ("web[1:2:3:4]", "is no range: write it as"),
        ("web[01:3]", "both ends need as many digits"),
        ("web[3:1]", "ends before it begins"),
        ("web[c:a]", "ends before it begins"),
        ("web[a:3]", "is no range of numbers or single letters"),
        ("web[1:]", "is no range of numbers or single letters"),
        ("web[1:9:0]", "the step is a number from 1 on"),
        ("web[1:9:x]", "the step is a number from 1 on"),
        ("web[٣:٤]", "is no range: write it as"),
        (f"web[0:{MOST}]", "stands for more than 10,000 hosts"),
        ("w[1:999]-[1:999]-[1:9999999]", "stands for more than 10,000 hosts"),
    ],
)
def test_what_is_no_range_is_told(pattern: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^\[|'") as refused:
        expand(pattern)
    assert told in str(refused.value)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 7), st.integers(1, 4))
def test_a_range_of_numbers_counts_as_python_does(first: int, more: int, step: int, width: int) -> None:
    ends = (f"{first:0{width}d}", f"{first + more:0{width}d}")
    if len({*map(len, ends)}) == 1:
        padded = width if len(ends[0]) > 1 and ends[0].startswith("0") else 0
        wanted = [f"x{number:0{padded}d}" for number in range(first, first + more + 1, step)]
        assert expand(f"x[{ends[0]}:{ends[1]}:{step}]") == wanted
