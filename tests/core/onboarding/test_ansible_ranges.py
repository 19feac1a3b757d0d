"""Ansible's ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.core.onboarding.ansible_ranges import MOST, expand
from dockmesh.errors import InvalidValueError


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
    ("pattern", "code", "facts"),
    [
        ("web[1:3", "unbalanced-bracket", ""),
        ("web1:3]", "unbalanced-bracket", ""),
        ("web[1]", "bad-range", "[1]"),
        ("web[1:2:3:4]", "bad-range", "[1:2:3:4]"),
        ("web[01:3]", "unequal-digits", "[01:3]"),
        ("web[3:1]", "reversed-range", "[3:1]"),
        ("web[c:a]", "reversed-range", "[c:a]"),
        ("web[a:3]", "bad-range", "[a:3]"),
        ("web[1:]", "bad-range", "[1:]"),
        ("web[1:9:0]", "bad-step", "[1:9:0]"),
        ("web[1:9:x]", "bad-step", "[1:9:x]"),
        ("web[٣:٤]", "bad-range", "[٣:٤]"),
        (f"web[0:{MOST}]", "too-large", "10,000"),
        ("w[1:999]-[1:999]-[1:9999999]", "too-large", "10,000"),
    ],
)
def test_what_is_no_range_has_a_code(pattern: str, code: str, facts: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        expand(pattern)
    assert refused.value.code == code
    assert missing_facts(str(refused.value), f"'{pattern}' {facts}") == []


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 7), st.integers(1, 4))
def test_a_range_of_numbers_counts_as_python_does(first: int, more: int, step: int, width: int) -> None:
    ends = (f"{first:0{width}d}", f"{first + more:0{width}d}")
    if len({*map(len, ends)}) == 1:
        padded = width if len(ends[0]) > 1 and ends[0].startswith("0") else 0
        wanted = [f"x{number:0{padded}d}" for number in range(first, first + more + 1, step)]
        assert expand(f"x[{ends[0]}:{ends[1]}:{step}]") == wanted
