"""Addresses of both families, and what is asked of two that may be of different ones."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, Literal, TypeVar

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Family = Literal[4, 6]
IPV4: Final = 4
IPV6: Final = 6
FAMILIES: Final[tuple[Family, Family]] = (IPV4, IPV6)
# The first and the last address of a network, as numbers.
AddressRange = tuple[int, int]
# What is of IPv6 bears a 6 in its name, in the inventory's keys and in the sections of a host's answer.
SUFFIX: Final[Mapping[Family, str]] = {IPV4: "", IPV6: "6"}

N = TypeVar("N", IPv4Network, IPv6Network)

# Hosts of one mesh tell of the same addresses, in the same words: what is made of these is made once. Larger than any
# fleet, and bounded, since the words are the hosts'.
memoized = lru_cache(maxsize=1 << 17)


def family_of(one: Address | Interface | Network) -> Family:
    """The family of an address or a network."""
    return IPV4 if one.version == IPV4 else IPV6


@memoized
def host_network(address: Address) -> Network:
    """The network of one address: a /32 or a /128."""
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def address_range(network: Network) -> AddressRange:
    """The network as numbers."""
    first = int(network.network_address)
    return first, first + (1 << network.max_prefixlen - network.prefixlen) - 1


def is_inside(inner: Network, outer: Network) -> bool:
    """Whether all of `inner` lies in `outer`; addresses of one family never lie in the other."""
    return outer.prefixlen <= inner.prefixlen and inner.network_address in outer


@memoized
def short_text(network: Network) -> str:
    """The network as nft and ipset list it: that of one address without its length."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


@memoized
def interned(network: Network) -> Network:
    """One object for all that are equal: two of one are compared at a glance."""
    return network


@memoized
def parse_address(text: str) -> Address:
    """The address; one object for all that are equal, as `the_same`.

    Raises:
        ValueError: the text is none.
    """
    return ip_address(text)


@memoized
def parse_network(text: str) -> Network:
    """The network, or that of one address; as `the_same`.

    Raises:
        ValueError: the text is neither.
    """
    return interned(ip_network(text))


def sort_key(network: Network) -> tuple[int, int, int]:
    """What networks are sorted by: IPv4 first, then by number, the wider one first."""
    return network.version, int(network.network_address), network.prefixlen
