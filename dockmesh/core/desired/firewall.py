"""What each host lets in: from its peers, by the uplink they come in on, to its own prefix; nothing else.

Docker drops this traffic twice: by the policy of filter FORWARD (1.13 and later; its DOCKER-USER chain comes before)
and, from 28.2 on, by a drop per container address in raw PREROUTING, which it appends, so that an accept in front of
them wins. The raw accepts are set on every generation: the upgrade to 28 then cuts nobody off.

Docker with nftables (29 and later, where asked to) heeds no accept in anybody's chain. It lets in what bears a mark
that its daemon.json names, and drops nothing before that if told so there (`Admission`). The same rules mark then.

Before 27 Docker has no rules for IPv6, and leaves containers open to everybody who has a route to them. There the chain
is dockmesh's alone: it stands in FORWARD, and closes the prefix to all but the peers.

And Docker masquerades what leaves its networks, on a change of bip and for a new network with a rule in front of all
others. What lasts is a source NAT to the very same address, in a chain before the one of iptables: the kernel binds a
connection's source once.
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
    """What becomes of packets from `source` that come in by `device`, if they are what `of` says; None: any.

    "replies" are of known connections; "unpublished" is what Docker has not sent on from a port of the host's.
    """

    source: Network
    device: str
    match: RuleMatch

    @property
    def accepted(self) -> bool:
        """Else dropped."""
        return self.match != "unpublished"


# Frozen dataclasses, since the fleet makes the rules of equal ones once (`PeerTables`).
_NetworkRules = Callable[[Network, str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class _Accepts:
    """The accepts of iptables."""

    allow: tuple[Allow, ...] | None
    family: Family

    def __call__(self, source: Network, device: str) -> Iterator[str]:
        return (_accepting(PeerRule(source, device, of), self.family) for of in _every(self.allow))


@dataclass(frozen=True, slots=True)
class _Marks:
    """The rules of nft that mark."""

    allow: tuple[Allow, ...] | None
    admitting: FirewallMark

    def __call__(self, source: Network, device: str) -> Iterator[str]:
        return (_marking(PeerRule(source, device, of), self.admitting) for of in _every(self.allow))


@dataclass(frozen=True, slots=True)
class _Networks:
    """The networks of a peer."""

    family: Family

    def __call__(self, peer: Host) -> Iterator[Network]:
        return _networks(peer, self.family)


@dataclass(frozen=True, slots=True)
class _RulesByDevice:
    """The rules of each network of a peer that comes in by that device."""

    rules: _NetworkRules
    family: Family
    device: str

    def __call__(self, peer: Host) -> Iterator[str]:
        return (rule for network in _networks(peer, self.family) for rule in self.rules(network, self.device))


@dataclass(frozen=True, slots=True)
class _FamilyPeers:
    """A host with a prefix of a family, and its peers of that one."""

    family: Family
    prefix: Network
    peers: Peers
    ways: PeerRoutes

    def networks(self, *, key: Callable[[Network], Any] | None = None) -> SharedSequence[Network]:
        """All that is the peers', peer by peer, or sorted by `key`."""
        return self.peers.for_each(_Networks(self.family), key=key)

    def per_network(self, rules: _NetworkRules) -> Iterable[str]:
        """The rules of each network of each peer and the device it comes in by; equal `rules` are made once."""
        way, family = shared_route(self.peers, self.family, self.ways), self.family
        if way:
            return self.peers.for_each(_RulesByDevice(rules, family, way.device))
        ways = ((peer, self.ways.get(stack.underlay)) for peer in self.peers if (stack := peer.network(family)))
        sources = ((network, way.device) for peer, way in ways if way for network in _networks(peer, family))
        return (text for network, device in sources for text in rules(network, device))


def chains(host: Host, peers: Peers, facts: HostFacts) -> tuple[Chain, ...]:
    """The chains `host` shall have.

    None of a family in which it has no prefix, or for which it has no iptables; none with a Docker that heeds none.
    """
    if facts.docker_uses_nftables:
        return ()
    meshes = [mesh for mesh in _meshes(host, peers, facts) if iptables_command(mesh.family) in facts.tools]
    return tuple(chain for mesh in meshes for chain in _chains(host, mesh, facts))


def mark_rules(host: Host, peers: Peers, facts: HostFacts, admitting: FirewallMark, *, closed: bool) -> Sequence[str]:
    """The rules of nft by which what `host` shall let in bears the mark that its Docker is `admitting`.

    `closed`: what is routed to its containers by others stays dropped, also where Docker would let it in to ports that
    are published, on 127.0.0.1 perhaps.
    """
    mesh = next((mesh for mesh in _meshes(host, peers, facts) if mesh.family == IPV4), None)
    if mesh is None:
        return ()
    rules = mesh.per_network(_Marks(host.allow, admitting))
    others = f"ip saddr != {mesh.prefix} ct state new{_NFT['unpublished']} counter drop"
    return SharedSequence.of((f"ip daddr != {mesh.prefix} accept",), rules, (others,) if closed else ())


def with_marks(tables: Sequence[SourceNat | Chain], rules: Sequence[str]) -> tuple[SourceNat | Chain, ...]:
    """What keeps sources, with `rules` in the same table."""
    if not rules:
        return tuple(tables)
    of_ipv4 = (each for each in tables or (SourceNat(),) if isinstance(each, SourceNat) and each.family == IPV4)
    return tuple(replace(each, marks=rules) for each in of_ipv4)


def source_nat(host: Host, peers: Peers, facts: HostFacts) -> tuple[SourceNat | Chain, ...]:
    """What lets the host's containers keep their addresses towards the peers, by nft where the host has it."""
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
        # Docker accepts what leaves its own bridges; what leaves another one may meet a policy of DROP.
        yield Chain("filter", FORWARD_CHAIN, "FORWARD", SharedSequence.of(_accepts_out(mesh), rules), mesh.family)
        return
    if mesh.family == IPV4 or mesh.family in facts.docker_user:
        yield Chain("filter", FORWARD_CHAIN, "DOCKER-USER", rules, mesh.family)
    else:
        closed = SharedSequence.of(_accepts_out(mesh), rules, _closing(mesh))
        yield Chain("filter", FORWARD_CHAIN, "FORWARD", closed, mesh.family)
    # Narrowed in filter alone: raw comes before connections are tracked, and replies to those made here must pass.
    yield Chain("raw", RAW_CHAIN, "PREROUTING", SharedSequence.of(elsewhere, _accepts(mesh, None)), mesh.family)


def _source_nat(mesh: _FamilyPeers, facts: HostFacts) -> Iterator[SourceNat | Chain]:
    if "nft" in facts.tools:
        yield SourceNat(mesh.prefix, mesh.networks(key=sort_key), mesh.family)
    elif iptables_command(mesh.family) in facts.tools:
        rules = (f"-s {mesh.prefix} -d {network} -j ACCEPT" for network in mesh.networks())
        yield Chain("nat", NAT_CHAIN, "POSTROUTING", tuple(rules), mesh.family)


def _networks(peer: Host, family: Family) -> Iterator[Network]:
    """A peer's own address counts as well as its prefix: its host's probes, and whatever it masquerades, bear it."""
    if stack := peer.network(family):
        yield interned(host_network(stack.underlay))
        if stack.prefix:
            yield interned(stack.prefix)


def _accepts(mesh: _FamilyPeers, allow: tuple[Allow, ...] | None) -> Iterable[str]:
    """Traffic to elsewhere has left before these, so that it is not compared with every peer."""
    return mesh.per_network(_Accepts(allow, mesh.family))


def _every(allow: tuple[Allow, ...] | None) -> tuple[RuleMatch, ...]:
    """What rules for peers' packets are of. ICMP stays open: dockmesh probes by it, and connections need its errors.

    Narrowed, the rest is dropped but for published ports, on which Docker decides.
    """
    return (None,) if allow is None else ("icmp", "replies", *allow, "unpublished")


def _accepting(rule: PeerRule, family: Family) -> str:
    """The rule as iptables prints it."""
    if rule.match == "icmp":
        of = f" -p {_ICMP[family]}"
    else:
        of = _allowed(rule.match) if isinstance(rule.match, Allow) else _IPTABLES[rule.match]
    # As facts do with what hosts have: texts that are the same object are compared at a glance.
    return intern(f"-s {rule.source} -i {rule.device}{of} -j {'ACCEPT' if rule.accepted else 'DROP'}")


def _allowed(allow: Allow) -> str:
    ports = "" if allow.first is None else f" -m {allow.protocol} --dport {_ports(allow, ':')}"
    return f" -p {allow.protocol}{ports}"


def _marking(rule: PeerRule, admitting: FirewallMark) -> str:
    """The rule as nft prints it, what is accepted being marked."""
    of = _admitted(rule.match) if isinstance(rule.match, Allow) else _NFT[rule.match]
    verdict = f"{fwmark.setting(admitting)} accept" if rule.accepted else "drop"
    return f'iifname "{rule.device}" ip saddr {short_text(rule.source)}{of} counter {verdict}'


def _admitted(allow: Allow) -> str:
    every = f" ip protocol {allow.protocol}"
    return every if allow.first is None else f" {allow.protocol} dport {_ports(allow, '-')}"


def _ports(allow: Allow, to: str) -> str:
    return str(allow.first) if allow.first == allow.last else f"{allow.first}{to}{allow.last}"


def _accepts_out(mesh: _FamilyPeers) -> Iterator[str]:
    return (f"-s {mesh.prefix} {rule}" for rule in mesh.per_network(_accept_out))


def _accept_out(network: Network, device: str) -> Iterator[str]:
    yield f"-d {network} -o {device} -j ACCEPT"


def _closing(mesh: _FamilyPeers) -> Iterator[str]:
    """Answers come in, and nothing else from outside. What the host's own networks may do stays with Docker."""
    yield "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f"! -s {mesh.prefix} -j DROP"
