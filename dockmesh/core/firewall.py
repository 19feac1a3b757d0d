"""What each host lets in: from its peers, by the uplink they come in on, to its own prefix; nothing else.

Docker drops this traffic twice: by the policy of filter FORWARD (1.13 and later; its DOCKER-USER chain comes before)
and, from 28.2 on, by a drop per container address in raw PREROUTING, which it appends, so that an accept in front of
them wins. The raw accepts are set on every generation: the upgrade to 28 then cuts nobody off.

Before 27 Docker has no rules for IPv6, and leaves containers open to everybody who has a route to them. There the chain
is dockmesh's alone: it stands in FORWARD, and closes the prefix to all but the peers.

And Docker masquerades what leaves its networks, on a change of bip and for a new network with a rule in front of all
others. What lasts is a source NAT to the very same address, in a chain before the one of iptables: the kernel binds a
connection's source once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dockmesh.core.addresses import FAMILIES, IPV4, Address, Family, Network, alone, in_order
from dockmesh.core.facts import FORWARD_CHAIN, NAT_CHAIN, RAW_CHAIN, HostFacts, Way
from dockmesh.core.model import Allow, Chain, Host, SourceNat, Stack, nft_family

_ICMP: Mapping[Family, str] = {4: "icmp", 6: "ipv6-icmp"}


@dataclass(frozen=True, slots=True)
class _Mesh:
    """A host with a prefix of a family, and its peers of that one."""

    family: Family
    prefix: Network
    peers: tuple[Stack, ...]
    ways: Mapping[Address, Way]

    def networks(self) -> Iterator[Network]:
        """All that is the peers'."""
        return (network for peer in self.peers for network in _networks(peer))

    def sources(self) -> Iterator[tuple[Network, str]]:
        """Each network of each peer, with the device it comes in by."""
        for peer in self.peers:
            if way := self.ways.get(peer.underlay):
                yield from ((network, way.device) for network in _networks(peer))


def iptables(family: Family) -> str:
    """The command for the tables of a family."""
    return "iptables" if family == IPV4 else "ip6tables"


def chains(host: Host, peers: Iterable[Host], facts: HostFacts) -> tuple[Chain, ...]:
    """The chains `host` shall have; of a family in which it has no prefix none, nor where it has no iptables."""
    meshes = [mesh for mesh in _meshes(host, peers, facts) if iptables(mesh.family) in facts.tools]
    return tuple(chain for mesh in meshes for chain in _chains(host, mesh, facts))


def source_nat(host: Host, peers: Iterable[Host], facts: HostFacts) -> tuple[SourceNat | Chain, ...]:
    """What lets the host's containers keep their addresses towards the peers, by nft where the host has it."""
    meshes = [mesh for mesh in _meshes(host, peers, facts) if mesh.peers]
    return tuple(each for mesh in meshes for each in _source_nat(mesh, facts))


def nft(nat: SourceNat) -> str:
    """The table for `nft -f`: at priority 99, one before that of iptables (netfilter's NF_IP_PRI_NAT_SRC, 100)."""
    ip = nft_family(nat.family)
    if nat.prefix is None:
        return f"table {ip} dockmesh {{\n}}\n"
    return f"""table {ip} dockmesh {{
  set peers {{ type ipv{nat.family}_addr; flags interval; elements = {{ {", ".join(map(str, nat.peers))} }}; }}
  chain source {{
    type nat hook postrouting priority 99; policy accept;
    {ip} saddr {nat.prefix} {ip} daddr @peers snat to {ip} saddr
  }}
}}
"""


def _meshes(host: Host, peers: Iterable[Host], facts: HostFacts) -> Iterator[_Mesh]:
    peers = tuple(peers)
    for family in FAMILIES:
        own = host.stack(family)
        if own and own.prefix:
            stacks = tuple(stack for peer in peers if (stack := peer.stack(family)))
            yield _Mesh(family, own.prefix, stacks, facts.ways)


def _chains(host: Host, mesh: _Mesh, facts: HostFacts) -> Iterator[Chain]:
    rules = (f"! -d {mesh.prefix} -j RETURN", *_accepts(mesh, host.allow))
    if not host.docker:
        # Docker accepts what leaves its own bridges; what leaves another one may meet a policy of DROP.
        yield Chain("filter", FORWARD_CHAIN, "FORWARD", (*_accepts_out(mesh), *rules), mesh.family)
        return
    if mesh.family == IPV4 or mesh.family in facts.docker_user:
        yield Chain("filter", FORWARD_CHAIN, "DOCKER-USER", rules, mesh.family)
    else:
        closed = (*_accepts_out(mesh), *rules, *_closing(mesh))
        yield Chain("filter", FORWARD_CHAIN, "FORWARD", closed, mesh.family)
    # Narrowed in filter alone: raw comes before connections are tracked, and replies to those made here must pass.
    everything = (rules[0], *_accepts(mesh, None))
    yield Chain("raw", RAW_CHAIN, "PREROUTING", everything, mesh.family)


def _source_nat(mesh: _Mesh, facts: HostFacts) -> Iterator[SourceNat | Chain]:
    if "nft" in facts.tools:
        yield SourceNat(mesh.prefix, in_order(mesh.networks()), mesh.family)
    elif iptables(mesh.family) in facts.tools:
        rules = (f"-s {mesh.prefix} -d {network} -j ACCEPT" for network in mesh.networks())
        yield Chain("nat", NAT_CHAIN, "POSTROUTING", tuple(rules), mesh.family)


def _networks(peer: Stack) -> Iterator[Network]:
    """A peer's own address counts as well as its prefix: its host's probes, and whatever it masquerades, bear it."""
    yield alone(peer.underlay)
    if peer.prefix:
        yield peer.prefix


def _accepts(mesh: _Mesh, allow: Sequence[Allow] | None) -> Iterator[str]:
    """Traffic to elsewhere has left before these, so that it is not compared with every peer."""
    for network, device in mesh.sources():
        yield from (f"-s {network} -i {device}{verdict}" for verdict in _verdicts(allow, mesh.family))


def _verdicts(allow: Sequence[Allow] | None, family: Family) -> Iterator[str]:
    """What becomes of a peer's packets. ICMP stays open: dockmesh probes by it, and connections need its errors.

    Narrowed, the rest is dropped but for published ports, on which Docker decides.
    """
    if allow is None:
        yield " -j ACCEPT"
        return
    yield f" -p {_ICMP[family]} -j ACCEPT"
    yield " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    for each in allow:
        ports = "" if each.first is None else f" -m {each.protocol} --dport {_ports(each)}"
        yield f" -p {each.protocol}{ports} -j ACCEPT"
    yield " -m conntrack ! --ctstate DNAT -j DROP"


def _ports(allow: Allow) -> str:
    return str(allow.first) if allow.first == allow.last else f"{allow.first}:{allow.last}"


def _accepts_out(mesh: _Mesh) -> Iterator[str]:
    return (f"-s {mesh.prefix} -d {network} -o {device} -j ACCEPT" for network, device in mesh.sources())


def _closing(mesh: _Mesh) -> Iterator[str]:
    """Answers come in, and nothing else from outside. What the host's own networks may do stays with Docker."""
    yield "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f"! -s {mesh.prefix} -j DROP"
