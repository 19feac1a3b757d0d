"""Prefixes drawn for hosts that lack one."""

from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.inventory.overlap import nested
from dockmesh.core.ipam import Allocation, allocate, free
from dockmesh.core.model import Fleet, Host, Login, Settings

POOL = IPv4Network("10.128.0.0/12")
BLOCKS = st.builds(
    lambda at, length: IPv4Network((0x0A800000 + at * 64 & -(1 << (32 - length)), length)),
    st.integers(0, 2**14),
    st.integers(13, 32),
)


def host(name: str, prefix: str | None, number: int, *, docker: bool = True) -> Host:
    underlay = IPv4Address("192.168.0.0") + number
    return Host(
        name, underlay, IPv4Network(prefix) if prefix else None, None, docker=docker, login=Login(str(underlay))
    )


def test_the_lowest_free_blocks_go_to_the_hosts_in_their_order_and_what_is_recorded_stays() -> None:
    hosts = (
        host("a", None, 1),
        host("b", "10.128.0.0/20", 2),
        host("c", None, 3),
        host("d", "10.128.32.0/24", 4),
        host("e", None, 5),
        host("db", None, 6, docker=False),
    )
    fleet = Fleet(Settings(pool=POOL, prefix_length=20), hosts)
    assert allocate(fleet, POOL, fleet.hosts) == (
        Allocation("a", IPv4Network("10.128.16.0/20")),
        Allocation("c", IPv4Network("10.128.48.0/20")),
        Allocation("e", IPv4Network("10.128.64.0/20")),
    )


def test_no_prefix_covers_the_underlay_address_of_a_host() -> None:
    inside = Host("a", IPv4Address("10.128.0.9"), None, None, docker=True, login=Login("x"))
    (drawn,) = allocate(Fleet(Settings(prefix_length=24), (inside,)), POOL, [inside])
    assert drawn.prefix == IPv4Network("10.128.1.0/24")


def test_a_pool_that_is_used_up_says_whom_it_has_none_for() -> None:
    fleet = Fleet(Settings(prefix_length=24), tuple(host(str(at), None, at) for at in range(1, 4)))
    drawn = allocate(fleet, IPv4Network("10.0.0.0/23"), fleet.hosts)
    assert [each.prefix and str(each.prefix) for each in drawn] == ["10.0.0.0/24", "10.0.1.0/24", None]


@given(st.lists(BLOCKS, max_size=12), st.integers(16, 26))
def test_what_is_free_overlaps_nothing_and_nothing_free_is_passed_over(taken: list[IPv4Network], length: int) -> None:
    found = list(islice(free(POOL, length, taken), 40))
    assert found == sorted(found)
    assert not any(block.overlaps(each) for block in found for each in taken)
    assert not list(nested(found))
    before = (block for block in POOL.subnets(new_prefix=length) if not found or block < found[-1])
    skipped = [block for block in islice(before, 200) if block not in found]
    assert all(any(block.overlaps(each) for each in taken) for block in skipped)


def test_ten_thousand_hosts_are_served() -> None:
    """A quadratic search would take minutes, and the test's time would be over."""
    fleet = Fleet(Settings(prefix_length=26), tuple(host(str(at), None, at) for at in range(10_000)))
    assert all(each.prefix for each in allocate(fleet, POOL, fleet.hosts))
