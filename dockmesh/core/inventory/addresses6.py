"""Text of the inventory -> addresses, prefixes and bridges of IPv6; as `addresses`, for the other family."""

import re
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Final

from dockmesh.core.text import quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

WIDEST: Final = 16
# Docker's IPAM gives each container an address of its own choice out of the last sixteen bits.
NARROWEST: Final = 112
WITH_LENGTH: Final = "([0-9A-Fa-f:.]+)/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])"
_UNROUTABLE: Final = (
    (IPv6Network("::/8"), "reserved: loopback and mapped IPv4 among it"),
    (IPv6Network("fe80::/10"), "link-local, which is not routed"),
    (IPv6Network("ff00::/8"), "multicast"),
)


def underlay6(text: str) -> IPv6Address:
    """An address peers can use as a next hop."""
    found = _ipv6(text)
    for network, why in _UNROUTABLE:
        if found in network:
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{found} is {why}: peers cannot use it as a next hop")
    return found


def prefix6(text: str) -> IPv6Network:
    """A prefix that may be routed: no host bits, /16 to /112, nothing that is special."""
    given, length = _with_length(text, "a prefix")
    network = IPv6Network((int(given), length), strict=False)
    if network.network_address != given:
        raise InvalidValueError(ProblemCode.HOST_BITS, f"{given}/{length} has host bits set; did you mean {network}?")
    if not WIDEST <= length <= NARROWEST:
        raise InvalidValueError(
            ProblemCode.BAD_LENGTH, f"{network} is none that a host can have: /{WIDEST} to /{NARROWEST}"
        )
    for special, why in _UNROUTABLE:
        if network.overlaps(special):
            raise InvalidValueError(ProblemCode.UNROUTABLE, f"{network} overlaps {special}: {why}")
    return network


def bridge6(text: str) -> IPv6Interface:
    """A bridge's own address with the length of its network."""
    given, length = _with_length(text, "a bridge")
    found = IPv6Interface((int(given), length))
    if length > NARROWEST:
        raise InvalidValueError(
            ProblemCode.BAD_LENGTH, f"{found} is too small: /{NARROWEST} is the longest that Docker takes"
        )
    if found.ip == found.network.network_address:
        raise InvalidValueError(
            ProblemCode.NETWORK_ADDRESS,
            f"{found} is the address of all routers there; did you mean {found.ip + 1}/{length}?",
        )
    return found


def _ipv6(text: str) -> IPv6Address:
    bare = text.partition("/")[0]
    try:
        if "%" not in text:
            return IPv6Address(text)
        hint = "; an interface has no place in it"
    except ValueError:
        hint = f"; an address has no length: {bare}" if "/" in text and _is_ipv6(bare) else ""
    raise InvalidValueError(ProblemCode.BAD_ADDRESS, f"{quoted(text)} is not an IPv6 address{hint}")


def _with_length(text: str, what: str) -> tuple[IPv6Address, int]:
    parts = re.fullmatch(WITH_LENGTH, text)
    if parts and _is_ipv6(parts[1]):
        return IPv6Address(parts[1]), int(parts[2])
    if _is_ipv6(text):
        raise InvalidValueError(ProblemCode.MISSING_LENGTH, f"{text} lacks its length; write {what} as {text}/64, say")
    example = "fd00:10:9::1/64" if what == "a bridge" else "fd00:10:9::/56"
    code = ProblemCode.BAD_BRIDGE if what == "a bridge" else ProblemCode.BAD_PREFIX
    raise InvalidValueError(code, f"{quoted(text)} is not {what} of IPv6: write it as {example}")


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
