"""What dockmesh's own rules on a host do with packets from its peers."""

import re
from collections.abc import Sequence
from dataclasses import replace

from dockmesh.core.addresses import Network, host_network
from dockmesh.core.model import Host
from dockmesh.core.names import COMMENT
from dockmesh.core.netfilter.counters import CountedRule, Packet, in_chain
from dockmesh.core.netfilter.nft_matcher import Hook, apply_hook, kept_sources, own_ruleset
from dockmesh.core.state.resources import NftTable

_ACCEPT = re.compile(rf"(-[sd] \S+) -m mark --mark \S+ -m comment --comment {COMMENT} -j ACCEPT")
_SETS_MARK = re.compile(r"meta mark set meta mark \| (0x[0-9a-f]{8})")
_MARKING: tuple[Hook, ...] = ("PREROUTING", "FORWARD")


def is_own(rule: CountedRule) -> bool:
    """Whether it is an iptables rule of dockmesh."""
    return _ACCEPT.fullmatch(rule.text) is not None


def accepts(rules: Sequence[CountedRule], table: str, chain: str, *matches: str) -> bool:
    """Whether the chain has a rule of dockmesh with each match, such as `-d PREFIX`."""
    own = {found[1] for rule in in_chain(rules, table, chain) if (found := _ACCEPT.fullmatch(rule.text))}
    return own.issuperset(matches)


def with_mark(packet: Packet, table: NftTable | None) -> Packet:
    """The forwarded packet with dockmesh's mark, if the table sets it both before raw and before filter."""
    found = _SETS_MARK.search("\n".join(table.chains)) if table else None
    if table is None or found is None:
        return packet
    known = replace(packet, mark=int(found[1], 16))
    rules = own_ruleset(table)
    return replace(known, marked=all(apply_hook(rules, hook, known.flow, 1)[0].marked for hook in _MARKING))


def missing_networks(table: NftTable | None, peer: Host) -> tuple[Network, ...]:
    """The underlay address and the prefix of the peer as far as they are in no set of the table."""
    found = set(table.networks) if table else set()
    wanted = (host_network(peer.underlay), *((peer.prefix,) if peer.prefix else ()))
    return tuple(each for each in wanted if each not in found)


def keeps_source(packet: Packet, table: NftTable | None) -> bool:
    """Whether the table prevents the masquerade of the forwarded packet."""
    return table is not None and kept_sources(own_ruleset(table), packet.flow, 1)[0] > 0
