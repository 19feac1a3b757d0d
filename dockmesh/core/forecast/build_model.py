"""Builds the model of a host from its facts, optionally with the changes of a plan applied."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dockmesh.core.addresses import IPV4, address_range, memoized
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.forecast.docker_restart import after_restart
from dockmesh.core.forecast.host_model import HostModel, RouteEntry
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE, ROUTE_METRIC, ROUTE_PROTOCOL
from dockmesh.core.netfilter.iptables_rules import parse_rule
from dockmesh.core.netfilter.iptables_tables import IptablesRuleset, build_ruleset, with_accept_rules
from dockmesh.core.netfilter.verdicts import Reason, ReasonCode
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import AcceptRules, DockerNetworking, HostState, NftTable, Route, key_of

# A network with a bridge and a container has at least this many addresses.
_MIN_ADDRESSES = 4


def unknown_host(host: Host, reason: str) -> HostModel:
    """Model of a host without facts: only the addresses from the inventory are known."""
    first = next(host.prefix.hosts()) if host.prefix else None
    unclear = Reason(ReasonCode.NOT_READ, reason)
    return HostModel(host, unclear, host.bridge.ip if host.bridge else first, _free_address(host.bridge))


def build_model(host: Host, facts: HostFacts, changes: Sequence[Change] = ()) -> HostModel:
    """Model of the host as its facts describe it, with `changes` applied."""
    state = _state_after(facts.actual, changes)
    restart = next((each for each in changes if isinstance(each.resource, DockerNetworking)), None)
    addresses = tuple((device, each) for device, each in facts.addresses if isinstance(each, IPv4Interface))
    model = HostModel(
        host,
        _unclear(facts, state),
        addresses=addresses,
        links=facts.links,
        sysctls=facts.settings.sysctls,
        iptables=build_ruleset(facts.settings.rules),
        foreign_nft=facts.settings.foreign_nft,
        firewalld=facts.settings.firewalld,
        table=next((each for each in state.of(NftTable) if each.family == IPV4), None),
        mark=_accepted_mark(state),
        joined=_has_joined(host, state),
    )
    routes = [each for each in facts.foreign_routes if isinstance(each.prefix, IPv4Network)]
    containers = [each.address for each in (facts.docker.containers if facts.docker else ()) if each.address]
    if restart and state.docker and state.docker.address:
        model, containers = after_restart(model, facts, state.docker.address)
        connected = KernelRoute(state.docker.address.network, None, DOCKER_BRIDGE, "kernel", 0)
        routes = [*(each for each in routes if not _connected_to_docker0(each)), connected]
    return replace(
        model,
        bridge=_bridge_address(model),
        container=containers[0] if containers else _free_address(host.bridge),
        routes=_best_first([*map(_entry, routes), *_own_entries(state)]),
        iptables=_iptables_after(model.iptables, changes),
    )


def _state_after(state: HostState, changes: Sequence[Change]) -> HostState:
    if not changes:
        return state
    resources = state.by_key() | {key_of(change.resource): change.after for change in changes}
    return HostState(tuple(each for each in resources.values() if each is not None))


def _unclear(facts: HostFacts, state: HostState) -> Reason | None:
    if facts.docker_uses_nftables:
        return Reason(ReasonCode.UNPREDICTABLE, "Docker uses its nftables backend, which the forecast does not model")
    if facts.docker and not (state.docker and state.docker.address):
        return Reason(ReasonCode.UNPREDICTABLE, "the future address of docker0 is unknown")
    unclear = facts.settings.unclear
    return Reason(ReasonCode.UNPREDICTABLE, unclear) if unclear else None


def _has_joined(host: Host, state: HostState) -> bool:
    docker0 = state.docker.address if state.docker else None
    if host.bridge and docker0 != host.bridge:
        return False
    return any(each.family == IPV4 for each in state.of(NftTable)) or any(
        isinstance(each.prefix, IPv4Network) for each in state.of(Route)
    )


def _bridge_address(model: HostModel) -> IPv4Address | None:
    """Target of bridge probes. Without Docker, it is the address of the host inside its prefix."""
    if model.host.docker:
        return model.host.bridge.ip if model.host.bridge else None
    in_prefix = (each.ip for _, each in model.addresses if model.host.prefix and each.ip in model.host.prefix)
    return next(in_prefix, None)


def _free_address(bridge: IPv4Interface | None) -> IPv4Address | None:
    """Address of the probe target on a host without containers. Docker assigns the highest addresses last."""
    if bridge is None or bridge.network.num_addresses < _MIN_ADDRESSES:
        return None
    last, second_last = bridge.network[-2], bridge.network[-3]
    return second_last if last == bridge.ip else last


def _connected_to_docker0(route: KernelRoute) -> bool:
    return route.device == DOCKER_BRIDGE and route.protocol == "kernel"


def _own_entries(state: HostState) -> Iterator[RouteEntry]:
    return (_own_entry(each) for each in state.of(Route) if isinstance(each.prefix, IPv4Network))


@memoized
def _own_entry(route: Route) -> RouteEntry:
    """The entry of a route, computed once for all hosts that have it."""
    return _entry(KernelRoute(route.prefix, route.next_hop, route.device, ROUTE_PROTOCOL, ROUTE_METRIC))


def _entry(route: KernelRoute) -> RouteEntry:
    return RouteEntry(route, address_range(route.prefix), int(route.next_hop) if route.next_hop else None)


def _best_first(entries: Sequence[RouteEntry]) -> tuple[RouteEntry, ...]:
    return tuple(sorted(entries, key=lambda each: (-each.route.prefix.prefixlen, each.route.metric)))


def _accepted_mark(state: HostState) -> int:
    """The bit that dockmesh's iptables rules accept; 0 without such rules."""
    rules = (parse_rule(text) for each in state.of(AcceptRules) if each.family == IPV4 for text in each.rules)
    marks = (match.mark for rule in rules if rule for match in rule.matches if match.mark)
    return next((mark.value for mark in marks if mark.value == mark.mask), 0)


def _iptables_after(ruleset: IptablesRuleset, changes: Sequence[Change]) -> IptablesRuleset:
    for change in changes:
        place = change.resource
        if isinstance(place, AcceptRules) and place.family == IPV4:
            wanted = change.after.rules if isinstance(change.after, AcceptRules) else ()
            ruleset = with_accept_rules(ruleset, (place.table, place.chain), wanted)
    return ruleset
