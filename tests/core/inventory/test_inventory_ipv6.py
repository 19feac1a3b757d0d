"""underlay6, prefix6 and bridge6."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.inventory import parse
from dockmesh.core.model import Host
from dockmesh.errors import InventoryError

V4 = "address: 192.168.0.1, prefix: 10.9.0.0/24"


def host(keys: str) -> Host:
    return parse(f"hosts: {{ a: {{ {V4}, {keys} }} }}", file="mesh.yml").hosts[0]


def problems(*hosts: str) -> list[str]:
    text = "hosts:\n" + "".join(f"  {line}\n" for line in hosts)
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    return [f"{each.line}:{each.column}: {each.message}" for each in caught.value.problems]


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
    ("keys", "said"),
    [
        ("prefix6: fd00:9::/56", "a has a prefix6 and no underlay6"),
        ("underlay6: fd00::1", "a has an underlay6 and no prefix6"),
        ("underlay6: fd00::1, bridge6: fd00:9::1/64", "a has a bridge6 but no prefix6"),
        ("underlay6: fe80::1, prefix6: fd00:9::/56", "fe80::1 is link-local"),
        ("underlay6: fd00::1/64, prefix6: fd00:9::/56", "an address has no length: fd00::1"),
        ("underlay6: fe80::1%eth0, prefix6: fd00:9::/56", "an interface has no place in it"),
        ("underlay6: 10.0.0.1, prefix6: fd00:9::/56", "is not an IPv6 address"),
        ("underlay6: fd00::1, prefix6: fd00:9::1/56", "has host bits set; did you mean fd00:9::/56?"),
        ("underlay6: fd00::1, prefix6: 'fd00:9::'", "lacks its length"),
        ("underlay6: fd00::1, prefix6: ff00::/16", "multicast"),
        ("underlay6: fd00::1, prefix6: fd00::/8", "is none that a host can have"),
        ("underlay6: fd00::1, prefix6: fd00:9::/120", "is none that a host can have"),
        ("underlay6: fd00::1, prefix6: 10.9.0.0/24", "is not a prefix of IPv6"),
        (
            "underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: fd00:9::/64",
            "address of all routers there; did you mean fd00:9::1/64?",
        ),
        ("underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: fd00:8::1/64", "is outside its prefix6 fd00:9::/56"),
        ("underlay6: fd00::1, prefix6: fd00:9::/56, bridge6: fd00:9::1/48", "is wider than its prefix6"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_meant(keys: str, said: str) -> None:
    (told,) = problems(f"a: {{ {V4}, {keys} }}")
    assert said in told


def test_no_two_hosts_share_an_address_or_a_prefix_of_ipv6_and_none_lies_in_anothers() -> None:
    told = problems(
        "a: { address: 192.168.0.1, prefix: 10.1.0.0/24, underlay6: fd00::1, prefix6: fd00:1::/56 }",
        "b: { address: 192.168.0.2, prefix: 10.2.0.0/24, underlay6: fd00::1, prefix6: fd00:1::/64 }",
        "c: { address: 192.168.0.3, prefix: 10.3.0.0/24, underlay6: 'fd00:1::9', prefix6: fd00:3::/64 }",
    )
    assert [each.split(": ", 1)[1] for each in told] == [
        "prefix fd00:1::/56 of a covers underlay fd00:1::9 of c: its peers would lose their next hop",
        "underlay6 fd00::1 of b is that of a already",
        "prefix fd00:1::/64 of b overlaps prefix fd00:1::/56 of a",
        "prefix fd00:1::/64 of b covers underlay fd00:1::9 of c: its peers would lose their next hop",
    ]


@given(st.text(alphabet="0123456789abcdef:/%.", max_size=24))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    told = []
    try:
        host(f"underlay6: '{text}', prefix6: fd00:9::/56")
    except InventoryError as error:
        told = [each.message for each in error.problems]
    assert all("underlay" in each for each in told)
