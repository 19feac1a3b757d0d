"""Defines the model of a host with everything that decides about a packet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from dockmesh.core.addresses import AddressRange
from dockmesh.core.facts.iproute import KernelRoute, device_with
from dockmesh.core.facts.links import Link
from dockmesh.core.facts.settings import InterfaceSysctls
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.iptables_tables import IptablesRuleset
from dockmesh.core.netfilter.nft_matcher import NftRuleset
from dockmesh.core.netfilter.verdicts import Reason
from dockmesh.core.state.resources import NftTable

_OFF = InterfaceSysctls(0, forwarding=False)


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A route with its prefix as a range and its next hop as a number, for fast comparison."""

    route: KernelRoute
    span: AddressRange
    hop: int | None


@dataclass(frozen=True, slots=True)
class HostModel:
    """The IPv4 state of a host that decides about packets.

    `unclear` is the reason if nothing can be predicted for the host. `bridge` and `container` are the targets of
    probes. `routes` are in the kernel's order of preference. `table` is dockmesh's nft table, and `mark` the bit that
    its iptables rules accept. `foreign_nft` are nft rules that the forecast does not evaluate. `joined`: the host has
    docker0 as in the inventory, and routes or rules of dockmesh.
    """

    host: Host
    unclear: Reason | None
    bridge: IPv4Address | None = None
    container: IPv4Address | None = None
    addresses: tuple[tuple[str, IPv4Interface], ...] = ()
    links: Mapping[str, Link] = field(default_factory=dict)
    sysctls: Mapping[str, InterfaceSysctls] = field(default_factory=dict)
    routes: tuple[RouteEntry, ...] = ()
    iptables: IptablesRuleset = field(default_factory=IptablesRuleset)
    table: NftTable | None = None
    mark: int = 0
    foreign_nft: tuple[str, ...] = ()
    firewalld: NftRuleset = field(default_factory=NftRuleset)
    joined: bool = False

    @property
    def docker0(self) -> IPv4Interface | None:
        """The address of docker0."""
        return next((each for device, each in self.addresses if device == DOCKER_BRIDGE), None)

    @property
    def uplink(self) -> str | None:
        """The interface with the host's underlay address."""
        return device_with(self.addresses, self.host.underlay)

    def route_to(self, address: IPv4Address) -> RouteEntry | None:
        """The route to an address."""
        number = int(address)
        return next((each for each in self.routes if each.span[0] <= number <= each.span[1]), None)

    def interface_sysctls(self, device: str) -> InterfaceSysctls:
        """The sysctls of an interface. An interface that does not exist yet gets those of `default`."""
        return self.sysctls.get(device) or self.sysctls.get("default", _OFF)
