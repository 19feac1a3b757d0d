"""What a host shows of the way, as `read_snapshot` of `templates/explain.sh` prints it, parsed strictly."""

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
from dockmesh.core.netfilter.nft_ruleset import DOCKERS, mark_rules
from dockmesh.core.state.resources import SourceNat

_OWN_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Which machine the host takes for the owner of an address. No MAC: none answered."""

    device: str
    mac: str | None
    state: str


@dataclass(frozen=True, slots=True)
class ListedRoute:
    """A route of the main table, and the words by which `ip route del` takes it."""

    route: KernelRoute
    words: str


@dataclass(frozen=True, slots=True)
class ContainerLink:
    """A container's interface, the bridge its other end is in, and the container's default gateway."""

    link: Link
    bridge: str | None
    gateway: Address | None


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """A host. `route_out` and `route_in` are the kernel's decisions, or its messages where it refuses.

    `docker` is a version, `stopped` or `absent`. `ip_rules` are the routing rules that not every Linux host has.
    `peer_replied`: the peer's host replied to a ping of its underlay address. `rules` are those of iptables, and
    dockmesh's marks as the accepts that they cause. `rp_filter_drops`: the packets that rp_filter dropped during the
    probe.
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
    source_nat: SourceNat | None
    rulesets: tuple[Section, Section]
    rp_filter_drops: int

    @property
    def docker_uses_nftables(self) -> bool:
        """Whether Docker writes its rules with nftables itself."""
        return any(line.startswith(f"table {DOCKERS} ") for line in self.rulesets[1].lines())

    def device_with(self, address: IPv4Address) -> str | None:
        """The interface that bears an address."""
        return device_with(self.addresses, address)


def parse_snapshot(sections: Sections, before: Sections) -> HostSnapshot:
    """Read the answer of `read_snapshot`; `before` has the rules as they were before the probe.

    Raises:
        HostError: it is not what the script writes.
    """
    with parsing("what the host shows"):
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
            rules=(*counted(before["before.iptables_rules"], sections["after.iptables_rules"]), *mark_rules(*rulesets)),
            source_nat=next(parse_nft_table(sections["own_nft"]), None),
            rulesets=rulesets,
            rp_filter_drops=_number_in(sections["after.rp_filter_drops"])
            - _number_in(before["before.rp_filter_drops"]),
        )


def _number_in(section: Section) -> int:
    """0 where the kernel has no such counter."""
    return int(section.text) if section.text.isdecimal() else 0


def _neighbours(section: Section) -> Iterator[tuple[IPv4Address, Neighbour]]:
    """`ADDRESS dev DEVICE [lladdr MAC] [ref N …] STATE`."""
    for line in section.lines():
        address, _dev, device, *rest = line.split()
        found = _OWN_MAC.fullmatch(rest[rest.index("lladdr") + 1]) if "lladdr" in rest else None
        yield (
            IPv4Address(address),
            Neighbour(sanitize(device), found and found[0], sanitize(rest[-1])),
        )


def _words(line: str) -> str:
    """A route as it is listed is what `ip route del` takes, but for what the kernel remarks on it."""
    said = re.sub(r"\s+(linkdown|dead|onlink|pervasive|offload|cache)\b", "", line.split("\\", 1)[0])
    return join(sanitize(said).split())


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
