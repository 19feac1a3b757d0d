"""Parsers of the addresses, prefixes and bridges of an inventory, for both address families.

Every function raises InvalidValueError. The message starts with the value, so that callers can put the key before it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Final

from dockmesh.core.addresses import IPV4, IPV6, Address, Family, Interface, Network, family_of
from dockmesh.core.text import quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class FamilyRules:
    """Limits of prefixes and bridges in one family; the reasons continue a message that starts with the value.

    `pattern` matches an address with a length. Advice suggests `usual_length`.
    """

    pattern: str
    widest: int
    narrowest: int
    too_wide: str
    too_narrow: str
    bridge_too_narrow: str
    first_address: str
    usual_length: int
    prefix_example: str
    bridge_example: str
    unroutable: tuple[tuple[Network, str], ...]


_NO_IPV6: Final = "use an IPv4 address or a name"
_SMALLEST_BRIDGE: Final = "is too small for a bridge and a container. Fix: use /30 or a shorter length"
_LENGTHS6: Final = "has an unsupported length. Fix: use /16 to /112"
RULES: Final[Mapping[Family, FamilyRules]] = {
    IPV4: FamilyRules(
        pattern="([0-9.]+)/([0-9]|[12][0-9]|3[0-2])",
        widest=8,
        narrowest=30,
        too_wide="is too wide. Fix: use /8 or a longer length",
        too_narrow=_SMALLEST_BRIDGE,
        bridge_too_narrow=_SMALLEST_BRIDGE,
        first_address="the network address",
        usual_length=24,
        prefix_example="10.9.0.0/24",
        bridge_example="10.9.0.1/24",
        unroutable=(
            (IPv4Network("0.0.0.0/8"), "'this network' and never routed"),
            (IPv4Network("127.0.0.0/8"), "loopback and never leaves a host"),
            (IPv4Network("169.254.0.0/16"), "link-local and not routed"),
            (IPv4Network("224.0.0.0/4"), "multicast"),
            (IPv4Network("240.0.0.0/4"), "reserved"),
        ),
    ),
    IPV6: FamilyRules(
        pattern="([0-9A-Fa-f:.]+)/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])",
        widest=16,
        # Docker's IPAM assigns container addresses from the last 16 bits.
        narrowest=112,
        too_wide=_LENGTHS6,
        too_narrow=_LENGTHS6,
        bridge_too_narrow="is too small for Docker. Fix: use /112 or a shorter length",
        first_address="the subnet-router anycast address",
        usual_length=64,
        prefix_example="fd00:10:9::/56",
        bridge_example="fd00:10:9::1/64",
        unroutable=(
            (IPv6Network("::/8"), "reserved (for example loopback and mapped IPv4)"),
            (IPv6Network("fe80::/10"), "link-local and not routed"),
            (IPv6Network("ff00::/8"), "multicast"),
        ),
    ),
}


def address(text: str, family: Family, *, for_ipv6: str = _NO_IPV6) -> Address:
    """Parse one address of the family; `for_ipv6` is the advice for an IPv6 address where IPv4 is required."""
    parsed = _parsed(text, family)
    if parsed and "%" not in text:
        return parsed
    if family == IPV4:
        refuse_ipv6(text, for_ipv6)
    bare = text.partition("/")[0]
    hint = f". Fix: write it without a length, as {bare}" if "/" in text and _parsed(bare, family) else ""
    if family == IPV6 and "%" in text:
        hint = ". Fix: remove the % and the interface after it"
    raise InvalidValueError(ProblemCode.BAD_ADDRESS, f"{quoted(text)} is not an IPv{family} address{hint}")


def underlay(text: str, family: Family) -> Address:
    """Parse an address that peers can use as a next hop."""
    return next_hop(address(text, family, for_ipv6="write it as underlay6"))


def next_hop(hop: Address) -> Address:
    """Check that peers can use the address as a next hop, and return it."""
    for network, why in RULES[family_of(hop)].unroutable:
        if hop in network:
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{hop} is {why}; peers cannot use it as a next hop")
    return hop


def prefix(text: str, family: Family, *, for_ipv6: str = "write it as prefix6") -> Network:
    """Parse a routable prefix: no host bits, a length within the family's limits, no special-purpose network."""
    rules = RULES[family]
    first, length = _with_length(text, family, "a prefix", rules.prefix_example, for_ipv6)
    network = ip_network(f"{first}/{length}", strict=False)
    if network.network_address != first:
        raise InvalidValueError(ProblemCode.HOST_BITS, f"{first}/{length} has host bits set; did you mean {network}?")
    if length < rules.widest:
        raise InvalidValueError(ProblemCode.BAD_LENGTH, f"{network} {rules.too_wide}")
    if length > rules.narrowest:
        raise InvalidValueError(ProblemCode.BAD_LENGTH, f"{network} {rules.too_narrow}")
    for special, why in rules.unroutable:
        if network.overlaps(special):
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{network} overlaps {special}, which is {why}")
    return network


def pool(text: str) -> IPv4Network:
    """Parse the pool, under the rules of an IPv4 prefix."""
    return IPv4Network(prefix(text, IPV4, for_ipv6="use an IPv4 prefix"))


def bridge(text: str, family: Family) -> Interface:
    """Parse a bridge: its own address, with the length of its network."""
    rules = RULES[family]
    own, length = _with_length(text, family, "a bridge", rules.bridge_example, "write it as bridge6")
    interface = ip_interface(f"{own}/{length}")
    if length > rules.narrowest:
        raise InvalidValueError(ProblemCode.BAD_LENGTH, f"{interface} {rules.bridge_too_narrow}")
    if own == interface.network.network_address:
        raise InvalidValueError(
            ProblemCode.NETWORK_ADDRESS, f"{interface} is {rules.first_address}; did you mean {own + 1}/{length}?"
        )
    if family == IPV4 and own == interface.network.broadcast_address:
        raise InvalidValueError(
            ProblemCode.BROADCAST_ADDRESS,
            f"{interface} is the broadcast address; did you mean {interface.network[1]}/{length}?",
        )
    return interface


def refuse_ipv6(text: str, advice: str = _NO_IPV6) -> None:
    """Reject an IPv6 address or prefix, with the advice in the message."""
    if _parsed(text.partition("/")[0].partition("%")[0].strip("[]"), IPV6):
        raise InvalidValueError(ProblemCode.WRONG_FAMILY, f"{quoted(text)} is IPv6. Fix: {advice}")


def _with_length(text: str, family: Family, what: str, example: str, for_ipv6: str) -> tuple[Address, int]:
    rules = RULES[family]
    parts = re.fullmatch(rules.pattern, text)
    if parts and (parsed := _parsed(parts[1], family)):
        return parsed, int(parts[2])
    if family == IPV4:
        refuse_ipv6(text, for_ipv6)
    if _parsed(text, family):
        advice = f"write {what} with a length, for example {text}/{rules.usual_length}"
        raise InvalidValueError(ProblemCode.MISSING_LENGTH, f"{text} has no length. Fix: {advice}")
    code = ProblemCode.BAD_BRIDGE if what == "a bridge" else ProblemCode.BAD_PREFIX
    of = " of IPv6" if family == IPV6 else ""
    raise InvalidValueError(code, f"{quoted(text)} is not {what}{of}: write it as {example}")


def _parsed(text: str, family: Family) -> Address | None:
    """The address; None if the text is not an address of that family."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return parsed if parsed.version == family else None
