"""The conflicts and notes of a host, each with its remedy."""

import re
from collections.abc import Iterable, Iterator, Sequence

from dockmesh.core.addresses import FAMILIES, IPV4, Family, Network, family_of, is_inside
from dockmesh.core.desired import docker_nftables
from dockmesh.core.desired.routing import is_on_link, shared_route
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.facts.unconfirmed import PendingChange
from dockmesh.core.host_output import sanitize
from dockmesh.core.model import DEFAULT_MARK, Fleet, Host, HostNetwork
from dockmesh.core.names import COMMENT, REASSERT_SCRIPT, REVERTED_RECORD, ROUTE_METRIC
from dockmesh.core.peers import Peers, peers
from dockmesh.core.planning.conflicts.docker import docker_conflicts
from dockmesh.core.planning.conflicts.ipv6 import ipv6_conflicts
from dockmesh.core.planning.conflicts.moved_bridge import moved_bridge_conflicts, moved_bridge_notes
from dockmesh.core.planning.conflicts.mtu import mtu_notes
from dockmesh.core.planning.findings import Conflict, ConflictCode, Note, NoteCode, limited
from dockmesh.core.planning.prefix_index import PrefixIndex
from dockmesh.core.state.daemon_json import DIRECT_ROUTING_KEY
from dockmesh.core.state.resources import FORWARDING
from dockmesh.core.text import listed

_INSTALL_NFT = "apt-get install nftables, or the package of that name of the host's distribution"
# The routes that a conflict names. It counts the others.
_EXAMPLES = 3


def conflicts(fleet: Fleet, host: Host, facts: HostFacts, smallest: SmallestUplink) -> Iterator[Conflict]:
    """Yield every conflict of `host`, in a stable order, or the first ones of each code."""
    return limited(_conflicts(fleet, host, facts, smallest))


def removal_conflicts(facts: HostFacts) -> Iterator[Conflict]:
    """Yield the conflicts of a change that may remove the host from the mesh.

    Without nft, the host cannot list the table, and would keep it.
    """
    script = facts.file(REASSERT_SCRIPT)
    if "nft" not in facts.tools and script and "put_nft_table ip" in script.text:
        yield Conflict(
            ConflictCode.NFT_MISSING,
            "nft",
            "it is not installed, and dockmesh needs it to change the table of this host",
            _INSTALL_NFT,
        )


def notes(host: Host, facts: HostFacts, smallest: SmallestUplink, mark: int = DEFAULT_MARK) -> Iterator[Note]:
    """Yield every note of `host`, in a stable order, or the first ones of each code. `mark` is that of the mesh."""
    return limited(_notes(host, facts, smallest, mark))


def _conflicts(fleet: Fleet, host: Host, facts: HostFacts, smallest: SmallestUplink) -> Iterator[Conflict]:
    yield from _underlay(host, facts)
    yield from _next_hops(fleet, host, facts)
    yield from _networks(fleet, host, facts)
    yield from _foreign_routes(fleet, host, facts)
    yield from _firewall(host, facts, fleet.settings.mark)
    yield from ipv6_conflicts(host, facts)
    if facts.docker:
        yield from docker_conflicts(fleet, host, facts, facts.docker, smallest)
        yield from moved_bridge_conflicts(host, facts, facts.docker)
    elif host.prefix and not facts.ip_forward:
        yield Conflict(
            ConflictCode.IP_FORWARD_OFF,
            "ip_forward",
            f"the host does not forward IPv4, so peers cannot reach {host.prefix}",
            f"sysctl -w {FORWARDING[IPV4]}=1",
        )


def _notes(host: Host, facts: HostFacts, smallest: SmallestUplink, mark: int) -> Iterator[Note]:
    yield from _mark_uses(facts, mark)
    if facts.docker_uses_nftables and facts.forward_drops:
        yield Note(
            NoteCode.FORWARD_POLICY_DROP,
            "FORWARD",
            "the policy of this iptables chain is DROP, perhaps set by Docker before it used nftables; packets that no "
            "rule of the chain accepts do not reach containers",
            "iptables -P FORWARD ACCEPT",
        )
    opened = facts.docker_uses_nftables and docker_nftables.opened_direct_routing(facts.actual)
    exposed = f", and {DIRECT_ROUTING_KEY} opens its published ports to every machine with a route" * opened
    for network in facts.user_networks:
        for prefix in network.prefixes:
            own = host.network(family_of(prefix))
            if own and own.prefix and not is_inside(prefix, own.prefix):
                yield Note(
                    NoteCode.NETWORK_OUTSIDE_PREFIX,
                    f"network {network.name}",
                    f"{prefix} is outside {own.prefix}, so peers cannot reach it{exposed}",
                    _remedy(own),
                )
    if facts.docker:
        yield from mtu_notes(facts, facts.docker, smallest)
        yield from moved_bridge_notes(host, facts, facts.docker)


def _firewall(host: Host, facts: HostFacts, mark: int) -> Iterator[Conflict]:
    if any(stack.prefix for stack in filter(None, map(host.network, FAMILIES))) and "nft" not in facts.tools:
        yield Conflict(
            ConflictCode.NFT_MISSING,
            "nft",
            "it is not installed, and dockmesh needs it to accept packets from peers",
            _INSTALL_NFT,
        )
    drops = [line for line in facts.settings.foreign_nft if "hook forward" in line and "policy drop" in line]
    # A host with iptables that Docker does not use for containers has no rule of dockmesh there either.
    no_rules = facts.docker_uses_nftables or not facts.has_iptables(IPV4)
    if host.prefix and drops and no_rules and mark not in facts.settings.nft_bits:
        yield Conflict(
            ConflictCode.FOREIGN_CHAIN_DROPS,
            "nft",
            f"the policy of a foreign nft chain drops forwarded packets ({sanitize(drops[0].strip())}), and an accept "
            "of dockmesh does not prevent that",
            f"add a rule to that chain: meta mark & {mark:#x} == {mark:#x} accept",
        )


# A rule of iptables or ip that tests or sets marks: the value and the mask.
_MARK = re.compile(
    r" (?P<verb>--mark|--set-x?mark|--or-mark|--tproxy-mark|fwmark) "
    r"(?P<value>0x[0-9a-f]{1,8}|0|[1-9][0-9]{0,9})(?:/(?P<mask>0x[0-9a-f]{1,8}))?(?![\w/])"
)
_TESTS = {"--mark", "fwmark"}
_ALL_BITS = 0xFFFFFFFF


def _mark_uses(facts: HostFacts, mark: int) -> Iterator[Note]:
    """A note if rules of others use the mark of the mesh."""
    foreign = (rule for rule in facts.settings.rules if f" --comment {COMMENT} " not in rule)
    used = [rule for rule in (*facts.settings.ip_rules, *foreign) if _uses(rule, mark)]
    if used:
        yield Note(
            NoteCode.MARK_IN_USE,
            "mark",
            f"other software uses the mark {mark:#x} of the mesh: {sanitize(used[0])}"
            + (f", and {len(used) - 1} more" if len(used) > 1 else ""),
            "set mark in the inventory to another bit",
        )


def _uses(rule: str, mark: int) -> bool:
    """Whether a rule tests the bit, or sets it. A rule that only clears it does no harm.

    A test of all bits is for packets of one mark. Another bit would not help them.
    """
    return any(_uses_bit(found, mark) for found in _MARK.finditer(rule))


def _uses_bit(found: re.Match[str], mark: int) -> bool:
    value, mask = int(found["value"], 0), int(found["mask"], 0) if found["mask"] else _ALL_BITS
    if found["verb"] in _TESTS and mask != _ALL_BITS:
        return bool(mask & mark)
    return bool(value & mark)


def _remedy(own: HostNetwork) -> str:
    if own.bridge and own.bridge.network == own.prefix:
        return "docker0 uses the whole prefix: set bridge to a part of it, and create the network again"
    return "create the network again; Docker gives it a prefix of the host (with Compose: down, then up)"


def pending_change(host: Host, pending: PendingChange) -> Conflict:
    """The conflict of every change but a rollback with a pending change."""
    return Conflict(ConflictCode.CHANGE_PENDING, "/etc/dockmesh/pending", pending.message, pending.remedy(host.name))


def reverted_change(facts: HostFacts) -> Iterator[Note]:
    """Yield a note about a change that the host reverted by itself."""
    if reverted := facts.reverted:
        yield Note(NoteCode.CHANGE_REVERTED, REVERTED_RECORD, reverted.message, reverted.remedy)


def _underlay(host: Host, facts: HostFacts) -> Iterator[Conflict]:
    own = {address.ip for _device, address in facts.addresses}
    for stack in filter(None, map(host.network, FAMILIES)):
        if stack.underlay not in own:
            yield Conflict(
                ConflictCode.UNDERLAY_MISSING,
                str(stack.underlay),
                "no interface of the host has this address, so peers cannot use it as next hop",
                f"set {'underlay' if family_of(stack.underlay) == IPV4 else 'underlay6'} to an address of the host",
            )


def _next_hops(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    others = peers(fleet, host)
    for family in filter(host.network, FAMILIES):
        if not is_on_link(shared_route(others, family, facts.peer_routes)):
            yield from _next_hops_of(family, others, facts)


def _next_hops_of(family: Family, peers: Peers, facts: HostFacts) -> Iterator[Conflict]:
    for peer in peers:
        stack = peer.network(family)
        if stack is None:
            continue
        route = facts.peer_routes.get(stack.underlay)
        key = str(stack.underlay)
        if route is None:
            yield Conflict(
                ConflictCode.NO_PATH_TO_PEER,
                key,
                f"the kernel has no route to {peer.name}",
                "give both hosts an underlay address in one LAN",
            )
        elif route.local:
            yield Conflict(
                ConflictCode.UNDERLAY_IS_OWN_ADDRESS,
                key,
                f"the inventory gives this address to {peer.name}, but it belongs to this host",
                f"correct the underlay of {peer.name} in the inventory",
            )
        elif route.next_hop is not None and stack.prefix:
            yield Conflict(
                ConflictCode.NEXT_HOP_OFF_LINK,
                key,
                f"the underlay of {peer.name} is off-link (via {route.next_hop} dev {route.device}), but a next hop "
                "must be on-link",
                f"give both hosts an underlay address in one LAN, or add a route to {stack.prefix} on {route.next_hop}",
            )


def _networks(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Overlaps with the host's own networks. Docker moves docker0, but no other Docker network."""
    stacks = [stack for family in FAMILIES if (stack := host.network(family))]
    own = [stack.prefix for stack in stacks if stack.prefix]
    dockers = facts.docker_devices if host.docker else frozenset()
    connected = [
        (address.network, f"{address.network} on {sanitize(device)}")
        for device, address in facts.addresses
        if device not in dockers and not (not host.docker and any(is_inside(address.network, prefix) for prefix in own))
    ]
    docker = [
        (prefix, f"Docker network {network.name} ({prefix})")
        for network in facts.user_networks
        for prefix in network.prefixes
    ]
    for code, networks in ((ConflictCode.PREFIX_OVERLAP, connected), (ConflictCode.DOCKER_NETWORK_OVERLAP, docker)):
        for each in _prefixes(fleet, host).overlaps(networks):
            yield _overlap(code, each.key, each.subject, each.found, several=len(each.prefixes) > 1)
    for prefix in own:
        yield from _overlaps(ConflictCode.OWN_PREFIX_OVERLAP, prefix, "the host's own prefix", connected)
    for stack in stacks:
        if stack.bridge:
            yield from _overlaps(ConflictCode.BRIDGE_OVERLAP, stack.bridge.network, "the network of docker0", docker)


def _prefixes(fleet: Fleet, host: Host) -> PrefixIndex:
    """The peers' prefixes, of the families that the host joins."""
    return PrefixIndex(fleet, host.name, tuple(filter(host.network, FAMILIES)))


def _overlaps(
    code: ConflictCode, prefix: Network, subject: str, networks: Iterable[tuple[Network, str]]
) -> Iterator[Conflict]:
    """Yield one conflict of the prefix with all networks that overlap it, if there are any."""
    if found := [name for network, name in networks if prefix.overlaps(network)]:
        yield _overlap(code, str(prefix), subject, found)


def _overlap(code: ConflictCode, key: str, subject: str, found: Sequence[str], *, several: bool = False) -> Conflict:
    return Conflict(
        code,
        key,
        f"{subject} {'overlap' if several else 'overlaps'} {listed(found)}",
        f"choose another prefix, or remove or renumber {'that network' if len(found) == 1 else 'those networks'}",
    )


def _foreign_routes(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Foreign routes that take packets from a peer's prefix, or from which the mesh would take packets.

    A default route, or half of one, does neither.
    """
    routes = (each for each in facts.foreign_routes if each.protocol != "kernel" and not each.is_default)
    for overlap in _prefixes(fleet, host).overlaps((route.prefix, route) for route in routes):
        winning = [each for each in overlap.found if overlap.of_peer and _wins(each, overlap.outer)]
        losing = [each for each in overlap.found if each.on_link and each.prefix == overlap.outer]
        if overlap.of_peer:
            losing = [each for each in losing if not _wins(each, overlap.outer)]
        if winning:
            yield Conflict(
                ConflictCode.FOREIGN_ROUTE_WINS,
                overlap.key,
                f"{_routes_text(winning)} {'takes' if len(winning) == 1 else 'take'} precedence over the route to "
                f"{next(iter(overlap.prefixes))}",
                _deletion(winning),
            )
        if losing:
            verb = "is" if len(overlap.prefixes) == 1 else "are"
            yield Conflict(
                ConflictCode.INSIDE_FOREIGN_NETWORK,
                overlap.key,
                f"{overlap.subject} {verb} inside a foreign network, perhaps of a VPN: {_routes_text(losing)}",
                "choose another prefix, or replace that route by more specific ones",
            )


def _routes_text(routes: Sequence[KernelRoute]) -> str:
    number = "a foreign route" if len(routes) == 1 else f"{len(routes)} foreign routes"
    more = [f"{len(routes) - _EXAMPLES} more"] if len(routes) > _EXAMPLES else []
    return f"{number} ({'; '.join([*map(_route_text, routes[:_EXAMPLES]), *more])})"


def _deletion(routes: Sequence[KernelRoute]) -> str:
    commands = [f"{_ip(each.prefix)} route del {each.prefix} metric {each.metric}" for each in routes[:_EXAMPLES]]
    more = [f"and likewise for {len(routes) - _EXAMPLES} more"] if len(routes) > _EXAMPLES else []
    return "; ".join([*commands, *more])


def _ip(prefix: Network) -> str:
    return "ip" if family_of(prefix) == IPV4 else "ip -6"


def _route_text(route: KernelRoute) -> str:
    via = f" via {route.next_hop}" if route.next_hop else ""
    device = f" dev {route.device}" if route.device else ""
    return sanitize(f"{route.prefix}{via}{device}, proto {route.protocol}, metric {route.metric}")


def _wins(route: KernelRoute, prefix: Network) -> bool:
    """Whether a route to the prefix, or to a part of it, takes precedence over the mesh route."""
    return route.prefix != prefix or route.metric <= ROUTE_METRIC
