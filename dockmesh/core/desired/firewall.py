"""The firewall of a host: it accepts packets from its peers, on their uplink, to its own prefix.

Docker drops these packets in two places. The policy of filter FORWARD is DROP since 1.13, and DOCKER-USER runs before
it. Since 28.2, Docker also appends a drop per container address to raw PREROUTING, so an earlier accept wins.

An nft table with a set of the peers marks the packets, and one rule in each place accepts the mark. So the number of
rules that a packet meets does not grow with the fleet, and a new peer changes only elements of the set. Docker's
nftables backend (29 and later) has no place for rules of others. It accepts packets with the mark that daemon.json
names, if daemon.json also allows direct routing (`NftAdmission`).

The chains of the table, with their priorities:

- `inbound` (-310) runs before raw (-300). It clears the mark, so that no other host or container can set it.
- `forward` (-1) runs before Docker's filter. It clears and sets the mark again, since rules between the two may change
  it. For example, wg-quick restores the mark of UDP connections. Docker decides about published ports (DNAT). The drops
  of the chain are final: for `allow`; against other hosts where Docker has no IPv6 rules (before 27); and against them
  where dockmesh allowed direct routing, which would open published ports, even those on 127.0.0.1.
- `source` (99) runs before Docker's masquerade. A source NAT to the same address prevents it, since the kernel
  translates a connection's source only once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dockmesh.core.addresses import IPV4, Family, Network, host_network, interned, short_text, sort_key
from dockmesh.core.desired.routing import shared_route
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Allow, Host
from dockmesh.core.names import COMMENT
from dockmesh.core.peers import Peers
from dockmesh.core.state.resources import AcceptRules, NftTable, PeerSet, nft_family_name

_ICMP: dict[Family, str] = {4: "icmp", 6: "ipv6-icmp"}


@dataclass(frozen=True, slots=True)
class _Networks:
    """The networks of a peer: its underlay address and its prefix."""

    family: Family

    def __call__(self, peer: Host) -> Iterator[Network]:
        # The host's own probes and masqueraded packets have the underlay address as source.
        if stack := peer.network(self.family):
            yield interned(host_network(stack.underlay))
            if stack.prefix:
                yield interned(stack.prefix)


@dataclass(frozen=True, slots=True)
class _Uplink:
    """An uplink of the host with the set of the peers behind it."""

    device: str
    peers: PeerSet

    def packets(self, ip: str, direction: str) -> str:
        """The match of packets from the peers (`inbound`) or to them (`outbound`)."""
        if direction == "inbound":
            return f'iifname "{self.device}" {ip} saddr @{self.peers.name}'
        return f'oifname "{self.device}" {ip} daddr @{self.peers.name}'


@dataclass(frozen=True, slots=True)
class FirewallOptions:
    """The parts of a host's firewall that the mesh and its Docker decide.

    `mark` is a single bit. `own_source`: peers see the containers' own addresses. `closed`: drop packets from all hosts
    but the peers. `outbound`: also accept packets to the peers, which Docker does only for its own bridges.
    """

    mark: int
    own_source: bool
    closed: bool
    outbound: bool


def accept_rules(host: Host, facts: HostFacts, family: Family, options: FirewallOptions) -> tuple[AcceptRules, ...]:
    """Return the iptables rules of `host` that accept the mark; the host has a prefix of the family.

    Each names the prefix too, so that a mark of other software opens nothing else.
    """
    own = host.network(family)
    if own is None or own.prefix is None or facts.docker_uses_nftables or not facts.has_iptables(family):
        return ()
    mark = f"-m mark --mark {options.mark:#x}/{options.mark:#x} -m comment --comment {COMMENT} -j ACCEPT"
    inbound = f"-d {own.prefix} {mark}"
    hook = "DOCKER-USER" if host.docker and (family == IPV4 or family in facts.docker_user) else "FORWARD"
    rules = (f"-s {own.prefix} {mark}", inbound) if options.outbound else (inbound,)
    forward = AcceptRules("filter", hook, rules, family)
    return (forward, AcceptRules("raw", "PREROUTING", (inbound,), family)) if host.docker else (forward,)


def nft_table(host: Host, peers: Peers, facts: HostFacts, family: Family, options: FirewallOptions) -> NftTable | None:
    """Return the nft table of `host`; None if it has no prefix of the family, or no peers and nothing to drop."""
    own = host.network(family)
    if own is None or own.prefix is None:
        return None
    uplinks = _uplinks(peers, facts, family)
    if not (uplinks or options.closed):
        return None
    chains = [
        _inbound(own.prefix, uplinks, family, options),
        _forward(own.prefix, uplinks, host.allow, family, options),
    ]
    if host.allow is not None:
        chains.append(_allowed(host.allow, family, options))
    if options.own_source and uplinks:
        chains.append(_source(own.prefix, uplinks, family))
    return NftTable(tuple(each.peers for each in uplinks), tuple(line for each in chains for line in each), family)


def _uplinks(peers: Peers, facts: HostFacts, family: Family) -> tuple[_Uplink, ...]:
    """The uplinks with peers, in the order of their names. Peers without a route are left out."""
    if shared := shared_route(peers, family, facts.peer_routes):
        return (_Uplink(shared.device, PeerSet("peers", peers.for_each(_Networks(family), key=sort_key))),)
    found: dict[str, list[Network]] = {}
    for peer in peers:
        if (stack := peer.network(family)) and (route := facts.peer_routes.get(stack.underlay)):
            found.setdefault(route.device, []).extend(_Networks(family)(peer))
    names = ["peers"] if len(found) == 1 else [f"peers{number}" for number in range(1, len(found) + 1)]
    return tuple(
        _Uplink(device, PeerSet(name, tuple(sorted(found[device], key=sort_key))))
        for name, device in zip(names, sorted(found), strict=True)
    )


def _chain(name: str, *lines: str) -> Sequence[str]:
    return (f"chain {name} {{", *lines, "}")


def _mark(options: FirewallOptions) -> str:
    return f"meta mark set meta mark | 0x{options.mark:08x}"


def _cleared(options: FirewallOptions) -> str:
    return f"meta mark set meta mark & 0x{0xFFFFFFFF & ~options.mark:08x}"


def _inbound(prefix: Network, uplinks: Sequence[_Uplink], family: Family, options: FirewallOptions) -> Sequence[str]:
    ip = nft_family_name(family)
    # The destination comes first, so that other packets, such as replies from the internet, need no lookup in the set.
    return _chain(
        "inbound",
        "type filter hook prerouting priority -310; policy accept;",
        _cleared(options),
        *(f"{ip} daddr {short_text(prefix)} {each.packets(ip, 'inbound')} {_mark(options)}" for each in uplinks),
    )


def _forward(
    prefix: Network,
    uplinks: Sequence[_Uplink],
    allow: tuple[Allow, ...] | None,
    family: Family,
    options: FirewallOptions,
) -> Sequence[str]:
    ip, own = nft_family_name(family), short_text(prefix)
    verdict = f"{_mark(options)} accept" if allow is None else "goto allowed"
    # Rules before this chain may have set the mark.
    lines = [_cleared(options)]
    if options.outbound:
        lines += [f"{ip} saddr {own} {each.packets(ip, 'outbound')} {_mark(options)}" for each in uplinks]
    lines += [f"{ip} daddr != {own} accept", "ct status dnat accept"]
    lines += [f"{each.packets(ip, 'inbound')} {verdict}" for each in uplinks]
    if options.closed:
        # Another host may forge an address of the prefix.
        strangers = (*(f'iifname "{each.device}"' for each in uplinks), f"{ip} saddr != {own}")
        lines += ["ct state established,related accept", *(f"{each} counter drop" for each in strangers)]
    return _chain("forward", "type filter hook forward priority -1; policy accept;", *lines)


def _allowed(allow: tuple[Allow, ...], family: Family, options: FirewallOptions) -> Sequence[str]:
    """The packets from peers that `allow` accepts.

    ICMP is always accepted for probes and for errors such as "fragmentation needed".
    """
    matches = (f"meta l4proto {_ICMP[family]}", "ct state established,related", *map(_allow, allow))
    return _chain("allowed", *(f"{match} {_mark(options)} accept" for match in matches), "counter drop")


def _allow(allow: Allow) -> str:
    if allow.first is None:
        return f"meta l4proto {allow.protocol}"
    ports = str(allow.first) if allow.first == allow.last else f"{allow.first}-{allow.last}"
    return f"{allow.protocol} dport {ports}"


def _source(prefix: Network, uplinks: Sequence[_Uplink], family: Family) -> Sequence[str]:
    ip = nft_family_name(family)
    return _chain(
        "source",
        "type nat hook postrouting priority 99; policy accept;",
        *(f"{ip} saddr {short_text(prefix)} {ip} daddr @{each.peers.name} snat to {ip} saddr" for each in uplinks),
    )
