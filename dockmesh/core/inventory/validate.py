"""Checks of keys against each other: missing keys, bridges outside their prefix, duplicates and overlaps of hosts."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address

from dockmesh.core.addresses import (
    FAMILIES,
    IPV4,
    IPV6,
    SUFFIX,
    Address,
    Family,
    Interface,
    Network,
    address_range,
    host_network,
)
from dockmesh.core.inventory import addresses, scalars
from dockmesh.core.inventory.invalid import Invalid
from dockmesh.core.inventory.schema import HostKeys, InventoryKeys, MeshKeys
from dockmesh.core.inventory.yaml_document import Path
from dockmesh.core.text import listed
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError


def check(inventory: InventoryKeys, unread: AbstractSet[Path], *, prefixes_required: bool) -> Iterator[Invalid]:
    """Find every fault between valid keys; `unread` has the paths of keys that are present but invalid."""
    yield from _mesh(inventory.mesh)
    for name, host in inventory.hosts.items():
        missing = {key for key in ("address", "underlay", "prefix") if getattr(host, key) is None}
        missing -= {key for key in missing if ("hosts", name, key) in unread}
        yield from _name(name)
        yield from _reachable(name, host, missing)
        yield from _bridge(name, host, IPV4, lacks_prefix="prefix" in missing)
        yield from _ipv6(name, host, unread)
        if prefixes_required and "prefix" in missing and host.docker and ("hosts", name, "docker") not in unread:
            yield Invalid(
                ("hosts", name, "prefix"),
                ProblemCode.MISSING_KEY,
                f"{name} has no prefix. Fix: run 'dockmesh allocate --write', add a prefix, or set docker: false",
            )
    yield from _duplicates(inventory.hosts)
    for family in FAMILIES:
        yield from _overlaps(inventory.hosts, family)


def underlay_of(host: HostKeys) -> IPv4Address | None:
    """The next hop for the host's peers: `underlay`, or `address` if that is an IPv4 address."""
    return host.underlay or (host.address if isinstance(host.address, IPv4Address) else None)


def _mesh(mesh: MeshKeys) -> Iterator[Invalid]:
    if mesh.pool and mesh.prefix_length < mesh.pool.prefixlen:
        key = "prefix_length" if "prefix_length" in mesh.model_fields_set else "pool"
        yield Invalid(
            ("mesh", key),
            ProblemCode.WIDER_THAN_POOL,
            f"no prefix of prefix_length {mesh.prefix_length} fits into the pool {mesh.pool}",
        )


def _name(name: str) -> Iterator[Invalid]:
    try:
        scalars.name(name)
    except InvalidValueError as why:
        yield Invalid(("hosts", name), why.code, f"host name {why}", at_key=True)


def _reachable(name: str, host: HostKeys, missing: set[str]) -> Iterator[Invalid]:
    if "address" in missing:
        yield Invalid(
            ("hosts", name, "address"),
            ProblemCode.MISSING_KEY,
            f"{name} has no address. Fix: add its SSH address, for example address: 192.0.2.1",
        )
    if "underlay" not in missing or host.address is None:
        return
    if isinstance(host.address, str):
        yield Invalid(
            ("hosts", name, "address"),
            ProblemCode.MISSING_KEY,
            f"address {host.address!r} of {name} is a name. Fix: add underlay, the IPv4 address for its peers",
        )
        return
    try:
        addresses.next_hop(host.address)
    except InvalidValueError as why:
        yield Invalid(("hosts", name, "address"), why.code, f"address {why}. Fix: add another address as underlay")


def _bridge(name: str, host: HostKeys, family: Family, *, lacks_prefix: bool) -> Iterator[Invalid]:
    _underlay, prefix, bridge = _network(host, family)
    key, prefix_key = f"bridge{SUFFIX[family]}", f"prefix{SUFFIX[family]}"
    path = ("hosts", name, key)
    if bridge is None:
        return
    if not host.docker:
        message = f"{name} has a {key} and docker: false, but only Docker uses the bridge. Fix: remove one of the two"
        yield Invalid(path, ProblemCode.BRIDGE_WITHOUT_DOCKER, message)
    if lacks_prefix:
        message = f"{name} has a {key} but no {prefix_key}. Fix: add one, for example {prefix_key}: {bridge.network}"
        yield Invalid(path, ProblemCode.MISSING_KEY, message)
    if prefix is None:
        return
    if bridge.ip not in prefix:
        message = f"{key} {bridge} of {name} is outside its {prefix_key} {prefix}"
        yield Invalid(path, ProblemCode.OUTSIDE_PREFIX, message)
    elif bridge.network.prefixlen < prefix.prefixlen:
        message = f"{key} {bridge} of {name} is wider than its {prefix_key} {prefix}"
        yield Invalid(path, ProblemCode.WIDER_THAN_PREFIX, message)


def _ipv6(name: str, host: HostKeys, unread: AbstractSet[Path]) -> Iterator[Invalid]:
    lacks = {key for key in ("underlay6", "prefix6") if getattr(host, key) is None}
    lacks -= {key for key in lacks if ("hosts", name, key) in unread}
    yield from _bridge(name, host, IPV6, lacks_prefix="prefix6" in lacks)
    if "underlay6" in lacks and host.prefix6:
        message = f"{name} has a prefix6 but no underlay6. Fix: add underlay6, the IPv6 address for its peers"
        yield Invalid(("hosts", name, "prefix6"), ProblemCode.MISSING_KEY, message)
    if host.docker and host.underlay6 and "prefix6" in lacks and host.bridge6 is None:
        message = f"{name} has an underlay6 but no prefix6. Fix: add a prefix6 or remove underlay6"
        yield Invalid(("hosts", name, "underlay6"), ProblemCode.MISSING_KEY, message)


def _network(host: HostKeys, family: Family) -> tuple[Address | None, Network | None, Interface | None]:
    """Underlay, prefix and bridge of a family; None for those that are not in the inventory."""
    if family == IPV4:
        return underlay_of(host), host.prefix, host.bridge
    return host.underlay6, host.prefix6, host.bridge6


def _duplicates(hosts: Mapping[str, HostKeys]) -> Iterator[Invalid]:
    owners: dict[tuple[str, Hashable], str] = {}
    for name, host in hosts.items():
        duplicates: dict[str, str] = {}
        for key, value in _unique_values(host):
            owner = owners.setdefault((key, value), name)
            # The default underlay is the address: a duplicate address alone would otherwise be two faults.
            implied = key == "underlay" and host.underlay is None
            if owner != name and not (implied and duplicates.get("address") == owner):
                duplicates[key] = owner
                at = "address" if implied else key
                message = f"{key} {value} of {name} is already used by {owner}"
                yield Invalid(("hosts", name, at), ProblemCode.DUPLICATE, message, other=("hosts", owner, at))


def _unique_values(host: HostKeys) -> Iterator[tuple[str, Hashable]]:
    """The values that no two hosts may share, by key."""
    address = host.address.lower().rstrip(".") if isinstance(host.address, str) else host.address
    values: dict[str, Hashable] = {"address": address, "underlay": underlay_of(host), "prefix": host.prefix}
    values |= {"underlay6": host.underlay6, "prefix6": host.prefix6}
    return ((key, value) for key, value in values.items() if value is not None)


def _overlaps(hosts: Mapping[str, HostKeys], family: Family) -> Iterator[Invalid]:
    prefixes: dict[Network, str] = {}
    underlays: dict[Network, str] = {}
    key = f"prefix{SUFFIX[family]}"
    for name, host in hosts.items():
        underlay, prefix, _bridge = _network(host, family)
        if prefix:
            prefixes.setdefault(prefix, name)
        if underlay:
            underlays.setdefault(host_network(underlay), name)
    blocks, owners = [*prefixes, *underlays], [*prefixes.values(), *underlays.values()]
    covered: dict[int, list[int]] = {}
    for outer, inner in nested_blocks(blocks):
        if inner < len(prefixes):
            first, second = sorted((outer, inner))
            other = f"prefix {blocks[first]} of {owners[first]}"
            message = f"prefix {blocks[second]} of {owners[second]} overlaps {other}"
            yield Invalid(
                ("hosts", owners[second], key), ProblemCode.OVERLAP, message, other=("hosts", owners[first], key)
            )
        else:
            covered.setdefault(outer, []).append(inner)
    for outer, covered_underlays in covered.items():
        shown = [f"{blocks[at].network_address} of {owners[at]}" for at in sorted(covered_underlays)]
        covers = f"prefix {blocks[outer]} of {owners[outer]} covers underlay {listed(shown)}"
        message = f"{covers}, so peers would lose their next hop"
        yield Invalid(("hosts", owners[outer], key), ProblemCode.COVERS_UNDERLAY, message)


def nested_blocks(blocks: Sequence[Network]) -> Iterator[tuple[int, int]]:
    """The indices (outer, inner) of every pair of blocks in which one contains the other.

    All blocks are distinct and of one family. Two prefixes are either disjoint or nested. In order of address, the
    blocks around the current one therefore form a stack that is at most as high as there are prefix lengths.
    """
    ranges = [address_range(block) for block in blocks]
    around: list[tuple[int, int]] = []
    for index in sorted(range(len(blocks)), key=lambda at: (ranges[at][0], blocks[at].prefixlen)):
        first, last = ranges[index]
        while around and around[-1][0] < first:
            around.pop()
        for _, outer in around:
            yield outer, index
        around.append((last, index))
