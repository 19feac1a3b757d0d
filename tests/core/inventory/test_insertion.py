"""Prefixes put into an inventory's text: whatever its form, nothing else of it changes."""

from difflib import SequenceMatcher
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.inventory import parse
from dockmesh.core.inventory.insertion import insert
from dockmesh.errors import InventoryError

P1, P2 = IPv4Network("10.128.0.0/20"), IPv4Network("10.128.16.0/20")

FORMS = [
    (
        "hosts:\n  a:\n    address: 192.0.2.1  # the first\n    tags: [x]\n",
        "hosts:\n  a:\n    address: 192.0.2.1  # the first\n    prefix: 10.128.0.0/20\n    tags: [x]\n",
    ),
    ("hosts:\n  a:\n    address: 192.0.2.1", "hosts:\n  a:\n    prefix: 10.128.0.0/20\n    address: 192.0.2.1"),
    (
        "hosts:\r\n  a:\r\n    address: 192.0.2.1\r\n",
        "hosts:\r\n  a:\r\n    prefix: 10.128.0.0/20\r\n    address: 192.0.2.1\r\n",
    ),
    ("hosts:\n  a: { address: 192.0.2.1 }\n", "hosts:\n  a: { prefix: 10.128.0.0/20, address: 192.0.2.1 }\n"),
    (
        "hosts: {a: {address: 192.0.2.1, tags: [x]}}",
        "hosts: {a: {address: 192.0.2.1, prefix: 10.128.0.0/20, tags: [x]}}",
    ),
    (
        "\ufeffhosts: {a: {address: 192.0.2.1}}",
        "\ufeffhosts: {a: {prefix: 10.128.0.0/20, address: 192.0.2.1}}",
    ),
]


@pytest.mark.parametrize(("before", "after"), FORMS)
def test_a_prefix_stands_with_the_hosts_other_keys_and_in_their_style(before: str, after: str) -> None:
    assert insert(before, {"a": P1}, file="mesh.yml") == after


def test_a_host_that_merges_an_anchor_gets_a_prefix_of_its_own() -> None:
    text = "hosts:\n  a: &a\n    address: 192.0.2.1\n    port: 22\n  b:\n    <<: *a\n    address: 192.0.2.2\n"
    found = parse(insert(text, {"a": P1, "b": P2}, file="mesh.yml"), file="mesh.yml")
    assert [host.prefix for host in found.hosts] == [P1, P2]


def test_a_host_that_is_an_alias_is_left_to_its_admin() -> None:
    text = "hosts:\n  a: &a {address: 192.0.2.1}\n  b: *a\n"
    with pytest.raises(InventoryError, match=r"mesh\.yml:3:6: b has no keys of its own"):
        insert(text, {"b": P1}, file="mesh.yml")


@given(st.lists(st.sampled_from(["block", "flow", "tags", "comment"]), min_size=1, max_size=12))
def test_nothing_but_the_prefixes_comes_to_a_text_and_it_reads_as_before(styles: list[str]) -> None:
    text = "# fleet\nmesh: {pool: 10.128.0.0/12}\nhosts:\n" + "".join(map(_host, range(len(styles)), styles))
    wanted = {f"h{at}": IPv4Network((0x0A800000 + at * 4096, 20)) for at in range(len(styles))}
    written = insert(text, wanted, file="mesh.yml")
    kinds = {tag for tag, *_ in SequenceMatcher(None, text, written, autojunk=False).get_opcodes()}
    assert kinds <= {"equal", "insert"}
    assert {host.name: host.prefix for host in parse(written, file="mesh.yml").hosts} == wanted


def _host(at: int, style: str) -> str:
    address = f"192.0.2.{at + 1}"
    return {
        "block": f"  h{at}:\n    address: {address}\n",
        "flow": f"  h{at}: {{ address: {address} }}  # flow\n",
        "tags": f"  h{at}: {{ tags: [a, b], address: {address} }}\n",
        "comment": f"  h{at}:   # a host\n    # where it is\n    address: {address}   # here\n    user: root\n",
    }[style]
