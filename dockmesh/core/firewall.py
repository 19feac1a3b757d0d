"""What each host lets in: from its peers, by the uplink they come in on, to its own prefix; nothing else.

Docker drops this traffic twice: by the policy of filter FORWARD (1.13 and later; its DOCKER-USER chain comes before)
and, from 28.2 on, by a drop per container address in raw PREROUTING, which it appends, so that an accept in front of
them wins. The raw accepts are set on every generation: the upgrade to 28 then cuts nobody off.

And Docker masquerades what leaves its networks, on a change of bip and for a new network with a rule in front of all
others. What lasts is a source NAT to the very same address, in a chain before the one of iptables: the kernel binds a
connection's source once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from dockmesh.core.facts import FORWARD_CHAIN, NAT_CHAIN, RAW_CHAIN, HostFacts, Way
from dockmesh.core.model import Allow, Chain, Host, SourceNat


def chains(host: Host, peers: Iterable[Host], facts: HostFacts) -> tuple[Chain, ...]:
    """The chains `host` shall have; none where it has no prefix, or neither Docker nor iptables."""
    if host.prefix is None or "iptables" not in facts.tools:
        return ()
    peers = tuple(peers)
    rules = tuple(_accepts(host.prefix, peers, facts.ways, host.allow))
    if not host.docker:
        # Docker accepts what leaves its own bridges; what leaves another one may meet a policy of DROP.
        out = tuple(_accepts_out(host.prefix, peers, facts.ways))
        return (Chain("filter", FORWARD_CHAIN, "FORWARD", (*out, *rules)),)
    return (
        Chain("filter", FORWARD_CHAIN, "DOCKER-USER", rules),
        # Narrowed in filter alone: raw comes before connections are tracked, and replies to those made here must pass.
        Chain("raw", RAW_CHAIN, "PREROUTING", tuple(_accepts(host.prefix, peers, facts.ways, None))),
    )


def source_nat(host: Host, peers: Iterable[Host], facts: HostFacts) -> tuple[SourceNat | Chain, ...]:
    """What lets the host's containers keep their addresses towards the peers, by nft where the host has it."""
    peers = tuple(peers)
    if host.prefix is None or not peers:
        return ()
    if "nft" in facts.tools:
        return (SourceNat(host.prefix, tuple(sorted(network for peer in peers for network in _networks(peer)))),)
    if "iptables" not in facts.tools:
        return ()
    rules = (f"-s {host.prefix} -d {network} -j ACCEPT" for peer in peers for network in _networks(peer))
    return (Chain("nat", NAT_CHAIN, "POSTROUTING", tuple(rules)),)


def nft(nat: SourceNat) -> str:
    """The table for `nft -f`: at priority 99, one before that of iptables (netfilter's NF_IP_PRI_NAT_SRC, 100)."""
    if nat.prefix is None:
        return "table ip dockmesh {\n}\n"
    return f"""table ip dockmesh {{
  set peers {{ type ipv4_addr; flags interval; elements = {{ {", ".join(map(str, nat.peers))} }}; }}
  chain source {{
    type nat hook postrouting priority 99; policy accept;
    ip saddr {nat.prefix} ip daddr @peers snat to ip saddr
  }}
}}
"""


def _networks(peer: Host) -> Iterator[IPv4Network]:
    """A peer's own address counts as well as its prefix: its host's probes, and whatever it masquerades, bear it."""
    yield IPv4Network(peer.underlay)
    if peer.prefix:
        yield peer.prefix


def _from(peers: Iterable[Host], ways: Mapping[IPv4Address, Way]) -> Iterator[tuple[IPv4Network, str]]:
    """Each network of each peer, with the device it comes in by."""
    for peer in peers:
        if way := ways.get(peer.underlay):
            yield from ((network, way.device) for network in _networks(peer))


def _accepts(
    prefix: IPv4Network,
    peers: Iterable[Host],
    ways: Mapping[IPv4Address, Way],
    allow: Sequence[Allow] | None,
) -> Iterator[str]:
    """Traffic to elsewhere leaves at the first rule, so that it is not compared with every peer."""
    yield f"! -d {prefix} -j RETURN"
    for network, device in _from(peers, ways):
        yield from (f"-s {network} -i {device}{verdict}" for verdict in _verdicts(allow))


def _verdicts(allow: Sequence[Allow] | None) -> Iterator[str]:
    """What becomes of a peer's packets. ICMP stays open: dockmesh probes by it, and connections need its errors.

    Narrowed, the rest is dropped but for published ports, on which Docker decides.
    """
    if allow is None:
        yield " -j ACCEPT"
        return
    yield " -p icmp -j ACCEPT"
    yield " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    for each in allow:
        ports = "" if each.first is None else f" -m {each.protocol} --dport {_ports(each)}"
        yield f" -p {each.protocol}{ports} -j ACCEPT"
    yield " -m conntrack ! --ctstate DNAT -j DROP"


def _ports(allow: Allow) -> str:
    return str(allow.first) if allow.first == allow.last else f"{allow.first}:{allow.last}"


def _accepts_out(prefix: IPv4Network, peers: Iterable[Host], ways: Mapping[IPv4Address, Way]) -> Iterator[str]:
    return (f"-s {prefix} -d {network} -o {device} -j ACCEPT" for network, device in _from(peers, ways))
