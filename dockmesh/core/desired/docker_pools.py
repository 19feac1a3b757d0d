"""Docker's address pools for new networks: inside the host's prefix, or at least outside all prefixes of the mesh.

Docker's own choice avoids connected networks, but not prefixes routed via a next hop (moby,
`libnetwork/ipams/defaultipam`), so it could take a peer's prefix.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Interface, IPv6Network, collapse_addresses
from operator import itemgetter

from dockmesh.core.addresses import AddressRange, N, Network, address_range
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.netfilter.flow import merge_ranges
from dockmesh.core.state.resources import DockerNetworking, Pool

# Docker's built-in pools: 172.17 to 172.31 in /16, 192.168 in /20 (moby, libnetwork/ipamutils).
_BUILT_IN = (
    *(IPv4Network(f"172.{second}.0.0/16") for second in range(17, 32)),
    *IPv4Network("192.168.0.0/16").subnets(new_prefix=20),
)
_SIZE6 = 64
# Docker before 27 enumerates the networks of its pools when it starts; a /48 has 65,536 of them.
_WIDEST6 = 48


def pools(fleet: Fleet, host: Host, facts: HostFacts, original: DockerNetworking | None = None) -> tuple[Pool, ...]:
    """Return the pools that `host` needs.

    A host outside the IPv6 mesh keeps its IPv6 pools, or gets those of `original` if it is leaving that mesh.
    """
    current = facts.actual.docker.pools if facts.actual.docker else ()
    if host.prefix is None or host.bridge is None:
        return current
    own = tuple(_beside(host.prefix, host.bridge.network, fleet.settings.pool_size))
    return (*(own or _elsewhere(fleet, facts, current)), *_pools6(host, original.pools if original else current))


def _pools6(host: Host, current: Iterable[Pool]) -> Iterator[Pool]:
    match host.ipv6 and (host.ipv6.prefix, host.ipv6.bridge):
        case IPv6Network() as prefix, IPv6Interface() as bridge:
            for pool in _beside(prefix, bridge.network, _SIZE6):
                length = max(pool.base.prefixlen, _WIDEST6)
                yield Pool(IPv6Network((pool.base.network_address, length)), pool.size)
        case _:
            yield from (Pool(pool.base, pool.size) for pool in current if isinstance(pool.base, IPv6Network))


def _beside(prefix: N, docker0: N, size: int) -> Iterator[Pool]:
    """The parts of the prefix outside docker0's network that are large enough for a network of that size."""
    if docker0 == prefix:
        return
    for base in sorted(prefix.address_exclude(docker0)):
        if base.prefixlen <= size:
            yield Pool(base, size)


def _elsewhere(fleet: Fleet, facts: HostFacts, current: Iterable[Pool]) -> tuple[Pool, ...]:
    """Docker's built-in pools without the networks that the mesh and the host use.

    Current pools without an overlap stay, which avoids a restart of Docker each time a host joins the mesh.
    """
    local = facts.docker_devices
    networks: list[Network] = [host.prefix for host in fleet.hosts if host.prefix]
    networks += [IPv4Network(host.underlay) for host in fleet.hosts]
    networks += [address.network for device, address in facts.addresses if device not in local]
    used = merge_ranges(address_range(each) for each in networks if isinstance(each, IPv4Network))
    present = tuple(Pool(pool.base, pool.size) for pool in current if isinstance(pool.base, IPv4Network))
    if present and not any(_overlaps(pool.base, used) for pool in present):
        return present
    free = [network for network in _BUILT_IN if not _overlaps(network, used)]
    sizes = sorted({network.prefixlen for network in free})
    return tuple(
        Pool(base, size) for size in sizes for base in collapse_addresses(n for n in free if n.prefixlen == size)
    )


def _overlaps(network: Network, used: Sequence[AddressRange]) -> bool:
    """Whether the network contains an address of the ranges, which are sorted and disjoint."""
    first, last = address_range(network)
    at = bisect_left(used, first, key=itemgetter(1))
    return at < len(used) and used[at][0] <= last
