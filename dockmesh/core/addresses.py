"""Addresses of both families, and what is asked of two that may be of different ones."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Final, Literal, TypeVar

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Family = Literal[4, 6]
IPV4: Final = 4
IPV6: Final = 6
FAMILIES: Final[tuple[Family, Family]] = (IPV4, IPV6)
# What is of IPv6 bears a 6 in its name, in the inventory's keys and in the sections of a host's answer.
SUFFIX: Final[Mapping[Family, str]] = {IPV4: "", IPV6: "6"}

N = TypeVar("N", IPv4Network, IPv6Network)


def family_of(one: Address | Interface | Network) -> Family:
    """The family of an address or a network."""
    return IPV4 if one.version == IPV4 else IPV6


def alone(address: Address) -> Network:
    """The network of one address: a /32 or a /128."""
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def within(inner: Network, outer: Network) -> bool:
    """Whether all of `inner` lies in `outer`; addresses of one family never lie in the other."""
    return outer.prefixlen <= inner.prefixlen and inner.network_address in outer


def in_order(networks: Iterable[Network]) -> tuple[Network, ...]:
    """IPv4 first, then by number, the wider one first."""
    return tuple(sorted(networks, key=lambda each: (each.version, int(each.network_address), each.prefixlen)))
