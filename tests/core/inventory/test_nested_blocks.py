"""The sweep for nested prefixes, against a comparison of all pairs."""

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.inventory.validate import nested_blocks


@given(st.lists(st.tuples(st.integers(0, 2**8 - 1), st.integers(24, 32)), max_size=40))
def test_the_sweep_finds_exactly_the_nested_pairs(drawn: list[tuple[int, int]]) -> None:
    blocks = list(dict.fromkeys(IPv4Network((0x0A000000 + at, length), strict=False) for at, length in drawn))
    every = range(len(blocks))
    expected = {(o, i) for o in every for i in every if o != i and blocks[i].subnet_of(blocks[o])}
    found = list(nested_blocks(blocks))
    assert set(found) == expected
    assert len(found) == len(expected)
