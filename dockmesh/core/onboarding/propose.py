"""What to say of hosts to begin with: the address for their peers, and prefixes that leave alone what can stay."""

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

_SHORTEST_SHARED = 30


@dataclass(frozen=True, slots=True)
class ProposedHost:
    """A host as the inventory shall begin with it, or why it is left out. `meant`: and nothing is lost by that.

    `stays`: its docker0 is as it was found. `moves`: where it was found else. `lan`: where its underlay lies.
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
    """Who has a network: in its Docker or without, as an address or as a route."""

    host: str
    docker: bool
    route: KernelRoute | None = None


def propose(
    hosts: Sequence[Host], found: Mapping[str, HostFacts | HostError], settings: Settings, *, file: str
) -> tuple[ProposedHost, ...]:
    """What to propose of hosts that were asked.

    A host without facts is left out, and draws nothing. docker0 stays where its network is apart from all that any
    other host has; the rest get prefixes out of the pool, clear of everything that was found.

    Raises:
        UsageError: the pool has too little left.
    """
    facts = {name: one for name, one in found.items() if not isinstance(one, HostError)}
    lan = _lan(hosts, facts)
    once = list(_once(_located(host, found[host.name], lan) for host in hosts))
    facts = {each.name: facts[each.name] for each in once if each.host}
    kept = dict(_kept(facts))
    proposed = [_keeping(each, facts, kept) for each in once]
    fleet = Fleet(settings, tuple(each.host for each in proposed if each.host))
    clear_of = used_networks(fleet, facts)
    return _drawn(proposed, with_prefixes(fleet, allocate(fleet, fleet.hosts, file=file, clear_of=clear_of)))


def propose_unread(
    hosts: Sequence[Host], underlays: Mapping[str, IPv4Address], settings: Settings, *, file: str
) -> tuple[ProposedHost, ...]:
    """What to propose of hosts that nobody asked: all have Docker; those without an underlay are left out.

    Raises:
        UsageError: the pool has too little.
    """
    why = "its address in the LAN is not known: there is none by that name"
    proposed = [
        ProposedHost(host.name, replace(host, underlay=underlays[host.name]))
        if host.name in underlays
        else ProposedHost(host.name, why=why)
        for host in hosts
    ]
    proposed = list(_once(proposed))
    fleet = Fleet(settings, tuple(each.host for each in proposed if each.host))
    return _drawn(proposed, with_prefixes(fleet, allocate(fleet, fleet.hosts, file=file)))


def _located(host: Host, found: HostFacts | HostError, lan: IPv4Network | None) -> ProposedHost:
    if isinstance(found, HostError):
        return ProposedHost(host.name, why=str(found))
    own = list(_own(found))
    here = sorted(own, key=lambda one: (one.network != lan, str(one.ip) != host.login.address))
    if not here:
        return ProposedHost(host.name, why="it has no IPv4 address that peers could use")
    known = replace(host, underlay=here[0].ip, docker=found.docker is not None)
    return ProposedHost(host.name, known, lan=here[0].network)


def _once(proposed: Iterable[ProposedHost]) -> Iterator[ProposedHost]:
    """Each machine once, also where it is called by two names; and each address, for the inventory has it once."""
    machines: dict[IPv4Address, str] = {}
    reached: dict[str, str] = {}
    for each in proposed:
        host = each.host
        if host is None:
            yield each
        elif host.underlay in machines:
            yield ProposedHost(each.name, why=f"{host.underlay} is {machines[host.underlay]} already", intentional=True)
        elif (address := host.login.address.lower().rstrip(".")) in reached:
            why = f"address {address} is that of {reached[address]} already: give it a name in ~/.ssh/config"
            yield ProposedHost(each.name, why=why)
        else:
            machines[host.underlay] = reached[address] = each.name
            yield each


def _keeping(each: ProposedHost, facts: Mapping[str, HostFacts], kept: Mapping[str, IPv4Network]) -> ProposedHost:
    host, found = each.host, facts.get(each.name)
    if host is None or found is None or not host.docker:
        return each
    bridge = _docker0(found)
    if bridge is None or each.name not in kept:
        return replace(each, old_docker0=bridge)
    return replace(each, host=replace(host, prefix=kept[each.name], bridge=bridge), keeps_docker0=True)


def _drawn(proposed: Iterable[ProposedHost], fleet: Fleet) -> tuple[ProposedHost, ...]:
    return tuple(replace(each, host=fleet.host(each.name)) if each.host else each for each in proposed)


def _lan(hosts: Iterable[Host], facts: Mapping[str, HostFacts]) -> IPv4Network | None:
    """The network most hosts are in; of several, the one in which SSH reaches most."""
    within: Counter[IPv4Network] = Counter()
    reached: Counter[IPv4Network] = Counter()
    for host in (host for host in hosts if host.name in facts):
        own = list(_own(facts[host.name]))
        within.update({one.network for one in own if one.network.prefixlen <= _SHORTEST_SHARED})
        reached.update({one.network for one in own if str(one.ip) == host.login.address})
    order = sorted(within, key=lambda network: (-within[network], -reached[network], network))
    return order[0] if order else None


def _own(facts: HostFacts) -> Iterator[IPv4Interface]:
    """The addresses that peers might use."""
    local = _host_devices(facts)
    for device, address in facts.addresses:
        if isinstance(address, IPv4Interface) and device not in local:
            try:
                addresses.next_hop(address.ip)
            except ValueError:
                continue
            yield address


def _kept(facts: Mapping[str, HostFacts]) -> Iterator[tuple[str, IPv4Network]]:
    """The hosts whose docker0 can stay, each with what is then its prefix."""
    claims: dict[IPv4Network, list[_Claim]] = {}
    for name, found in facts.items():
        for network, claim in _claims(name, found):
            claims.setdefault(network, []).append(claim)
    for name, found in facts.items():
        bridge = _docker0(found) if found.docker else None
        block = _block(found, bridge) if bridge else None
        if block and not _taken(name, found, block, claims):
            yield name, block


def _claims(name: str, facts: HostFacts) -> Iterator[tuple[IPv4Network, _Claim]]:
    local = _host_devices(facts)
    found: list[tuple[Network, _Claim]] = [
        (address.network, _Claim(name, device in local)) for device, address in facts.addresses
    ]
    for one in facts.docker.networks if facts.docker else ():
        found += ((prefix, _Claim(name, docker=True)) for prefix in one.prefixes)
    found += ((route.prefix, _Claim(name, route.device in local, route)) for route in facts.foreign_routes)
    return ((network, claim) for network, claim in found if isinstance(network, IPv4Network))


def _taken(name: str, facts: HostFacts, block: IPv4Network, claims: Mapping[IPv4Network, Sequence[_Claim]]) -> bool:
    """Whether `block` as the prefix of `name` overlaps what any host has. Its own Docker networks may lie in it."""
    own = {address.ip for _device, address in facts.addresses}
    return any(
        not (claim.host == name and claim.docker) and not (claim.route and _harmless(claim.route, block, own))
        for network in claims
        if network.overlaps(block)
        for claim in claims[network]
    )


def _harmless(route: KernelRoute, block: IPv4Network, own: AbstractSet[object]) -> bool:
    """A way out, or one that leads to the host itself: made by hand, as the mesh would have it."""
    return route.next_hop in own or (route.prefix != block and leads_out(route, block))


def _block(facts: HostFacts, bridge: IPv4Interface) -> IPv4Network | None:
    """docker0's network, and all of Docker's pools where these make one block with it; None where it is no prefix."""
    pools = facts.actual.docker.pools if facts.actual.docker else ()
    bases = [pool.base for pool in pools if isinstance(pool.base, IPv4Network)]
    whole = list(collapse_addresses([bridge.network, *bases]))
    block = whole[0] if len(whole) == 1 else bridge.network
    try:
        addresses.bridge(str(bridge), IPV4)
        addresses.prefix(str(block), IPV4)
    except ValueError:
        return None
    return block


def _docker0(facts: HostFacts) -> IPv4Interface | None:
    return facts.actual.docker.address if facts.actual.docker else None


def _host_devices(facts: HostFacts) -> AbstractSet[str]:
    """The interfaces that no other host is on."""
    return facts.docker_devices | {"lo"}
