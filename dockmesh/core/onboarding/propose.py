"""Proposal of underlay addresses and prefixes for the hosts of a new inventory, which keeps docker0 where it can."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, collapse_addresses

from dockmesh.core.addresses import IPV4, Network
from dockmesh.core.allocation.prefixes import allocate, with_prefixes
from dockmesh.core.allocation.used_networks import leads_out, used_networks
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.inventory import addresses
from dockmesh.core.model import Fleet, Host, Settings
from dockmesh.errors import HostError

_MAX_LENGTH_OF_LAN = 30


@dataclass(frozen=True, slots=True)
class ProposedHost:
    """A host of a new inventory; without `host`, `why` is the reason for its omission.

    `intentional` marks an omission that loses nothing. With `keeps_docker0`, docker0 keeps its address; otherwise
    `old_docker0` is its address today. `lan` is the network of the underlay.
    """

    name: str
    host: Host | None = None
    why: str | None = None
    intentional: bool = False
    keeps_docker0: bool = False
    old_docker0: IPv4Interface | None = None
    lan: IPv4Network | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """A host's use of a network: in its Docker or outside, as an address or as a route."""

    host: str
    docker: bool
    route: KernelRoute | None = None


def propose(
    hosts: Sequence[Host], results: Mapping[str, HostFacts | HostError], settings: Settings, *, file: str
) -> tuple[ProposedHost, ...]:
    """Propose the hosts of an inventory from their facts.

    A host without facts is left out and gets no prefix. A host keeps docker0 if no other host uses a network that
    overlaps it. All other hosts get prefixes from the pool that overlap no network of any host.

    Raises:
        UsageError: the pool has too few free blocks.
    """
    facts = {name: result for name, result in results.items() if not isinstance(result, HostError)}
    lan = _lan(hosts, facts)
    unique = list(_unique(_with_underlay(host, results[host.name], lan) for host in hosts))
    facts = {each.name: facts[each.name] for each in unique if each.host}
    kept_prefixes = dict(_kept_prefixes(facts))
    proposed = [_with_docker0(each, facts, kept_prefixes) for each in unique]
    fleet = Fleet(settings, tuple(each.host for each in proposed if each.host))
    clear_of = used_networks(fleet, facts)
    return _with_hosts_of(with_prefixes(fleet, allocate(fleet, fleet.hosts, file=file, clear_of=clear_of)), proposed)


def propose_unread(
    hosts: Sequence[Host], underlays: Mapping[str, IPv4Address], settings: Settings, *, file: str
) -> tuple[ProposedHost, ...]:
    """Propose the hosts of an inventory without facts: all have Docker; hosts without an underlay are left out.

    Raises:
        UsageError: the pool has too few free blocks.
    """
    why = "its IPv4 address is unknown, because its name does not resolve"
    proposed = [
        ProposedHost(host.name, replace(host, underlay=underlays[host.name]))
        if host.name in underlays
        else ProposedHost(host.name, why=why)
        for host in hosts
    ]
    proposed = list(_unique(proposed))
    fleet = Fleet(settings, tuple(each.host for each in proposed if each.host))
    return _with_hosts_of(with_prefixes(fleet, allocate(fleet, fleet.hosts, file=file)), proposed)


def _with_underlay(host: Host, result: HostFacts | HostError, lan: IPv4Network | None) -> ProposedHost:
    if isinstance(result, HostError):
        return ProposedHost(host.name, why=str(result))
    preferred = sorted(
        _usable_addresses(result), key=lambda one: (one.network != lan, str(one.ip) != host.login.address)
    )
    if not preferred:
        return ProposedHost(host.name, why="it has no IPv4 address that peers can use")
    underlay = preferred[0]
    return ProposedHost(
        host.name, replace(host, underlay=underlay.ip, docker=result.docker is not None), lan=underlay.network
    )


def _unique(proposed: Iterable[ProposedHost]) -> Iterator[ProposedHost]:
    """Leave out a host with the underlay or the SSH address of an earlier one: an inventory has each address once."""
    machines: dict[IPv4Address, str] = {}
    reached: dict[str, str] = {}
    for each in proposed:
        host = each.host
        if host is None:
            yield each
        elif host.underlay in machines:
            why = f"it is the same host as {machines[host.underlay]} ({host.underlay})"
            yield ProposedHost(each.name, why=why, intentional=True)
        elif (address := host.login.address.lower().rstrip(".")) in reached:
            why = f"address {address} is already used by {reached[address]}. Fix: add a name for it to ~/.ssh/config"
            yield ProposedHost(each.name, why=why)
        else:
            machines[host.underlay] = reached[address] = each.name
            yield each


def _with_docker0(
    each: ProposedHost, facts: Mapping[str, HostFacts], kept_prefixes: Mapping[str, IPv4Network]
) -> ProposedHost:
    host, host_facts = each.host, facts.get(each.name)
    if host is None or host_facts is None or not host.docker:
        return each
    bridge = _docker0(host_facts)
    if bridge is None or each.name not in kept_prefixes:
        return replace(each, old_docker0=bridge)
    return replace(each, host=replace(host, prefix=kept_prefixes[each.name], bridge=bridge), keeps_docker0=True)


def _with_hosts_of(fleet: Fleet, proposed: Iterable[ProposedHost]) -> tuple[ProposedHost, ...]:
    return tuple(replace(each, host=fleet.host(each.name)) if each.host else each for each in proposed)


def _lan(hosts: Iterable[Host], facts: Mapping[str, HostFacts]) -> IPv4Network | None:
    """The network of most hosts; if several have as many, the one with the most SSH addresses."""
    members: Counter[IPv4Network] = Counter()
    ssh_addresses: Counter[IPv4Network] = Counter()
    for host in (host for host in hosts if host.name in facts):
        usable = list(_usable_addresses(facts[host.name]))
        members.update({one.network for one in usable if one.network.prefixlen <= _MAX_LENGTH_OF_LAN})
        ssh_addresses.update({one.network for one in usable if str(one.ip) == host.login.address})
    order = sorted(members, key=lambda network: (-members[network], -ssh_addresses[network], network))
    return order[0] if order else None


def _usable_addresses(facts: HostFacts) -> Iterator[IPv4Interface]:
    """The addresses that peers could use as the next hop."""
    local = _host_devices(facts)
    for device, address in facts.addresses:
        if isinstance(address, IPv4Interface) and device not in local:
            try:
                addresses.next_hop(address.ip)
            except ValueError:
                continue
            yield address


def _kept_prefixes(facts: Mapping[str, HostFacts]) -> Iterator[tuple[str, IPv4Network]]:
    """The hosts that can keep docker0, with the prefix that contains it."""
    claims: dict[IPv4Network, list[_Claim]] = {}
    for name, host_facts in facts.items():
        for network, claim in _claims(name, host_facts):
            claims.setdefault(network, []).append(claim)
    for name, host_facts in facts.items():
        bridge = _docker0(host_facts) if host_facts.docker else None
        block = _block(host_facts, bridge) if bridge else None
        if block and not _overlaps_claims(name, host_facts, block, claims):
            yield name, block


def _claims(name: str, facts: HostFacts) -> Iterator[tuple[IPv4Network, _Claim]]:
    local = _host_devices(facts)
    claims: list[tuple[Network, _Claim]] = [
        (address.network, _Claim(name, device in local)) for device, address in facts.addresses
    ]
    for docker_network in facts.docker.networks if facts.docker else ():
        claims += ((prefix, _Claim(name, docker=True)) for prefix in docker_network.prefixes)
    claims += ((route.prefix, _Claim(name, route.device in local, route)) for route in facts.foreign_routes)
    return ((network, claim) for network, claim in claims if isinstance(network, IPv4Network))


def _overlaps_claims(
    name: str, facts: HostFacts, block: IPv4Network, claims: Mapping[IPv4Network, Sequence[_Claim]]
) -> bool:
    """Whether a prefix `block` of host `name` overlaps a network of any host, except the host's own Docker networks."""
    own = {address.ip for _device, address in facts.addresses}
    return any(
        not (claim.host == name and claim.docker) and not (claim.route and _harmless(claim.route, block, own))
        for network in claims
        if network.overlaps(block)
        for claim in claims[network]
    )


def _harmless(route: KernelRoute, block: IPv4Network, own: AbstractSet[object]) -> bool:
    """Whether a route acts as a default route, or was added by hand and leads to the host, as a route of the mesh."""
    return route.next_hop in own or (route.prefix != block and leads_out(route, block))


def _block(facts: HostFacts, bridge: IPv4Interface) -> IPv4Network | None:
    """The network of docker0, together with Docker's address pools if they form one block; None if it is no prefix."""
    pools = facts.actual.docker.pools if facts.actual.docker else ()
    bases = [pool.base for pool in pools if isinstance(pool.base, IPv4Network)]
    collapsed = list(collapse_addresses([bridge.network, *bases]))
    block = collapsed[0] if len(collapsed) == 1 else bridge.network
    try:
        addresses.bridge(str(bridge), IPV4)
        addresses.prefix(str(block), IPV4)
    except ValueError:
        return None
    return block


def _docker0(facts: HostFacts) -> IPv4Interface | None:
    return facts.actual.docker.address if facts.actual.docker else None


def _host_devices(facts: HostFacts) -> AbstractSet[str]:
    """The interfaces that reach no other host."""
    return facts.docker_devices | {"lo"}
