"""Laws of the insertion: prefixes are the only change, in an inventory of any layout."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from dockmesh.core.allocation.prefixes import allocate, with_allocations, with_prefixes
from dockmesh.core.inventory import fleet_of, parse, yaml_reader

HEAD = "connection: &shared {user: root}\nmesh: {pool: 10.128.0.0/12, prefix_length: 20}\n"
COMMENTS = st.sampled_from(["", " # why", "   # {prefix: é𝒳, *a : [", " #"])
ONE_LINE = ["VALUE", "'VALUE'", '"VALUE"', "!!str VALUE", "&NUMBER VALUE", "! 'VALUE'"]
SEVERAL_LINES = [">-\n      VALUE", "|-\n      VALUE\n", "\n      VALUE", "\n\n      'VALUE'"]
OTHERS = ["docker: no", "prefix: 10.9.NUMBER.0/24", "<<: *shared", "tags: [x, y]", "port: '22'"]
GAPS = st.sampled_from(["", " ", "\n      ", "  # c\n      "])


@st.composite
def keys(draw: st.DrawFn, number: int, layouts: list[str]) -> list[str]:
    """The keys of a host in any order: its addresses, each in one of `layouts`, and others."""
    places = [f"address: {draw(st.sampled_from(layouts))}".replace("VALUE", f"10.0.0.{number}")]
    if draw(st.booleans()):
        places = [f"address: h{number}.example", places[0].replace("address", "underlay")]
    others = draw(st.lists(st.sampled_from(OTHERS), unique=True, max_size=3))
    return [key.replace("NUMBER", str(number)) for key in draw(st.permutations([*places, *others]))]


@st.composite
def blocks(draw: st.DrawFn, number: int) -> str:
    lines = [key if "\n" in key else key + draw(COMMENTS) for key in draw(keys(number, ONE_LINE + SEVERAL_LINES))]
    return "\n    ".join((draw(COMMENTS), *lines))


@st.composite
def braces(draw: st.DrawFn, number: int) -> str:
    gap = draw(GAPS)
    inside = f"{gap}, ".join(draw(keys(number, ONE_LINE)))
    return f" {{{gap}{inside}{gap}}}{draw(COMMENTS)}"


@st.composite
def inventories(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=6))
    hosts = (f"  {name}:{draw(blocks(at) | braces(at))}\n" for at, name in enumerate(names, 1))
    text = f"{HEAD}hosts:\n{''.join(hosts)}"
    text = text if draw(st.booleans()) else text.rstrip("\n")
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))


def allocated(text: str) -> str:
    document = yaml_reader.read(text, file="mesh.yml")
    fleet = fleet_of(document, prefixes_required=False)
    return with_allocations([text], [document], fleet, allocate(fleet, fleet.hosts, file="mesh.yml"))[0]


@settings(max_examples=200)
@given(inventories())
def test_an_insertion_adds_prefixes_and_nothing_else(text: str) -> None:
    fleet = parse(text, file="mesh.yml", prefixes_required=False)
    drawn, after = allocate(fleet, fleet.hosts, file="mesh.yml"), allocated(text)
    assert parse(after, file="mesh.yml") == with_prefixes(fleet, drawn)
    for each in drawn:
        after, count = _without(f"prefix: {each.prefix}", after)
        assert count == 1
    assert after == text


@given(inventories())
def test_an_inventory_with_all_prefixes_stays_unchanged(text: str) -> None:
    assert allocated(after := allocated(text)) == after


def _without(entry: str, text: str) -> tuple[str, int]:
    """The text without an entry, in braces or on its own line, with the number of removed entries."""
    ending, entry = "(?:\r\n|\r|\n)", re.escape(entry)
    return re.subn(f", {entry}|(?<=[\r\n]) *{entry}{ending}|{ending} *{entry}$", "", text)
