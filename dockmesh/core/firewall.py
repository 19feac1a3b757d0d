"""What each host lets in: from its peers, by the uplink they come in on, to its own prefix; nothing else.

Docker drops this traffic twice: by the policy of filter FORWARD (1.13 and later; its DOCKER-USER chain comes before)
and, from 28.2 on, by a drop per container address in raw PREROUTING, which it appends, so that an accept in front of
them wins. The raw accepts are set on every generation: the upgrade to 28 then cuts nobody off.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from dockmesh.core.facts import FORWARD_CHAIN, RAW_CHAIN, HostFacts, Way
from dockmesh.core.model import Chain, Host


def chains(host: Host, peers: Iterable[Host], facts: HostFacts) -> tuple[Chain, ...]:
    """The chains `host` shall have; none where it has no prefix, or neither Docker nor iptables."""
    if host.prefix is None or "iptables" not in facts.tools:
        return ()
    peers = tuple(peers)
    rules = tuple(_accepts(host.prefix, peers, facts.ways))
    if not host.docker:
        # Docker accepts what leaves its own bridges; what leaves another one may meet a policy of DROP.
        out = tuple(_accepts_out(host.prefix, peers, facts.ways))
        return (Chain("filter", FORWARD_CHAIN, "FORWARD", (*out, *rules)),)
    return (
        Chain("filter", FORWARD_CHAIN, "DOCKER-USER", rules),
        Chain("raw", RAW_CHAIN, "PREROUTING", rules),
    )


def _accepts(prefix: IPv4Network, peers: Iterable[Host], ways: Mapping[IPv4Address, Way]) -> Iterator[str]:
    """Traffic to elsewhere leaves at the first rule, so that it is not compared with every peer.

    A peer's own address counts as well as its prefix: its host's probes, and whatever it masquerades, bear it.
    """
    yield f"! -d {prefix} -j RETURN"
    for peer in peers:
        if way := ways.get(peer.underlay):
            yield f"-s {peer.underlay}/32 -i {way.device} -j ACCEPT"
            if peer.prefix:
                yield f"-s {peer.prefix} -i {way.device} -j ACCEPT"


def _accepts_out(prefix: IPv4Network, peers: Iterable[Host], ways: Mapping[IPv4Address, Way]) -> Iterator[str]:
    for peer in peers:
        if way := ways.get(peer.underlay):
            yield f"-s {prefix} -d {peer.underlay}/32 -o {way.device} -j ACCEPT"
            if peer.prefix:
                yield f"-s {prefix} -d {peer.prefix} -o {way.device} -j ACCEPT"
