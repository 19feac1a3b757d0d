"""What packets meet on a host, as it was read and as it will be once a plan is carried out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dockmesh.core.addresses import IPV4, address_range
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.forecast.docker_restart import after_restart
from dockmesh.core.forecast.host_model import HostModel, RouteEntry
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE, ROUTE_METRIC, ROUTE_PROTOCOL
from dockmesh.core.netfilter.iptables_tables import IptablesRuleset, build_ruleset, with_chain, without_chain
from dockmesh.core.netfilter.verdicts import Reason, ReasonCode
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import Chain, DockerNetworking, HostState, Route, SourceNat, key_of

# Of a network with a bridge and something in it.
_FEWEST = 4


def unknown_host(host: Host, why: str) -> HostModel:
    """A host of which nothing is known but what it should be."""
    first = next(host.prefix.hosts()) if host.prefix else None
    unclear = Reason(ReasonCode.NOT_READ, why)
    return HostModel(host, unclear, host.bridge.ip if host.bridge else first, _free(host.bridge))


def build_model(host: Host, facts: HostFacts, changes: Sequence[Change] = ()) -> HostModel:
    """The host as it was read, with those changes made to it."""
    state = _after(facts.actual, changes)
    restart = next((each for each in changes if isinstance(each.resource, DockerNetworking)), None)
    addresses = tuple((device, each) for device, each in facts.addresses if isinstance(each, IPv4Interface))
    found = HostModel(
        host,
        _unclear(facts, state),
        addresses=addresses,
        links=facts.links,
        sysctls=facts.settings.sysctls,
        iptables=build_ruleset(facts.settings.rules, (each for each in facts.actual.of(Chain) if each.family == IPV4)),
        foreign_nft=facts.settings.foreign_nft,
        firewalld=facts.settings.firewalld,
        source_nat=next((each for each in state.of(SourceNat) if each.family == IPV4), None),
    )
    routes = [each for each in facts.foreign_routes if isinstance(each.prefix, IPv4Network)]
    running = [each.address for each in (facts.docker.containers if facts.docker else ()) if each.address]
    if restart and state.docker and state.docker.address:
        found, running = after_restart(found, facts, state.docker.address)
        link = KernelRoute(state.docker.address.network, None, DOCKER_BRIDGE, "kernel", 0)
        routes = [*(each for each in routes if not _of_docker0(each)), link]
    wall = _walled(found.iptables, changes)
    container = running[0] if running else _free(host.bridge)
    roads = tuple(_roads([*routes, *map(_owned, state.of(Route))]))
    return replace(found, bridge=_bridge(found), container=container, routes=roads, iptables=wall)


def _after(state: HostState, changes: Sequence[Change]) -> HostState:
    """The state with the changes made."""
    made = {key_of(change.resource): change.after for change in changes}
    now = state.by_key() | made if made else state.by_key()
    return HostState(tuple(each for each in now.values() if each is not None))


def _unclear(facts: HostFacts, state: HostState) -> Reason | None:
    if facts.docker_uses_nftables:
        return Reason(ReasonCode.UNPREDICTABLE, "its Docker writes its rules with nftables itself")
    if facts.docker and not (state.docker and state.docker.address):
        return Reason(ReasonCode.UNPREDICTABLE, "the address that docker0 gets is not known")
    unclear = facts.settings.unclear
    return Reason(ReasonCode.UNPREDICTABLE, unclear) if unclear else None


def _bridge(at: HostModel) -> IPv4Address | None:
    """What a probe of the bridge is sent to: without Docker, the address that the host has in its prefix."""
    if at.host.docker:
        return at.host.bridge.ip if at.host.bridge else None
    own = (each.ip for _, each in at.addresses if at.host.prefix and each.ip in at.host.prefix)
    return next(own, None)


def _free(bridge: IPv4Interface | None) -> IPv4Address | None:
    """Where nothing runs, probes take an address that is likely to be free, from above."""
    if bridge is None or bridge.network.num_addresses < _FEWEST:
        return None
    last, one_less = bridge.network[-2], bridge.network[-3]
    return one_less if last == bridge.ip else last


def _of_docker0(route: KernelRoute) -> bool:
    return route.device == DOCKER_BRIDGE and route.protocol == "kernel"


def _owned(route: Route) -> KernelRoute:
    return KernelRoute(route.prefix, route.next_hop, route.device, ROUTE_PROTOCOL, ROUTE_METRIC)


def _roads(routes: Sequence[KernelRoute]) -> Iterator[RouteEntry]:
    best_first = sorted(routes, key=lambda each: (-each.prefix.prefixlen, each.metric))
    for each in best_first:
        if isinstance(each.prefix, IPv4Network):
            yield RouteEntry(each, address_range(each.prefix), int(each.next_hop) if each.next_hop else None)


def _walled(wall: IptablesRuleset, changes: Sequence[Change]) -> IptablesRuleset:
    for change in changes:
        chain, before = change.resource, change.before
        if not isinstance(chain, Chain) or chain.family != IPV4:
            continue
        if change.after is None:
            wall = without_chain(wall, chain)
        else:
            hooked = isinstance(before, Chain) and before.hook == chain.hook
            wall = with_chain(wall, chain, hooked=hooked)
    return wall
