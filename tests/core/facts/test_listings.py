"""Listings of different hosts share their equal lines, and read like the lines of each host alone."""

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.facts.listings import Listing

LINES = st.lists(st.sampled_from([f"{number} {'x' * (number * 37 % 300)}" for number in range(24)] + [""]), max_size=40)


@given(st.lists(LINES, max_size=6))
def test_rows_are_those_of_the_lines(texts: list[list[str]]) -> None:
    listing = Listing(str.upper)
    for lines in texts:
        assert listing.rows("\n".join(lines)) == tuple(line.upper() for line in lines if line)


def test_known_lines_are_not_parsed_again() -> None:
    parsed: list[str] = []
    listing = Listing(parsed.append)
    every = [f"10.{number}.0.0/16" for number in range(200)]
    listing.rows("\n".join(every[1:]))
    parsed.clear()
    for own in range(200):
        listing.rows("\n".join([*every[:own], f"own {own}", *every[own + 1 :]]))
    assert [line for line in parsed if line in every] == [every[0]] * 199
    assert len(parsed) == 199 + 200


def test_the_longest_listing_stays_known() -> None:
    parsed: list[str] = []
    listing = Listing(parsed.append)
    every = list(map(str, range(100)))
    for lines in (["default"], every, ["default"]):
        listing.rows("\n".join(lines))
    parsed.clear()
    listing.rows("\n".join(every[1:]))
    assert parsed == []
