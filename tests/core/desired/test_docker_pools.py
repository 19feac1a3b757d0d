"""Docker's address pools for new networks."""

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, ip_network
from itertools import combinations

import pytest
from builders import FLEET, HOST1, HOST3, facts, fleet, host
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.desired.docker_pools import pools
from dockmesh.core.model import Fleet, Settings
from dockmesh.core.state.resources import DockerNetworking, HostState, Pool, parse_pool

TUTORIAL = fleet(
    host("host1", "192.168.18.128", "172.18.0.0/16", "172.18.0.1/16"),
    host("host2", "192.168.18.129", "172.17.0.0/16", "172.17.0.1/16"),
)
FRESH = facts("trixie_fresh")


def networking_with(*present: Pool) -> DockerNetworking:
    return DockerNetworking(IPv4Interface("172.17.0.1/16"), present)


def pool(base: str, size: int) -> Pool:
    return Pool(ip_network(base), size)


def test_pools_are_the_rest_of_the_prefix_beside_docker0() -> None:
    assert pools(FLEET, HOST1, FRESH) == (
        pool("10.128.1.0/24", 24),
        pool("10.128.2.0/23", 24),
        pool("10.128.4.0/22", 24),
        pool("10.128.8.0/21", 24),
    )


@given(st.integers(8, 28), st.integers(0, 255), st.integers(16, 29))
def test_pools_and_docker0_fill_the_prefix_without_overlap(length: int, at: int, size: int) -> None:
    prefix = IPv4Network((0x0A000000, length))
    bridge = IPv4Interface((0x0A000000 + at % (prefix.num_addresses - 2) + 1, max(24, length)))
    me = replace(HOST1, prefix=prefix, bridge=bridge)
    found = pools(Fleet(Settings(pool_size=size), (me,)), me, FRESH)
    inside = [each.base for each in found if isinstance(each.base, IPv4Network) and each.base.subnet_of(prefix)]
    assert not any(one.overlaps(other) for one, other in combinations([bridge.network, *inside], 2))
    room = prefix.num_addresses - bridge.network.num_addresses
    assert sum(each.num_addresses for each in inside) == room - room % 2 ** (32 - size)


def test_without_room_pools_avoid_the_mesh_and_the_lan() -> None:
    found = pools(TUTORIAL, TUTORIAL.hosts[0], FRESH)
    bases = [each.base for each in found if isinstance(each.base, IPv4Network)]
    used = map(IPv4Network, ("172.18.0.0/16", "172.17.0.0/16", "192.168.16.0/20"))
    assert not any(base.overlaps(each) for each in used for base in bases)
    assert pool("172.24.0.0/13", 16) in found
    assert pool("192.168.128.0/17", 20) in found


def test_without_room_only_pools_without_overlap_stay() -> None:
    clear, overlapping = pool("10.200.0.0/16", 24), pool("172.16.0.0/12", 24)
    me = TUTORIAL.hosts[0]
    assert pools(TUTORIAL, me, replace(FRESH, actual=HostState((networking_with(clear),)))) == (clear,)
    assert overlapping not in pools(
        TUTORIAL, me, replace(FRESH, actual=HostState((networking_with(clear, overlapping),)))
    )


@pytest.mark.parametrize("among", [FLEET, TUTORIAL])
def test_pools_for_ipv6_stay(among: Fleet) -> None:
    six = pool("fd00:1::/48", 64)
    assert pools(among, among.hosts[0], replace(FRESH, actual=HostState((networking_with(six),))))[-1] == six


def test_a_joined_host_keeps_its_pools() -> None:
    joined = facts("forky_joined")
    assert joined.actual.docker is not None
    assert pools(FLEET, HOST3, joined) == joined.actual.docker.pools != ()


def test_present_pools_with_host_bits_stay_without_them() -> None:
    """Docker then reports the pools that dockmesh writes, in every version."""
    me = TUTORIAL.hosts[0]
    odd = replace(FRESH, actual=HostState((networking_with(parse_pool("192.168.64.1/18", 24)),)))
    assert [each.text for each in pools(TUTORIAL, me, odd)] == ["192.168.64.0/18"]
