"""Text of the inventory -> addresses, prefixes and bridges, each with its reason for people where it is none.

Every function raises InvalidValueError; its message starts with the value, for the name of the key to go before it.
"""

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from typing import Final

from dockmesh.core.text import quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

WIDEST: Final = 8
NARROWEST: Final = 30
WITH_LENGTH: Final = "([0-9.]+)/([0-9]|[12][0-9]|3[0-2])"
_UNROUTABLE: Final = (
    (IPv4Network("0.0.0.0/8"), "'this network', which is never routed"),
    (IPv4Network("127.0.0.0/8"), "loopback, which never leaves a host"),
    (IPv4Network("169.254.0.0/16"), "link-local, which is not routed"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
)
_NO_IPV6: Final = "use an IPv4 address or a name"


def ipv4(text: str, *, for_ipv6: str = _NO_IPV6) -> IPv4Address:
    """One IPv4 address. `for_ipv6`: the advice for an IPv6 address."""
    try:
        return IPv4Address(text)
    except ValueError:
        refuse_ipv6(text, for_ipv6)
    bare = text.partition("/")[0]
    hint = f"; an address has no length: {bare}" if "/" in text and _is_ipv4(bare) else ""
    raise InvalidValueError(ProblemCode.BAD_ADDRESS, f"{quoted(text)} is not an IPv4 address{hint}")


def underlay(text: str) -> IPv4Address:
    """An address peers can use as a next hop."""
    return next_hop(ipv4(text, for_ipv6="write it as underlay6"))


def next_hop(found: IPv4Address) -> IPv4Address:
    """`found`, when peers can use it as a next hop."""
    for network, why in _UNROUTABLE:
        if found in network:
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{found} is {why}: peers cannot use it as a next hop")
    return found


def prefix(text: str) -> IPv4Network:
    """A prefix that may be routed: no host bits, /8 to /30, nothing that is special."""
    return _routable(*_with_length(text, "a prefix", for_ipv6="write it as prefix6"))


def pool(text: str) -> IPv4Network:
    """A prefix out of which others are drawn: as `prefix`, but with no key for IPv6."""
    return _routable(*_with_length(text, "a prefix", for_ipv6="use an IPv4 prefix"))


def _routable(given: IPv4Address, length: int) -> IPv4Network:
    network = IPv4Network((int(given), length), strict=False)
    if network.network_address != given:
        raise InvalidValueError(ProblemCode.HOST_BITS, f"{given}/{length} has host bits set; did you mean {network}?")
    if length < WIDEST:
        raise InvalidValueError(
            ProblemCode.BAD_LENGTH,
            f"{network} is too wide: the shortest prefix is /{WIDEST}, the largest block one site owns",
        )
    if length > NARROWEST:
        raise InvalidValueError(
            ProblemCode.BAD_LENGTH,
            f"{network} is too small: /{NARROWEST} is the longest that holds a bridge and a container",
        )
    for special, why in _UNROUTABLE:
        if network.overlaps(special):
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{network} overlaps {special}: {why}")
    return network


def bridge(text: str) -> IPv4Interface:
    """A bridge's own address with the length of its network."""
    given, length = _with_length(text, "a bridge", for_ipv6="write it as bridge6")
    found = IPv4Interface((int(given), length))
    if length > NARROWEST:
        raise InvalidValueError(
            ProblemCode.BAD_LENGTH,
            f"{found} is too small: /{NARROWEST} is the longest that holds a bridge and a container",
        )
    if found.ip == found.network.network_address:
        raise InvalidValueError(
            ProblemCode.NETWORK_ADDRESS, f"{found} is the network address; did you mean {found.ip + 1}/{length}?"
        )
    if found.ip == found.network.broadcast_address:
        raise InvalidValueError(
            ProblemCode.BROADCAST_ADDRESS,
            f"{found} is the broadcast address; did you mean {found.network[1]}/{length}?",
        )
    return found


def _with_length(text: str, what: str, *, for_ipv6: str) -> tuple[IPv4Address, int]:
    parts = re.fullmatch(WITH_LENGTH, text)
    if parts and _is_ipv4(parts[1]):
        return IPv4Address(parts[1]), int(parts[2])
    refuse_ipv6(text, for_ipv6)
    if _is_ipv4(text):
        raise InvalidValueError(ProblemCode.MISSING_LENGTH, f"{text} lacks its length; write {what} as {text}/24, say")
    code = ProblemCode.BAD_BRIDGE if what == "a bridge" else ProblemCode.BAD_PREFIX
    raise InvalidValueError(
        code, f"{quoted(text)} is not {what}: write it as 10.9.0.{'1' if what == 'a bridge' else '0'}/24"
    )


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def refuse_ipv6(text: str, advice: str = _NO_IPV6) -> None:
    """Refuse an address or prefix of IPv6 with `advice`."""
    if ":" not in text:
        return
    try:
        IPv6Address(text.partition("/")[0].partition("%")[0].strip("[]"))
    except ValueError:
        return
    raise InvalidValueError(ProblemCode.WRONG_FAMILY, f"{quoted(text)} is IPv6; {advice}")
