"""Parses the state of a host that `read_snapshot` of `templates/explain.sh` prints."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from shlex import join

from dockmesh.core.addresses import Address, Interface
from dockmesh.core.facts.iproute import (
    KernelRoute,
    PeerRoute,
    device_with,
    parse_address_line,
    parse_kernel_route,
    parse_peer_route,
)
from dockmesh.core.facts.links import Link, parse_links
from dockmesh.core.facts.owned import parse_nft_table
from dockmesh.core.facts.settings import InterfaceSysctls, parse_sysctls
from dockmesh.core.host_output import Section, Sections, parsing, sanitize
from dockmesh.core.netfilter.counters import CountedRule, counted
from dockmesh.core.netfilter.nft_ruleset import DOCKERS, traced_rules
from dockmesh.core.netfilter.nft_trace import ProbeTrace
from dockmesh.core.state.resources import NftTable

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_NONE = "-"
_ROUTE_FLAGS = {"linkdown", "dead", "onlink", "pervasive", "offload", "cache"}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour entry of the host. `mac` is None if no machine replied."""

    device: str
    mac: str | None
    state: str


@dataclass(frozen=True, slots=True)
class ListedRoute:
    """A route of the main table, and its arguments for `ip route del`."""

    route: KernelRoute
    words: str


@dataclass(frozen=True, slots=True)
class ContainerLink:
    """A container's interface, the bridge that it is attached to, and the container's default gateway."""

    link: Link
    bridge: str | None
    gateway: Address | None


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """The state of a host around the probe.

    `route_out` and `route_in` are the kernel's routing decisions, or its error text. `docker` is a version, `stopped`
    or `absent`. `ip_rules` are the routing rules that not every Linux host has. `peer_replied`: the peer's host
    replied to a ping of its underlay address. `rules` are the iptables rules, and `own_table` is dockmesh's nft table.
    `rp_filter_drops` is the number of packets that rp_filter dropped during the probe. `trace` is None on a host that
    cannot trace.
    """

    docker: str
    addresses: tuple[tuple[str, Interface], ...]
    links: Mapping[str, Link]
    neighbours: Mapping[IPv4Address, Neighbour]
    routes: tuple[ListedRoute, ...]
    ip_rules: tuple[str, ...]
    sysctls: Mapping[str, InterfaceSysctls]
    peer_replied: bool
    route_out: PeerRoute | str
    route_in: PeerRoute | str
    container_link: ContainerLink | None
    rules: tuple[CountedRule, ...]
    own_table: NftTable | None
    rulesets: tuple[Section, Section]
    rp_filter_drops: int
    trace: ProbeTrace | None = None

    @property
    def docker_uses_nftables(self) -> bool:
        """Whether Docker writes its rules with nftables itself."""
        return any(line.startswith(f"table {DOCKERS} ") for line in self.rulesets[1].lines())

    def device_with(self, address: IPv4Address) -> str | None:
        """The interface with this address."""
        return device_with(self.addresses, address)


def parse_snapshot(sections: Sections, before: Sections, trace: ProbeTrace | None = None) -> HostSnapshot:
    """Parse the output of `read_snapshot`. `before` has the counters from before the probe.

    Raises:
        HostError: the output is invalid.
    """
    with parsing("snapshot"):
        rulesets = before["before.nft_ruleset"], sections["after.nft_ruleset"]
        return HostSnapshot(
            docker=sanitize(sections["docker_state"].text),
            addresses=tuple(map(parse_address_line, sections["addresses"].lines())),
            links=parse_links(sections["links"].lines()),
            neighbours=dict(_neighbours(sections["neighbours"])),
            routes=tuple(ListedRoute(parse_kernel_route(line), _words(line)) for line in sections["routes"].lines()),
            ip_rules=tuple(map(sanitize, sections["ip_rules"].lines())),
            sysctls=dict(map(parse_sysctls, sections["sysctls"].lines())),
            peer_replied=sections["peer_ping"].status == 0,
            route_out=_decided(sections["route_out"]),
            route_in=_decided(sections["route_in"]),
            container_link=_container_link(sections) if "container_link" in sections else None,
            rules=_iptables_rules(sections, before, trace),
            own_table=parse_nft_table(sections["own_nft"]),
            rulesets=rulesets,
            rp_filter_drops=_number_in(sections["after.rp_filter_drops"])
            - _number_in(before["before.rp_filter_drops"]),
            trace=trace,
        )


def _iptables_rules(sections: Sections, before: Sections, trace: ProbeTrace | None) -> tuple[CountedRule, ...]:
    after = sections["after.iptables_rules"]
    rules = counted(before["before.iptables_rules"], after)
    return traced_rules(rules, after, sections["after.nft_ruleset"], trace) if trace else rules


def _number_in(section: Section) -> int:
    """The value of a counter, 0 if the kernel does not have it."""
    return int(section.text) if section.text.isdecimal() else 0


def _neighbours(section: Section) -> Iterator[tuple[IPv4Address, Neighbour]]:
    """`ADDRESS dev DEVICE [lladdr MAC] [ref N …] STATE`."""
    for line in section.lines():
        address, _dev, device, *rest = line.split()
        mac = _MAC.fullmatch(rest[rest.index("lladdr") + 1]) if "lladdr" in rest else None
        yield (
            IPv4Address(address),
            Neighbour(sanitize(device), mac and mac[0], sanitize(rest[-1])),
        )


def _words(line: str) -> str:
    """The route without the flags that `ip route del` rejects."""
    return join(word for word in sanitize(line.split("\\", 1)[0]).split() if word not in _ROUTE_FLAGS)


def _decided(section: Section) -> PeerRoute | str:
    lines = section.lines()
    if section.status != 0:
        return sanitize(lines[0]) if lines else f"status {section.status}"
    return parse_peer_route(lines[0].split("\\", 1)[0])[1]


def _container_link(sections: Sections) -> ContainerLink | None:
    name, bridge = sections["container_link"].text.split()
    link = parse_links(sections["container.links"].lines()).get(name)
    if link is None:
        return None
    return ContainerLink(
        link, None if bridge == _NONE else sanitize(bridge), _gateway(sections["container.routes"].lines())
    )


def _gateway(lines: Sequence[str]) -> Address | None:
    routes = [parse_kernel_route(line) for line in lines]
    return next((each.next_hop for each in routes if each.prefix.prefixlen == 0 and each.next_hop), None)
