"""The firewall rules of a host: it accepts packets from its peers, on their uplink, to its own prefix.

Docker drops these packets in two places. The policy of filter FORWARD is DROP since 1.13, and DOCKER-USER runs before
it. Since 28.2, Docker also appends a drop per container address to raw PREROUTING, so an earlier accept wins. Every
host gets the raw accepts, so that an upgrade to 28 interrupts no traffic.

Docker's nftables backend (29 and later) ignores accepts in other tables. It accepts packets with the mark that
daemon.json names, if daemon.json also allows direct routing (`NftAdmission`). There the same rules set the mark.

Docker before 27 has no IPv6 rules, so every host with a route reaches its containers. There dockmesh's chain is in
FORWARD and drops packets to the prefix from all hosts except the peers.

Docker masquerades packets that leave its networks, and inserts that rule at the top for a new network or bip. A source
NAT to the same address, in an earlier chain, prevents it, since the kernel translates a connection's source only once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Literal

from dockmesh.core import fwmark
from dockmesh.core.addresses import FAMILIES, IPV4, Family, Network, host_network, interned, short_text, sort_key
from dockmesh.core.desired.routing import shared_route
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import PeerRoutes
from dockmesh.core.fwmark import FirewallMark
from dockmesh.core.model import Allow, Host
from dockmesh.core.names import FORWARD_CHAIN, NAT_CHAIN, RAW_CHAIN
from dockmesh.core.peers import Peers
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import Chain, SourceNat, iptables_command

RuleMatch = Allow | Literal["icmp", "replies", "unpublished"] | None
_ICMP: Mapping[Family, str] = {4: "icmp", 6: "ipv6-icmp"}
_IPTABLES = {
    None: "",
    "replies": " -m conntrack --ctstate RELATED,ESTABLISHED",
    "unpublished": " -m conntrack ! --ctstate DNAT",
}
_NFT = {
    None: "",
    "icmp": " ip protocol icmp",
    "replies": " ct state established,related",
    "unpublished": " ct status ! dnat",
}


@dataclass(frozen=True, slots=True)
class PeerRule:
    """A rule for packets from `source` that arrive on `device`, limited to `match` unless that is None.

    "replies" belong to known connections. "unpublished" packets were not redirected by a published port.
    """

    source: Network
    device: str
    match: RuleMatch

    @property
    def accepted(self) -> bool:
        """Whether the rule accepts its packets; otherwise it drops them."""
        return self.match != "unpublished"


# Implemented by frozen dataclasses, since the fleet generates the rules of equal instances only once.
_NetworkRules = Callable[[Network, str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class _Accepts:
    """The accepting rules for iptables."""

    allow: tuple[Allow, ...] | None
    family: Family

    def __call__(self, source: Network, device: str) -> Iterator[str]:
        return (_iptables_rule(PeerRule(source, device, match), self.family) for match in _matches(self.allow))


@dataclass(frozen=True, slots=True)
class _Marks:
    """The marking rules for nft."""

    allow: tuple[Allow, ...] | None
    mark: FirewallMark

    def __call__(self, source: Network, device: str) -> Iterator[str]:
        return (_nft_rule(PeerRule(source, device, match), self.mark) for match in _matches(self.allow))


@dataclass(frozen=True, slots=True)
class _Networks:
    """The networks of a peer: its underlay address and its prefix."""

    family: Family

    def __call__(self, peer: Host) -> Iterator[Network]:
        return _networks(peer, self.family)


@dataclass(frozen=True, slots=True)
class _RulesByDevice:
    """The rules for each network of a peer, whose packets arrive on `device`."""

    rules: _NetworkRules
    family: Family
    device: str

    def __call__(self, peer: Host) -> Iterator[str]:
        return (rule for network in _networks(peer, self.family) for rule in self.rules(network, self.device))


@dataclass(frozen=True, slots=True)
class _FamilyPeers:
    """A host's prefix of a family, and its peers and their routes in that family."""

    family: Family
    prefix: Network
    peers: Peers
    peer_routes: PeerRoutes

    def networks(self, *, key: Callable[[Network], Any] | None = None) -> SharedSequence[Network]:
        """Return the networks of all peers, in their order or sorted by `key`."""
        return self.peers.for_each(_Networks(self.family), key=key)

    def per_network(self, rules: _NetworkRules) -> Iterable[str]:
        """Return the rules for each network of each peer and its uplink; equal `rules` share one result."""
        shared, family = shared_route(self.peers, self.family, self.peer_routes), self.family
        if shared:
            return self.peers.for_each(_RulesByDevice(rules, family, shared.device))
        stacks = ((peer, stack) for peer in self.peers if (stack := peer.network(family)))
        routes = ((peer, self.peer_routes.get(stack.underlay)) for peer, stack in stacks)
        sources = ((network, route.device) for peer, route in routes if route for network in _networks(peer, family))
        return (text for network, device in sources for text in rules(network, device))


def chains(host: Host, peers: Peers, facts: HostFacts) -> tuple[Chain, ...]:
    """Return the iptables chains that `host` needs.

    There are none for a family without a prefix or without iptables, and none if Docker uses nftables.
    """
    if facts.docker_uses_nftables:
        return ()
    meshes = [mesh for mesh in _meshes(host, peers, facts) if iptables_command(mesh.family) in facts.tools]
    return tuple(chain for mesh in meshes for chain in _chains(host, mesh, facts))


def mark_rules(host: Host, peers: Peers, facts: HostFacts, mark: FirewallMark, *, closed: bool) -> Sequence[str]:
    """Return the nft rules that set the mark with which the host's Docker accepts packets from peers.

    `closed`: also drop packets that other hosts route to containers. Direct routing would open published ports to them,
    even ports published on 127.0.0.1.
    """
    mesh = next((mesh for mesh in _meshes(host, peers, facts) if mesh.family == IPV4), None)
    if mesh is None:
        return ()
    rules = mesh.per_network(_Marks(host.allow, mark))
    others = f"ip saddr != {mesh.prefix} ct state new{_NFT['unpublished']} counter drop"
    return SharedSequence.of((f"ip daddr != {mesh.prefix} accept",), rules, (others,) if closed else ())


def with_marks(tables: Sequence[SourceNat | Chain], rules: Sequence[str]) -> tuple[SourceNat | Chain, ...]:
    """Return the source NAT with the mark rules added to the same table."""
    if not rules:
        return tuple(tables)
    ipv4 = (each for each in tables or (SourceNat(),) if isinstance(each, SourceNat) and each.family == IPV4)
    return tuple(replace(each, marks=rules) for each in ipv4)


def source_nat(host: Host, peers: Peers, facts: HostFacts) -> tuple[SourceNat | Chain, ...]:
    """Return the source NAT that keeps the containers' addresses towards peers, with nft if installed."""
    meshes = [mesh for mesh in _meshes(host, peers, facts) if mesh.networks()]
    return tuple(each for mesh in meshes for each in _source_nat(mesh, facts))


def _meshes(host: Host, peers: Peers, facts: HostFacts) -> Iterator[_FamilyPeers]:
    for family in FAMILIES:
        own = host.network(family)
        if own and own.prefix:
            yield _FamilyPeers(family, own.prefix, peers, facts.peer_routes)


def _chains(host: Host, mesh: _FamilyPeers, facts: HostFacts) -> Iterator[Chain]:
    elsewhere = (f"! -d {mesh.prefix} -j RETURN",)
    rules = SharedSequence.of(elsewhere, _accepts(mesh, host.allow))
    if not host.docker:
        # Docker accepts packets that leave its own bridges; for other bridges the policy may be DROP.
        yield Chain("filter", FORWARD_CHAIN, "FORWARD", SharedSequence.of(_outbound_accepts(mesh), rules), mesh.family)
        return
    if mesh.family == IPV4 or mesh.family in facts.docker_user:
        yield Chain("filter", FORWARD_CHAIN, "DOCKER-USER", rules, mesh.family)
    else:
        closed = SharedSequence.of(_outbound_accepts(mesh), rules, _default_drop(mesh))
        yield Chain("filter", FORWARD_CHAIN, "FORWARD", closed, mesh.family)
    # Raw runs before connection tracking and cannot recognize replies, so `allow` only limits filter.
    yield Chain("raw", RAW_CHAIN, "PREROUTING", SharedSequence.of(elsewhere, _accepts(mesh, None)), mesh.family)


def _source_nat(mesh: _FamilyPeers, facts: HostFacts) -> Iterator[SourceNat | Chain]:
    if "nft" in facts.tools:
        yield SourceNat(mesh.prefix, mesh.networks(key=sort_key), mesh.family)
    elif iptables_command(mesh.family) in facts.tools:
        rules = (f"-s {mesh.prefix} -d {network} -j ACCEPT" for network in mesh.networks())
        yield Chain("nat", NAT_CHAIN, "POSTROUTING", tuple(rules), mesh.family)


def _networks(peer: Host, family: Family) -> Iterator[Network]:
    """The peer's underlay address and prefix. The host's own probes and masqueraded packets have the former."""
    if stack := peer.network(family):
        yield interned(host_network(stack.underlay))
        if stack.prefix:
            yield interned(stack.prefix)


def _accepts(mesh: _FamilyPeers, allow: tuple[Allow, ...] | None) -> Iterable[str]:
    """The accepting rules. A rule before them returns packets to other prefixes, which skip this list."""
    return mesh.per_network(_Accepts(allow, mesh.family))


def _matches(allow: tuple[Allow, ...] | None) -> tuple[RuleMatch, ...]:
    """The matches of the rules for a peer.

    ICMP is always accepted for probes and for errors such as "fragmentation needed". With `allow`, the last rule drops
    all other packets except those to published ports, which Docker filters.
    """
    return (None,) if allow is None else ("icmp", "replies", *allow, "unpublished")


def _iptables_rule(rule: PeerRule, family: Family) -> str:
    """The rule in the format of `iptables -S`."""
    if rule.match == "icmp":
        match = f" -p {_ICMP[family]}"
    else:
        match = _iptables_allow(rule.match) if isinstance(rule.match, Allow) else _IPTABLES[rule.match]
    # Facts intern their rules too, so that equal rules compare by identity.
    return intern(f"-s {rule.source} -i {rule.device}{match} -j {'ACCEPT' if rule.accepted else 'DROP'}")


def _iptables_allow(allow: Allow) -> str:
    ports = "" if allow.first is None else f" -m {allow.protocol} --dport {_ports(allow, ':')}"
    return f" -p {allow.protocol}{ports}"


def _nft_rule(rule: PeerRule, mark: FirewallMark) -> str:
    """The rule in the format of `nft -s`; it marks the packets that it accepts."""
    match = _nft_allow(rule.match) if isinstance(rule.match, Allow) else _NFT[rule.match]
    verdict = f"{fwmark.setting(mark)} accept" if rule.accepted else "drop"
    return f'iifname "{rule.device}" ip saddr {short_text(rule.source)}{match} counter {verdict}'


def _nft_allow(allow: Allow) -> str:
    every = f" ip protocol {allow.protocol}"
    return every if allow.first is None else f" {allow.protocol} dport {_ports(allow, '-')}"


def _ports(allow: Allow, to: str) -> str:
    return str(allow.first) if allow.first == allow.last else f"{allow.first}{to}{allow.last}"


def _outbound_accepts(mesh: _FamilyPeers) -> Iterator[str]:
    return (f"-s {mesh.prefix} {rule}" for rule in mesh.per_network(_outbound_accept))


def _outbound_accept(network: Network, device: str) -> Iterator[str]:
    yield f"-d {network} -o {device} -j ACCEPT"


def _default_drop(mesh: _FamilyPeers) -> Iterator[str]:
    """Accept replies and drop other packets from outside; Docker decides about the host's own networks."""
    yield "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f"! -s {mesh.prefix} -j DROP"
