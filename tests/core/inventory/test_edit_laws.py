"""Whatever an inventory looks like, prefixes written into it are all that is new."""

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
def keys(draw: st.DrawFn, number: int, ways: list[str]) -> list[str]:
    """The keys of a host, which has addresses, each written in one of `ways`, and others in any order."""
    places = [f"address: {draw(st.sampled_from(ways))}".replace("VALUE", f"10.0.0.{number}")]
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


def allocate_prefixes(text: str) -> str:
    document = yaml_reader.read(text, file="mesh.yml")
    fleet = fleet_of(document, prefixes_required=False)
    return with_allocations([text], [document], fleet, allocate(fleet, fleet.hosts, file="mesh.yml"))[0]


@settings(max_examples=200)
@given(inventories())
def test_the_text_means_the_same_fleet_with_prefixes_and_is_the_old_one_without_them(text: str) -> None:
    fleet = parse(text, file="mesh.yml", prefixes_required=False)
    drawn, after = allocate(fleet, fleet.hosts, file="mesh.yml"), allocate_prefixes(text)
    assert parse(after, file="mesh.yml") == with_prefixes(fleet, drawn)
    for each in drawn:
        after, count = _without(f"prefix: {each.prefix}", after)
        assert count == 1
    assert after == text


@given(inventories())
def test_what_has_all_its_prefixes_stays_as_it_is(text: str) -> None:
    assert allocate_prefixes(after := allocate_prefixes(text)) == after


def _without(entry: str, text: str) -> tuple[str, int]:
    """The text less an entry, be it amid braces, on a line or on an unended last one; and how often it was there."""
    ending, entry = "(?:\r\n|\r|\n)", re.escape(entry)
    return re.subn(f", {entry}|(?<=[\r\n]) *{entry}{ending}|{ending} *{entry}$", "", text)
