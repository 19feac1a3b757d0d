"""Address types of both families, with parsers, comparisons and conversions."""

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
# First and last address of a network, as integers.
AddressRange = tuple[int, int]
# Inventory keys and sections of a host's output end with it.
SUFFIX: Final[Mapping[Family, str]] = {IPV4: "", IPV6: "6"}

N = TypeVar("N", IPv4Network, IPv6Network)

# All hosts of a mesh report the same addresses as the same text, so parsing each once saves most of the work. The cache
# is larger than any fleet needs, but bounded, because hosts supply the text.
memoized = lru_cache(maxsize=1 << 17)


def family_of(address: Address | Interface | Network) -> Family:
    """The family of an address, an interface address or a network."""
    return IPV4 if address.version == IPV4 else IPV6


@memoized
def host_network(address: Address) -> Network:
    """The network of one address: a /32 or a /128."""
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def address_range(network: Network) -> AddressRange:
    """First and last address of the network, as integers."""
    first = int(network.network_address)
    return first, first + (1 << network.max_prefixlen - network.prefixlen) - 1


def is_inside(inner: Network, outer: Network) -> bool:
    """Whether `outer` contains all of `inner`; networks of different families never contain each other."""
    return outer.prefixlen <= inner.prefixlen and inner.network_address in outer


@memoized
def short_text(network: Network) -> str:
    """The network as nft and ipset list it: a single address has no length."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


@memoized
def interned(network: Network) -> Network:
    """Return the same object for equal networks, so that comparisons are fast."""
    return network


@memoized
def parse_address(text: str) -> Address:
    """Parse an address; equal text yields the same object.

    Raises:
        ValueError: the text is not an address.
    """
    return ip_address(text)


@memoized
def parse_network(text: str) -> Network:
    """Parse a network, or an address as a network; equal networks are the same object.

    Raises:
        ValueError: the text is neither.
    """
    return interned(ip_network(text))


def sort_key(network: Network) -> tuple[int, int, int]:
    """Sort key of networks: IPv4 first, then by address, wider networks first."""
    return network.version, int(network.network_address), network.prefixlen
