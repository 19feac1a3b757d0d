import re
from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.errors import LabError
from dockmesh.lab.inventory import inventory
from dockmesh.lab.topology import CONTROLLER, MAX_HOSTS, POOL, RELEASES, check_name, is_handle, topology

sizes = st.integers(min_value=1, max_value=MAX_HOSTS)
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,15}", fullmatch=True).filter(
    lambda name: not re.search(r"-host[0-9]+$", name)
)


def test_hosts_cycle_through_the_releases() -> None:
    hosts = topology("demo", 4).hosts
    assert [host.release for host in hosts] == ["bookworm", "trixie", "forky", "bookworm"]
    assert [host.name for host in hosts] == ["host1", "host2", "host3", "host4"]


def test_addresses_are_consecutive() -> None:
    hosts = topology("demo", 130).hosts
    assert hosts[0].underlay.ip == IPv4Address("192.168.18.128")
    assert hosts[127].underlay.ip == IPv4Address("192.168.18.255")
    assert hosts[128].underlay.ip == IPv4Address("192.168.19.0")


def test_prefixes_are_the_first_blocks_of_the_pool() -> None:
    prefixes = [str(host.prefix) for host in topology("demo", 3).hosts]
    assert prefixes == ["10.128.0.0/20", "10.128.16.0/20", "10.128.32.0/20"]


def test_a_light_lab_has_only_light_hosts() -> None:
    assert not any(host.light for host in topology("demo", 3).hosts)
    assert all(host.light for host in topology("demo", 3, light=True).hosts)
    assert "prefix: 10.128.0.0/20, docker: false" in inventory(topology("demo", 1, light=True))


def test_varied_hosts_have_an_address_in_a_second_lan() -> None:
    one, other = topology("demo", 2, varied=True).hosts
    assert (one.varied, str(one.second), str(other.second)) == (True, "172.30.2.128/20", "172.30.2.129/20")
    assert not topology("demo", 1).hosts[0].varied


def test_a_disk_is_part_of_the_topology() -> None:
    assert topology("demo", 1, disk=True).hosts[0].disk
    assert topology("demo", 1, disk=True) != topology("demo", 1)


def test_a_mac_ends_with_the_address() -> None:
    assert topology("demo", 1).hosts[0].mac == "02:00:c0:a8:12:80"


@given(sizes)
def test_names_addresses_and_prefixes_of_hosts_are_unique(size: int) -> None:
    hosts = topology("demo", size).hosts
    for unique in ("name", "handle", "underlay", "mac"):
        assert len({getattr(host, unique) for host in hosts}) == size
    assert all(not one.prefix.overlaps(next_.prefix) for one, next_ in pairwise(hosts))


@given(sizes)
def test_hosts_are_on_the_controllers_link_and_in_the_pool(size: int) -> None:
    for host in topology("demo", size).hosts:
        assert host.underlay.network == CONTROLLER.network
        assert host.underlay.ip != CONTROLLER.ip
        assert host.prefix.subnet_of(POOL)


@given(names, names)
def test_a_handle_belongs_to_one_lab(one: str, other: str) -> None:
    handle = topology(one, 1).hosts[0].handle
    assert is_handle(one, handle)
    assert is_handle(other, handle) is (one == other)
    assert topology(other, 1).fabric != handle


@pytest.mark.parametrize("name", ["", "Demo", "-demo", "a" * 17, "a/b", "a b", "../a", "demo-host1", "demo\n"])
def test_an_invalid_lab_name_is_rejected(name: str) -> None:
    with pytest.raises(LabError) as caught:
        check_name(name)
    assert (caught.value.code, repr(name) in str(caught.value)) == ("bad-name", True)


@pytest.mark.parametrize("size", [0, -1, MAX_HOSTS + 1])
def test_a_size_beyond_the_pool_is_rejected(size: int) -> None:
    with pytest.raises(LabError) as caught:
        topology("demo", size)
    assert caught.value.code == "bad-host-count"
    assert missing_facts(str(caught.value), f"1 {MAX_HOSTS} {size}") == []


@pytest.mark.parametrize("releases", [(), ("",), ("book/worm",), ("--help",)])
def test_an_invalid_release_is_rejected(releases: tuple[str, ...]) -> None:
    with pytest.raises(LabError) as caught:
        topology("demo", 1, releases)
    assert caught.value.code == "bad-releases"
    assert repr(",".join(releases)) in str(caught.value)


def test_an_unknown_host_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(LabError) as caught:
        topology("demo", 2, RELEASES).host("host3")
    assert caught.value.code == "unknown-host"
    assert missing_facts(str(caught.value), "demo 'host3' host1 host2") == []
