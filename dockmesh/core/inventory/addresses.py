"""Text of the inventory -> addresses, prefixes and bridges of both families, each with its reason where it is none.

Every function raises InvalidValueError; its message starts with the value, for the name of the key to go before it.
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
    """The prefixes and bridges that a host can have of one family. Reasons follow the value that they are about.

    `pattern`: text with a length. `usual_length`: for advice.
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
_SMALLEST_BRIDGE: Final = "is too small: /30 is the longest that holds a bridge and a container"
_LENGTHS6: Final = "is none that a host can have: /16 to /112"
RULES: Final[Mapping[Family, FamilyRules]] = {
    IPV4: FamilyRules(
        pattern="([0-9.]+)/([0-9]|[12][0-9]|3[0-2])",
        widest=8,
        narrowest=30,
        too_wide="is too wide: the shortest prefix is /8, the largest block one site owns",
        too_narrow=_SMALLEST_BRIDGE,
        bridge_too_narrow=_SMALLEST_BRIDGE,
        first_address="the network address",
        usual_length=24,
        prefix_example="10.9.0.0/24",
        bridge_example="10.9.0.1/24",
        unroutable=(
            (IPv4Network("0.0.0.0/8"), "'this network', which is never routed"),
            (IPv4Network("127.0.0.0/8"), "loopback, which never leaves a host"),
            (IPv4Network("169.254.0.0/16"), "link-local, which is not routed"),
            (IPv4Network("224.0.0.0/4"), "multicast"),
            (IPv4Network("240.0.0.0/4"), "reserved"),
        ),
    ),
    IPV6: FamilyRules(
        pattern="([0-9A-Fa-f:.]+)/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])",
        widest=16,
        # Docker's IPAM gives each container an address of its own choice out of the last sixteen bits.
        narrowest=112,
        too_wide=_LENGTHS6,
        too_narrow=_LENGTHS6,
        bridge_too_narrow="is too small: /112 is the longest that Docker takes",
        first_address="the address of all routers there",
        usual_length=64,
        prefix_example="fd00:10:9::/56",
        bridge_example="fd00:10:9::1/64",
        unroutable=(
            (IPv6Network("::/8"), "reserved: loopback and mapped IPv4 among it"),
            (IPv6Network("fe80::/10"), "link-local, which is not routed"),
            (IPv6Network("ff00::/8"), "multicast"),
        ),
    ),
}


def address(text: str, family: Family, *, for_ipv6: str = _NO_IPV6) -> Address:
    """One address of the family. `for_ipv6`: the advice for an IPv6 address where it is to be of IPv4."""
    found = _parsed(text, family)
    if found and "%" not in text:
        return found
    if family == IPV4:
        refuse_ipv6(text, for_ipv6)
    bare = text.partition("/")[0]
    hint = f"; an address has no length: {bare}" if "/" in text and _parsed(bare, family) else ""
    if family == IPV6 and "%" in text:
        hint = "; an interface has no place in it"
    raise InvalidValueError(ProblemCode.BAD_ADDRESS, f"{quoted(text)} is not an IPv{family} address{hint}")


def underlay(text: str, family: Family) -> Address:
    """An address peers can use as a next hop."""
    return next_hop(address(text, family, for_ipv6="write it as underlay6"))


def next_hop(found: Address) -> Address:
    """`found`, when peers can use it as a next hop."""
    for network, why in RULES[family_of(found)].unroutable:
        if found in network:
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{found} is {why}: peers cannot use it as a next hop")
    return found


def prefix(text: str, family: Family, *, for_ipv6: str = "write it as prefix6") -> Network:
    """A prefix that may be routed: no host bits, a length between the widest and the narrowest, nothing special."""
    rules = RULES[family]
    given, length = _with_length(text, family, "a prefix", rules.prefix_example, for_ipv6)
    network = ip_network(f"{given}/{length}", strict=False)
    if network.network_address != given:
        raise InvalidValueError(ProblemCode.HOST_BITS, f"{given}/{length} has host bits set; did you mean {network}?")
    if length < rules.widest:
        raise InvalidValueError(ProblemCode.BAD_LENGTH, f"{network} {rules.too_wide}")
    if length > rules.narrowest:
        raise InvalidValueError(ProblemCode.BAD_LENGTH, f"{network} {rules.too_narrow}")
    for special, why in rules.unroutable:
        if network.overlaps(special):
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{network} overlaps {special}: {why}")
    return network


def pool(text: str) -> IPv4Network:
    """A prefix out of which others are drawn: as `prefix`, but with no key for IPv6."""
    return IPv4Network(prefix(text, IPV4, for_ipv6="use an IPv4 prefix"))


def bridge(text: str, family: Family) -> Interface:
    """A bridge's own address with the length of its network."""
    rules = RULES[family]
    given, length = _with_length(text, family, "a bridge", rules.bridge_example, "write it as bridge6")
    found = ip_interface(f"{given}/{length}")
    if length > rules.narrowest:
        raise InvalidValueError(ProblemCode.BAD_LENGTH, f"{found} {rules.bridge_too_narrow}")
    if found.ip == found.network.network_address:
        raise InvalidValueError(
            ProblemCode.NETWORK_ADDRESS, f"{found} is {rules.first_address}; did you mean {found.ip + 1}/{length}?"
        )
    if family == IPV4 and found.ip == found.network.broadcast_address:
        raise InvalidValueError(
            ProblemCode.BROADCAST_ADDRESS,
            f"{found} is the broadcast address; did you mean {found.network[1]}/{length}?",
        )
    return found


def refuse_ipv6(text: str, advice: str = _NO_IPV6) -> None:
    """Refuse an address or prefix of IPv6 with `advice`."""
    if _parsed(text.partition("/")[0].partition("%")[0].strip("[]"), IPV6):
        raise InvalidValueError(ProblemCode.WRONG_FAMILY, f"{quoted(text)} is IPv6; {advice}")


def _with_length(text: str, family: Family, what: str, example: str, for_ipv6: str) -> tuple[Address, int]:
    rules = RULES[family]
    parts = re.fullmatch(rules.pattern, text)
    if parts and (found := _parsed(parts[1], family)):
        return found, int(parts[2])
    if family == IPV4:
        refuse_ipv6(text, for_ipv6)
    if _parsed(text, family):
        advice = f"write {what} as {text}/{rules.usual_length}, say"
        raise InvalidValueError(ProblemCode.MISSING_LENGTH, f"{text} lacks its length; {advice}")
    code = ProblemCode.BAD_BRIDGE if what == "a bridge" else ProblemCode.BAD_PREFIX
    of = " of IPv6" if family == IPV6 else ""
    raise InvalidValueError(code, f"{quoted(text)} is not {what}{of}: write it as {example}")


def _parsed(text: str, family: Family) -> Address | None:
    """The address, if the text is one of that family."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found if found.version == family else None
