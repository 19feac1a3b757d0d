"""Who gets which prefix."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from builders import fleet, host
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.core.allocation.prefixes import Allocation, allocate, free_blocks, with_prefixes
from dockmesh.core.inventory import default_bridge
from dockmesh.core.model import Fleet, Host, Login, Settings
from dockmesh.errors import UsageError

POOL = IPv4Network("10.128.0.0/24")


def fleet_with_pool(*hosts: Host, pool: str = "10.128.0.0/12", length: int = 20) -> Fleet:
    return replace(fleet(*hosts), settings=Settings(pool=IPv4Network(pool), prefix_length=length))


def allocated(fleet: Fleet) -> dict[str, str]:
    return {each.host: str(each.prefix) for each in allocate(fleet, fleet.hosts, file="mesh.yml")}


def test_hosts_get_the_lowest_blocks_in_the_order_of_the_inventory() -> None:
    mesh = fleet_with_pool(host("web", "192.168.0.9"), host("db", "192.168.0.3"), host("app", "192.168.0.5"))
    assert allocated(mesh) == {"web": "10.128.0.0/20", "db": "10.128.16.0/20", "app": "10.128.32.0/20"}


def test_gaps_that_are_large_enough_are_filled_first() -> None:
    mesh = fleet_with_pool(
        host("a", "192.168.0.1", "10.128.0.0/21"),
        host("b", "192.168.0.2", "10.128.32.0/19"),
        host("c", "192.168.0.3"),
        host("d", "192.168.0.4"),
    )
    assert allocated(mesh) == {"c": "10.128.16.0/20", "d": "10.128.64.0/20"}


def test_the_addresses_of_the_hosts_themselves_are_never_covered() -> None:
    by_two_ways = replace(host("b", "10.128.16.1", docker=False), login=Login("10.128.32.1"))
    assert allocated(fleet_with_pool(host("a", "10.128.0.1"), by_two_ways)) == {"a": "10.128.48.0/20"}


def test_a_bridge_beside_its_prefix_is_not_covered_either() -> None:
    mesh = fleet_with_pool(host("a", "192.168.0.1", "10.9.0.0/24", "10.128.0.1/24"), host("b", "192.168.0.2"))
    assert allocated(mesh) == {"b": "10.128.16.0/20"}


def test_a_host_without_docker_gets_none() -> None:
    assert allocated(fleet_with_pool(host("a", "192.168.0.1", docker=False))) == {}


def test_only_the_chosen_hosts_get_one_and_all_others_are_kept_clear_of() -> None:
    mesh = fleet_with_pool(
        host("a", "192.168.0.1", "10.128.0.0/20"), host("b", "192.168.0.2"), host("c", "192.168.0.3")
    )
    assert allocate(mesh, mesh.hosts[2:], file="mesh.yml") == (Allocation("c", IPv4Network("10.128.16.0/20")),)


def test_ten_thousand_hosts_get_theirs() -> None:
    hosts = (host(f"h{number}", f"10.{number // 256}.{number % 256}.1") for number in range(10_000))
    assert list(allocated(fleet_with_pool(*hosts, pool="10.0.0.0/8", length=24)).items())[::9_999] == [
        ("h0", "10.39.16.0/24"),
        ("h9999", "10.78.31.0/24"),
    ]


def test_no_pool_is_missed_where_nobody_needs_one() -> None:
    assert allocated(fleet(host("a", "192.168.0.1", "10.128.0.0/20"))) == {}


def test_without_a_pool_the_remedy_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        allocated(fleet(host("a", "192.168.0.1")))
    assert caught.value.code == "no-pool"
    assert missing_facts(str(caught.value), "mesh.yml mesh pool") == []


def test_an_exhausted_pool_says_for_how_many_hosts_nothing_is_left() -> None:
    hosts = (host(f"h{number}", f"192.168.0.{number}") for number in range(9))
    with pytest.raises(UsageError) as caught:
        allocated(fleet_with_pool(*hosts, pool="10.128.0.0/18"))
    assert caught.value.code == "pool-exhausted"
    assert missing_facts(str(caught.value), "mesh.yml /20 10.128.0.0/18 5 9 h4 h5 h6 2 mesh prefix_length") == []


def test_a_host_that_gets_a_prefix_gets_its_first_address_for_docker0() -> None:
    (joined,) = with_prefixes(fleet(host("a", "192.168.0.1")), [Allocation("a", IPv4Network("10.128.0.0/20"))]).hosts
    assert joined.bridge == IPv4Interface("10.128.0.1/24")


BLOCKS = st.builds(
    lambda at, length: IPv4Network((int(IPv4Address("10.127.255.0")) + at, length), strict=False),
    st.integers(0, 3 * 256 - 1),
    st.integers(22, 32),
)


@given(st.lists(BLOCKS, max_size=12), st.integers(24, 30))
def test_the_free_blocks_are_those_that_comparing_each_with_each_leaves(taken: list[IPv4Network], length: int) -> None:
    expected = [block for block in POOL.subnets(new_prefix=length) if not any(block.overlaps(other) for other in taken)]
    assert list(free_blocks(POOL, length, taken)) == expected


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """A fleet whose prefixes and hosts lie in and around the pool, and of which some hosts lack a prefix."""
    length = draw(st.integers(26, 30))
    blocks = draw(st.lists(BLOCKS, max_size=8))
    apart = [one for i, one in enumerate(blocks) if not any(one.overlaps(other) for other in blocks[:i])]
    hosts = []
    for number, block in enumerate(apart):
        recorded = block.prefixlen <= 30 and draw(st.booleans())
        underlay = IPv4Address("192.168.0.1") + number if recorded else block.network_address
        bridge = default_bridge(block) if recorded else None
        login = Login(draw(st.sampled_from([str(underlay), f"h{number}.example"])))
        docker = recorded or draw(st.booleans())
        hosts.append(Host(f"h{number}", underlay, block if recorded else None, bridge, docker, login))
    return Fleet(Settings(pool=POOL, prefix_length=length), tuple(hosts))


def try_allocate(mesh: Fleet) -> tuple[Allocation, ...]:
    """What is drawn for the whole fleet: nothing where the pool is exhausted."""
    try:
        return allocate(mesh, mesh.hosts, file="mesh.yml")
    except UsageError:
        return ()


@given(fleets())
def test_nothing_overlaps_and_every_new_prefix_is_of_the_pool(mesh: Fleet) -> None:
    new = [each.prefix for each in try_allocate(mesh)]
    kept = [IPv4Network(each.underlay) for each in mesh.hosts] + [each.prefix for each in mesh.hosts if each.prefix]
    for at, prefix in enumerate(new):
        assert prefix.subnet_of(POOL)
        assert prefix.prefixlen == mesh.settings.prefix_length
        assert not any(prefix.overlaps(other) for other in (*kept, *new[:at]))


@given(fleets())
def test_what_is_recorded_never_moves(mesh: Fleet) -> None:
    for before, after in zip(mesh.hosts, with_prefixes(mesh, try_allocate(mesh)).hosts, strict=True):
        assert after == before or (before.docker and before.prefix is None)


@given(fleets())
def test_allocating_twice_draws_nothing_more(mesh: Fleet) -> None:
    if new := try_allocate(mesh):
        after = with_prefixes(mesh, new)
        assert allocate(after, after.hosts, file="mesh.yml") == ()


@given(fleets(), st.data())
def test_drawing_for_some_hosts_first_draws_none_twice(mesh: Fleet, data: st.DataObject) -> None:
    some = [each for each in mesh.hosts if data.draw(st.booleans())]
    if at_once := try_allocate(mesh):
        first = allocate(mesh, some, file="mesh.yml")
        after = with_prefixes(mesh, first)
        one_by_one = (*first, *allocate(after, after.hosts, file="mesh.yml"))
        assert sorted(each.prefix for each in one_by_one) == [each.prefix for each in at_once]
