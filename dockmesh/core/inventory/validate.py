"""What one value alone cannot tell: missing keys, bridge against prefix, host against host."""

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
    """Every fault among keys that are right by themselves; those in `unread` are there but not readable."""
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
                f"{name} has no prefix: write one, let 'dockmesh allocate' draw one, or say docker: false",
            )
    yield from _twins(inventory.hosts)
    for family in FAMILIES:
        yield from _overlaps(inventory.hosts, family)


def underlay_of(host: HostKeys) -> IPv4Address | None:
    """The next hop for the host's peers: what `underlay` says, else the address where it is one."""
    return host.underlay or (host.address if isinstance(host.address, IPv4Address) else None)


def _mesh(mesh: MeshKeys) -> Iterator[Invalid]:
    if mesh.pool and mesh.prefix_length < mesh.pool.prefixlen:
        key = "prefix_length" if "prefix_length" in mesh.model_fields_set else "pool"
        yield Invalid(
            ("mesh", key),
            ProblemCode.WIDER_THAN_POOL,
            f"prefix_length {mesh.prefix_length} is shorter than the pool {mesh.pool}: none fits in it",
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
            f"{name} has no address; write where SSH goes, as in address: 192.0.2.1",
        )
    if "underlay" not in missing or host.address is None:
        return
    if isinstance(host.address, str):
        yield Invalid(
            ("hosts", name, "address"),
            ProblemCode.MISSING_KEY,
            f"address {host.address!r} of {name} is a name: write underlay, its IPv4 address for the peers",
        )
        return
    try:
        addresses.next_hop(host.address)
    except InvalidValueError as why:
        yield Invalid(("hosts", name, "address"), why.code, f"address {why}; write another one as underlay")


def _bridge(name: str, host: HostKeys, family: Family, *, lacks_prefix: bool) -> Iterator[Invalid]:
    _underlay, prefix, bridge = _stack(host, family)
    key, its = f"bridge{SUFFIX[family]}", f"prefix{SUFFIX[family]}"
    path = ("hosts", name, key)
    if bridge is None:
        return
    if not host.docker:
        message = f"{name} has a {key} and docker: false; the bridge is Docker's own: remove one of the two"
        yield Invalid(path, ProblemCode.BRIDGE_WITHOUT_DOCKER, message)
    if lacks_prefix:
        message = f"{name} has a {key} but no {its} to route to it; write {its}: {bridge.network}, say"
        yield Invalid(path, ProblemCode.MISSING_KEY, message)
    if prefix is None:
        return
    if bridge.ip not in prefix:
        yield Invalid(path, ProblemCode.OUTSIDE_PREFIX, f"{key} {bridge} of {name} is outside its {its} {prefix}")
    elif bridge.network.prefixlen < prefix.prefixlen:
        yield Invalid(path, ProblemCode.WIDER_THAN_PREFIX, f"{key} {bridge} of {name} is wider than its {its} {prefix}")


def _ipv6(name: str, host: HostKeys, unread: AbstractSet[Path]) -> Iterator[Invalid]:
    lacks = {key for key in ("underlay6", "prefix6") if getattr(host, key) is None}
    lacks -= {key for key in lacks if ("hosts", name, key) in unread}
    yield from _bridge(name, host, IPV6, lacks_prefix="prefix6" in lacks)
    if "underlay6" in lacks and host.prefix6:
        message = (
            f"{name} has a prefix6 and no underlay6: write the IPv6 address by which its peers reach it in the LAN"
        )
        yield Invalid(("hosts", name, "prefix6"), ProblemCode.MISSING_KEY, message)
    if host.docker and host.underlay6 and "prefix6" in lacks and host.bridge6 is None:
        message = f"{name} has an underlay6 and no prefix6: write one, or remove underlay6"
        yield Invalid(("hosts", name, "underlay6"), ProblemCode.MISSING_KEY, message)


def _stack(host: HostKeys, family: Family) -> tuple[Address | None, Network | None, Interface | None]:
    """Underlay, prefix and bridge, as far as they are written."""
    if family == IPV4:
        return underlay_of(host), host.prefix, host.bridge
    return host.underlay6, host.prefix6, host.bridge6


def _twins(hosts: Mapping[str, HostKeys]) -> Iterator[Invalid]:
    owners: dict[tuple[str, Hashable], str] = {}
    for name, host in hosts.items():
        twins: dict[str, str] = {}
        for key, value in _claims(host):
            owner = owners.setdefault((key, value), name)
            # An underlay taken from a doubled address is doubled as well; one remedy, one fault.
            if owner != name and not (key == "underlay" and twins.get("address") == owner and host.underlay is None):
                twins[key] = owner
                at = "address" if key == "underlay" and host.underlay is None else key
                said = f"{key} {value} of {name} is that of {owner} already"
                yield Invalid(("hosts", name, at), ProblemCode.DUPLICATE, said, other=("hosts", owner, at))


def _claims(host: HostKeys) -> Iterator[tuple[str, Hashable]]:
    """What no two hosts may share."""
    address = host.address.lower().rstrip(".") if isinstance(host.address, str) else host.address
    claims: dict[str, Hashable] = {"address": address, "underlay": underlay_of(host), "prefix": host.prefix}
    claims |= {"underlay6": host.underlay6, "prefix6": host.prefix6}
    return ((key, value) for key, value in claims.items() if value is not None)


def _overlaps(hosts: Mapping[str, HostKeys], family: Family) -> Iterator[Invalid]:
    prefixes: dict[Network, str] = {}
    underlays: dict[Network, str] = {}
    key = f"prefix{SUFFIX[family]}"
    for name, host in hosts.items():
        underlay, prefix, _bridge = _stack(host, family)
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
    for outer, inside in covered.items():
        shown = [f"{blocks[one].network_address} of {owners[one]}" for one in sorted(inside)]
        covers = f"prefix {blocks[outer]} of {owners[outer]} covers underlay {listed(shown)}"
        message = f"{covers}: its peers would lose their next hop"
        yield Invalid(("hosts", owners[outer], key), ProblemCode.COVERS_UNDERLAY, message)


def nested_blocks(blocks: Sequence[Network]) -> Iterator[tuple[int, int]]:
    """The indices (outer, inner) of every two of `blocks` of which one lies in the other.

    All are distinct and of one family. Two CIDR blocks are apart or one holds the other, so that in order of address
    the blocks around the current one form a stack, never higher than there are lengths.
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
