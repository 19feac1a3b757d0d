"""Strict parsers of iproute2's output: routes, route look-ups and addresses.

They parse text instead of JSON, since the text is the same from iproute2 3 to 6.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from itertools import chain, pairwise
from operator import itemgetter
from typing import TypeVar

from dockmesh.core.addresses import IPV4, IPV6, Address, Family, Interface, Network, memoized, parse_address
from dockmesh.core.names import ROUTE_METRIC, ROUTE_PROTOCOL
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import Route, StrayRoute, route

_ROUTE_TYPES = {"unicast", "blackhole", "unreachable", "prohibit", "throw", "local", "broadcast", "multicast"}
# The longest name of an interface (IFNAMSIZ - 1).
_MAX_NAME = 15
# VPNs such as OpenVPN (redirect-gateway) override the default route with 0.0.0.0/1 and 128.0.0.0/1.
_HALF_DEFAULT = 1
# Words of a listing that `ip route` does not accept. ip -o joins lines with a backslash.
_NO_ARGUMENTS = re.compile(r" (?:\\|linkdown|dead|offload|trap|(?:error|expires) \S+)(?= |$)")
_EVERYWHERE: Mapping[Family, str] = {IPV4: "0.0.0.0/0", IPV6: "::/0"}


D = TypeVar("D", str, str | None)


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A route of the main table. A route without a device is multipath or discards packets, see `kind`.

    `source` is the source address of the host's own packets, if the route names one.
    """

    prefix: Network
    next_hop: Address | None
    device: str | None
    protocol: str
    metric: int
    kind: str = "unicast"
    source: Address | None = None

    @property
    def owned(self) -> bool:
        """Whether it has dockmesh's protocol number and metric."""
        return self.protocol == ROUTE_PROTOCOL and self.metric == ROUTE_METRIC

    @property
    def on_link(self) -> bool:
        """Whether its destinations are neighbours on its interface."""
        return self.device is not None and self.next_hop is None

    @property
    def is_default(self) -> bool:
        """Whether it is a default route or half of one."""
        return self.prefix.prefixlen <= _HALF_DEFAULT


@dataclass(frozen=True, slots=True)
class PeerRoute:
    """The route of a packet to a peer (`ip route get`). `local`: the address is the host's own."""

    device: str
    next_hop: Address | None
    local: bool


class PeerRoutes(Mapping[Address, PeerRoute]):
    """The routes to a host's peers by underlay address, in the order of the queries, IPv4 first."""

    __slots__ = ("_asked", "_found")

    def __init__(self, *asked: Iterable[tuple[Address, PeerRoute]]) -> None:
        self._asked = tuple(SharedSequence.of(pairs) for pairs in asked)
        self._found: dict[Address, PeerRoute] | None = None

    def __getitem__(self, address: Address) -> PeerRoute:
        if self._found is None:
            self._found = dict(chain.from_iterable(self._asked))
        return self._found[address]

    def __iter__(self) -> Iterator[Address]:
        return chain.from_iterable(map(_addresses, self._asked))

    def __len__(self) -> int:
        return sum(map(len, self._asked))

    def distinct(self) -> Iterable[PeerRoute]:
        """Return each distinct route once."""
        return dict.fromkeys(chain.from_iterable(map(_ways, self._asked)))

    def common(self, asked: Sequence[Address]) -> PeerRoute | None:
        """Return the route that all these addresses share, or None.

        Usually the addresses are those of a query, and no look-up is needed.
        """
        for pairs in self._asked:
            if _addresses(pairs) == asked:
                return _sole(_ways(pairs))
        return _sole(map(self.get, asked))


def _sole(ways: Iterable[PeerRoute | None]) -> PeerRoute | None:
    distinct = set(ways)
    return distinct.pop() if len(distinct) == 1 else None


def _addresses(pairs: SharedSequence[tuple[Address, PeerRoute]]) -> SharedSequence[Address]:
    return pairs.mapped("address", itemgetter(0))


def _ways(pairs: SharedSequence[tuple[Address, PeerRoute]]) -> Iterator[PeerRoute]:
    """The routes, each at least once."""
    return (way for way, _run in pairs.runs("way", itemgetter(1)))


def _fields(words: list[str]) -> dict[str, str]:
    return dict(pairwise(words))


def _device(name: D) -> D:
    """The name of an interface, if the kernel can have one with this name."""
    if name is not None and len(name) > _MAX_NAME:
        raise ValueError(f"an interface with {len(name)} characters")
    return name


def _network(text: str, family: Family) -> Network:
    return ip_network(_EVERYWHERE[family] if text == "default" else text)


@memoized
def parse_kernel_route(line: str, family: Family = IPV4) -> KernelRoute:
    """Parse a line of `ip -o route show` of that family."""
    words, kind = line.split(), "unicast"
    if words[0] in _ROUTE_TYPES:
        kind, *words = words
    if "nexthop" in words:  # the rest of the line describes each next hop
        words, kind = words[: words.index("nexthop")], "multipath"
    fields = _fields(words[1:])
    next_hop = fields.get("via")
    return KernelRoute(
        prefix=_network(words[0], family),
        next_hop=ip_address(next_hop) if next_hop and next_hop != "inet6" else None,
        device=_device(fields.get("dev")),
        protocol=fields.get("proto", "boot"),
        metric=int(fields.get("metric", "0")),
        kind=kind,
        source=ip_address(fields["src"]) if "src" in fields else None,
    )


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A line of `ip route show`: the route, and if it is dockmesh's, the resource."""

    route: KernelRoute
    own: Route | StrayRoute | None

    @property
    def is_own(self) -> bool:
        """Whether the route is dockmesh's."""
        return self.own is not None


def parse_route_line(line: str, family: Family) -> RouteLine:
    """Parse such a line."""
    return RouteLine(parse_kernel_route(line, family), parse_own_route(line, family))


@memoized
def parse_own_route(line: str, family: Family) -> Route | StrayRoute | None:
    """Parse such a line; None if the route is not dockmesh's."""
    found = parse_kernel_route(line, family)
    if not found.owned:
        return None
    if found.next_hop and found.device and found.kind == "unicast" and " tos " not in line:
        return route(found.prefix, found.next_hop, found.device)
    return stray_route(line, family)


def stray_route(line: str, family: Family) -> StrayRoute:
    """Parse the line of one of dockmesh's routes as a stray one."""
    return StrayRoute(_NO_ARGUMENTS.sub("", " ".join(line.split())), family)


@memoized
def parse_peer_route(line: str) -> tuple[Address, PeerRoute]:
    """Parse a line of `ip -o route get`: the destination and its route."""
    words = line.split()
    local = words[0] == "local"
    if words[0] in _ROUTE_TYPES:
        words = words[1:]
    fields = _fields(words[1:])
    next_hop = fields.get("via")
    return parse_address(words[0]), _way(
        _device(fields["dev"]), ip_address(next_hop) if next_hop else None, local=local
    )


@memoized
def _way(device: str, next_hop: Address | None, *, local: bool) -> PeerRoute:
    """Return one shared object per distinct route."""
    return PeerRoute(device, next_hop, local)


def device_with(addresses: Iterable[tuple[str, Interface]], address: Address) -> str | None:
    """Return the interface with this address, or None."""
    return next((device for device, own in addresses if own.ip == address), None)


def readable_addresses(lines: Iterable[str]) -> Iterator[tuple[str, Interface]]:
    """Yield the interfaces and addresses of the readable lines of `ip -o addr show`."""
    for line in lines:
        with suppress(ValueError):
            yield parse_address_line(line)


def parse_address_line(line: str) -> tuple[str, Interface]:
    """Parse a line of `ip -o addr show`: the interface and its address."""
    _number, device, inet, address, *_ = line.split()
    if inet not in {"inet", "inet6"}:
        raise ValueError(line)
    return _device(device), ip_interface(address)
