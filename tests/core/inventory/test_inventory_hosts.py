"""What is said about a host that is wrong by itself."""

import pytest

from dockmesh.core.inventory import parse
from dockmesh.errors import InventoryError


def problems(text: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    return [str(problem) for problem in caught.value.problems]


def problem(text: str) -> str:
    (only,) = problems(text)
    return only


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("docker: no", "1:9: a has no address"),
        ("address: 10.0.0.256, docker: no", "address '10.0.0.256' is not an IPv4 address"),
        (
            "address: 10.0.0.1/24, docker: no",
            "address '10.0.0.1/24' is neither an IPv4 address nor a host name",
        ),
        ("address: root@10.0.0.1, docker: no", "write user and port as keys of their own"),
        ("address: 'fe80::1', docker: no", "address 'fe80::1' is IPv6, which is not supported yet; use IPv4"),
        ("address: web, docker: no", "1:22: address 'web' of a is a name: write underlay"),
        ("address: 127.0.0.1, docker: no", "address 127.0.0.1 is loopback, which never leaves a host"),
        ("underlay: 169.254.0.1", "underlay 169.254.0.1 is link-local"),
        ("underlay: 224.0.0.1", "underlay 224.0.0.1 is multicast"),
        ("underlay: 0.0.0.0", "underlay 0.0.0.0 is 'this network'"),
        ("underlay: 255.255.255.255", "underlay 255.255.255.255 is reserved"),
        ("underlay: 10.0.0.1/24", "an address has no length: 10.0.0.1"),
        ("underlay: web", "underlay 'web' is not an IPv4 address"),
        (
            "address: 10.0.0.1, prefix: 10.9.0.5/24",
            "prefix 10.9.0.5/24 has host bits set; did you mean 10.9.0.0/24?",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0",
            "prefix 10.9.0.0 lacks its length; write a prefix as 10.9.0.0/24, say",
        ),
        ("prefix: 10.9.0.0/255.255.255.0", "is not a prefix: write it as 10.9.0.0/24"),
        ("prefix: 10.9.0.0/31", "prefix 10.9.0.0/31 is too small: /30 is the longest"),
        ("prefix: 0.0.0.0/0", "prefix 0.0.0.0/0 is too wide: the shortest prefix is /8"),
        ("prefix: 127.1.0.0/16", "prefix 127.1.0.0/16 overlaps 127.0.0.0/8: loopback"),
        ("prefix: 0.1.0.0/16", "prefix 0.1.0.0/16 overlaps 0.0.0.0/8"),
        ("prefix: 239.0.0.0/8", "prefix 239.0.0.0/8 overlaps 224.0.0.0/4: multicast"),
        ("prefix: 'fd00::/64'", "prefix 'fd00::/64' is IPv6, which is not supported yet"),
        ("prefix: 10.0.0.0/24", "prefix 10.0.0.0/24 of a covers underlay 10.0.0.1 of a"),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: 10.8.0.1/24",
            "bridge 10.8.0.1/24 of a is outside its prefix",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: 10.9.0.1/16",
            "bridge 10.9.0.1/16 of a is wider than its prefix",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: 10.9.0.0/24",
            "is the network address; did you mean 10.9.0.1/24?",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: 10.9.0.255/24",
            "is the broadcast address; did you mean 10.9.0.1/24?",
        ),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, bridge: 10.9.0.1",
            "bridge 10.9.0.1 lacks its length; write a bridge as",
        ),
        ("prefix: 10.9.0.0/24, bridge: 10.9.0.1/31", "bridge 10.9.0.1/31 is too small"),
        (
            "address: 10.0.0.1, prefix: 10.9.0.0/24, docker: no, bridge: 10.9.0.1/24",
            "a has a bridge and docker: false",
        ),
        ("address: 10.0.0.1, docker: no, tags: x", "tags is a list, as in [rack1]"),
        ("address: 10.0.0.1, docker: no, tags: [-x]", "tags '-x' is not a tag"),
    ],
)
def test_what_is_wrong_with_a_host_is_said_for_people(keys: str, message: str) -> None:
    given = {"underlay": "address: web, docker: no, ", "prefix": "address: 10.0.0.1, "}.get(keys.partition(":")[0], "")
    assert message in problem(f"hosts: {{a: {{{given}{keys}}}}}")


def test_a_bridge_needs_a_prefix() -> None:
    assert "1:9: a has no prefix" in problems("hosts: {a: {address: 10.0.0.1, bridge: 10.9.0.1/24}}")[0]
    assert "has a bridge but no prefix" in problems("hosts: {a: {address: 10.0.0.1, bridge: 10.9.0.1/24}}")[1]
