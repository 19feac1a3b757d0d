"""underlay6, prefix6 and bridge6."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import locations, missing_facts, split_mark

from dockmesh.core.inventory import parse
from dockmesh.core.model import Host
from dockmesh.errors import InventoryError, Problem

V4 = "address: 192.168.0.1, prefix: 10.9.0.0/24"


def host(keys: str) -> Host:
    return parse(f"hosts: {{ a: {{ {V4}, {keys} }} }}", file="mesh.yml").hosts[0]


def problems(*hosts: str) -> tuple[Problem, ...]:
    text = "hosts:\n" + "".join(f"  {line}\n" for line in hosts)
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("prefix", "bridge"),
    [("fd00:9::/56", "fd00:9::1/64"), ("fd00:9::/64", "fd00:9::1/64"), ("2001:db8::/80", "2001:db8::1/80")],
)
def test_docker0_has_the_first_address_of_the_prefix_and_no_more_than_a_64(prefix: str, bridge: str) -> None:
    found = host(f"underlay6: 'fd00::1', prefix6: '{prefix}'").ipv6
    assert found
    assert str(found.bridge) == bridge


def test_a_bridge_may_be_another_one() -> None:
    found = host("underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: fd00:9:0:7::7/64").ipv6
    assert found
    assert str(found.bridge) == "fd00:9:0:7::7/64"


def test_without_underlay6_a_host_has_no_part_in_it() -> None:
    assert parse(f"hosts: {{ a: {{ {V4} }} }}", file="").hosts[0].ipv6 is None


def test_a_host_without_docker_needs_no_prefix_to_get_the_routes() -> None:
    found = parse("hosts: { a: { address: 192.168.0.1, underlay6: fd00::1, docker: false } }", file="").hosts[0].ipv6
    assert found
    assert (found.prefix, found.bridge) == (None, None)


@pytest.mark.parametrize(
    ("keys", "code", "facts"),
    [
        ("prefix6: «fd00:9::/56", "missing-key", "a prefix6 underlay6"),
        ("underlay6: «fd00::1", "missing-key", "a underlay6 prefix6"),
        ("underlay6: fd00::1, bridge6: «fd00:9::1/64", "missing-key", "a bridge6 prefix6 fd00:9::/64"),
        ("underlay6: «fe80::1, prefix6: fd00:9::/56", "unroutable", "underlay6 fe80::1"),
        ("underlay6: «fd00::1/64, prefix6: fd00:9::/56", "bad-address", "underlay6 fd00::1/64 fd00::1"),
        ("underlay6: «fe80::1%eth0, prefix6: fd00:9::/56", "bad-address", "underlay6 fe80::1%eth0 interface"),
        ("underlay6: «10.0.0.1, prefix6: fd00:9::/56", "bad-address", "underlay6 10.0.0.1"),
        ("underlay6: fd00::1, prefix6: «fd00:9::1/56", "host-bits", "prefix6 fd00:9::1/56 fd00:9::/56"),
        ("underlay6: fd00::1, prefix6: «'fd00:9::'", "missing-length", "prefix6 fd00:9:: fd00:9::/64"),
        ("underlay6: fd00::1, prefix6: «ff00::/16", "unroutable", "prefix6 ff00::/16 ff00::/8"),
        ("underlay6: fd00::1, prefix6: «fd00::/8", "bad-length", "prefix6 fd00::/8 /16 /112"),
        ("underlay6: fd00::1, prefix6: «fd00:9::/120", "bad-length", "prefix6 fd00:9::/120 /16 /112"),
        ("underlay6: fd00::1, prefix6: «10.9.0.0/24", "bad-prefix", "prefix6 10.9.0.0/24"),
        (
            "underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: «fd00:9::/64",
            "network-address",
            "bridge6 fd00:9::/64 fd00:9::1/64",
        ),
        (
            "underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: «fd00:8::1/64",
            "outside-prefix",
            "bridge6 fd00:8::1/64 a prefix6 fd00:9::/56",
        ),
        (
            "underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: «fd00:9::1/48",
            "wider-than-prefix",
            "bridge6 fd00:9::1/48 a prefix6 fd00:9::/56",
        ),
    ],
)
def test_what_is_wrong_has_a_code_and_a_place(keys: str, code: str, facts: str) -> None:
    line, place = split_mark(f"hosts:\n  a: {{ {V4}, {keys} }}")
    found = problems(line.splitlines()[1].strip())
    assert locations(found) == [f"{place} {code}"]
    assert missing_facts(found[0].message, facts) == []


def test_no_two_hosts_share_an_address_or_a_prefix_of_ipv6_and_none_lies_in_anothers() -> None:
    found = problems(
        "a: { address: 192.168.0.1, prefix: 10.1.0.0/24, underlay6: fd00::1, prefix6: fd00:1::/56 }",
        "b: { address: 192.168.0.2, prefix: 10.2.0.0/24, underlay6: fd00::1, prefix6: fd00:1::/64 }",
        "c: { address: 192.168.0.3, prefix: 10.3.0.0/24, underlay6: 'fd00:1::9', prefix6: fd00:3::/64 }",
    )
    assert locations(found) == [
        "2:80 covers-underlay",
        "3:62 duplicate",
        "3:80 overlap",
        "3:80 covers-underlay",
    ]
    for each, facts in zip(
        found,
        [
            "prefix fd00:1::/56 a fd00:1::9 c",
            "underlay6 fd00::1 a b",
            "prefix fd00:1::/64 b fd00:1::/56 a",
            "prefix fd00:1::/64 b fd00:1::9 c",
        ],
        strict=True,
    ):
        assert missing_facts(each.message, facts) == []


@given(st.text(alphabet="0123456789abcdef:/%.", max_size=24))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    told = []
    try:
        host(f"underlay6: '{text}', prefix6: fd00:9::/56")
    except InventoryError as error:
        told = [each.message for each in error.problems]
    assert all("underlay" in each for each in told)
