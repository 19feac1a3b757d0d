"""Rules of nft that are not read in full: which hosts' packets they may be about."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network

from dockmesh.core.addresses import address_range
from dockmesh.core.netfilter.flow import AddressBits, union

_ABOUT = re.compile(r"\bip [sd]addr ([\d./]+) ")
_PORTS = re.compile(r"\b(?:tcp|udp|th) [sd]port\b")
_QUOTED = re.compile(r'"[^"]*"')


def hosts_named(rule: str, roles: Iterable[AddressBits]) -> int | None:
    """The hosts that have an address it names; None where it may be about any packet, 0 where it is about no ping."""
    if _PORTS.search(_QUOTED.sub("", rule)):
        return 0
    found = _ABOUT.search(rule)
    if found is None:
        return None
    try:
        network = address_range(IPv4Network(found[1], strict=False))
    except ValueError:
        return None
    return union(far[network] for far in roles)
