"""What is said about a host that is wrong by itself."""

import pytest
from refusals import MARK, locations, missing_facts, split_mark

from dockmesh.core.inventory import parse
from dockmesh.errors import InventoryError, Problem

BEFORE = {"underlay": "address: web, docker: no, ", "prefix": "address: 10.0.0.1, "}


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("keys", "code", "facts"),
    [
        ("docker: no", "missing-key", "a address"),
        ("address: «10.0.0.256, docker: no", "bad-address", "address 10.0.0.256"),
        ("address: «10.0.0.1/24, docker: no", "bad-address", "address 10.0.0.1/24"),
        ("address: «root@10.0.0.1, docker: no", "bad-address", "address root@10.0.0.1 user port"),
        ("address: «'fe80::1', docker: no", "wrong-family", "address fe80::1"),
        ("address: «web, docker: no", "missing-key", "web a underlay"),
        ("address: «127.0.0.1, docker: no", "unroutable", "address 127.0.0.1 underlay"),
        ("underlay: «169.254.0.1", "unroutable", "underlay 169.254.0.1"),
        ("underlay: «224.0.0.1", "unroutable", "underlay 224.0.0.1"),
        ("underlay: «0.0.0.0", "unroutable", "underlay 0.0.0.0"),
        ("underlay: «255.255.255.255", "unroutable", "underlay 255.255.255.255"),
        ("underlay: «10.0.0.1/24", "bad-address", "underlay 10.0.0.1/24 10.0.0.1"),
        ("underlay: «web", "bad-address", "underlay web"),
        ("address: 10.0.0.1, prefix: «10.9.0.5/24", "host-bits", "prefix 10.9.0.5/24 10.9.0.0/24"),
        ("address: 10.0.0.1, prefix: «10.9.0.0", "missing-length", "prefix 10.9.0.0 10.9.0.0/24"),
        ("prefix: «10.9.0.0/255.255.255.0", "bad-prefix", "prefix 10.9.0.0/255.255.255.0"),
        ("prefix: «10.9.0.0/31", "bad-length", "prefix 10.9.0.0/31 /30"),
        ("prefix: «0.0.0.0/0", "bad-length", "prefix 0.0.0.0/0 /8"),
        ("prefix: «127.1.0.0/16", "unroutable", "prefix 127.1.0.0/16 127.0.0.0/8"),
        ("prefix: «0.1.0.0/16", "unroutable", "prefix 0.1.0.0/16 0.0.0.0/8"),
        ("prefix: «239.0.0.0/8", "unroutable", "prefix 239.0.0.0/8 224.0.0.0/4"),
        ("prefix: «'fd00::/64'", "wrong-family", "prefix fd00::/64 prefix6"),
        ("underlay: «fd00::1", "wrong-family", "underlay fd00::1 underlay6"),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: «'fd00::1/64'",
            "wrong-family",
            "bridge fd00::1/64 bridge6",
        ),
        ("prefix: «10.0.0.0/24", "covers-underlay", "prefix 10.0.0.0/24 a 10.0.0.1"),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: «10.8.0.1/24",
            "outside-prefix",
            "bridge 10.8.0.1/24 a 10.9.0.0/24",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: «10.9.0.1/16",
            "wider-than-prefix",
            "bridge 10.9.0.1/16 a 10.9.0.0/24",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: «10.9.0.0/24",
            "network-address",
            "bridge 10.9.0.0/24 10.9.0.1/24",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: «10.9.0.255/24",
            "broadcast-address",
            "bridge 10.9.0.255/24 10.9.0.1/24",
        ),
        ("address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: «10.9.0.1", "missing-length", "bridge 10.9.0.1 10.9.0.1/24"),
        ("prefix: 10.9.0.0/24, bridge: «10.9.0.1/31", "bad-length", "bridge 10.9.0.1/31 /30"),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, docker: no, bridge: «10.9.0.1/24",
            "bridge-without-docker",
            "a bridge docker",
        ),
        ("address: 10.0.0.1, docker: no, tags: «x", "wrong-type", "tags [rack1]"),
        ("address: 10.0.0.1, docker: no, tags: [«-x]", "bad-tag", "tags '-x'"),
    ],
)
def test_what_is_wrong_with_a_host_has_a_code_and_a_place(keys: str, code: str, facts: str) -> None:
    host = "«a" if MARK not in keys else "a"
    text, place = split_mark(f"hosts: {{{host}: {{{BEFORE.get(keys.partition(':')[0], '')}{keys}}}}}")
    found = problems(text)
    assert locations(found) == [f"{place} {code}"]
    assert missing_facts(found[0].message, facts) == []


def test_a_bridge_needs_a_prefix() -> None:
    found = problems("hosts: {a: {address: 10.0.0.1, bridge: 10.9.0.1/24}}")
    assert locations(found) == ["1:9 missing-key", "1:40 missing-key"]
    assert missing_facts(found[0].message, "a prefix") == []
    assert missing_facts(found[1].message, "a bridge prefix 10.9.0.0/24") == []
