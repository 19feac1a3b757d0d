"""The fleet as the inventory says it is: types that are frozen, slotted and compared by value.

Addresses are `ipaddress` objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from dockmesh.core.addresses import FAMILIES, IPV4, Address, Family, Interface, Network, address_range
from dockmesh.core.peer_tables import PeerTables


@dataclass(frozen=True, slots=True)
class Login:
    """How SSH reaches a host. None leaves the choice to ~/.ssh/config, then to SSH's own default."""

    address: str
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None
    known_hosts: str | None = None
    host_key_policy: Literal["strict", "accept-new"] = "strict"
    become: Literal["none", "sudo"] = "none"
    jump: str | None = None
    netns: str | None = None


@dataclass(frozen=True, slots=True)
class Allow:
    """What peers may reach: a protocol, and of it the ports from `first` to `last`, or all where these are None."""

    protocol: Literal["tcp", "udp"]
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """What a host has of one address family. Without Docker no bridge; without a prefix nothing is routed to it."""

    underlay: Address
    prefix: Network | None
    bridge: Interface | None


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the fleet. Underlay, prefix and bridge are those of IPv4; `ipv6` is None where it has no part."""

    name: str
    underlay: IPv4Address
    prefix: IPv4Network | None
    bridge: IPv4Interface | None
    docker: bool
    login: Login
    tags: frozenset[str] = frozenset()
    # None: everything.
    allow: tuple[Allow, ...] | None = None
    ipv6: HostNetwork | None = None

    def network(self, family: Family) -> HostNetwork | None:
        """What the host has of a family; None where it takes no part in the mesh of that one."""
        return HostNetwork(self.underlay, self.prefix, self.bridge) if family == IPV4 else self.ipv6


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole mesh."""

    name: str = "mesh"
    pool: IPv4Network | None = None
    prefix_length: int = 24
    pool_size: int = 24
    source_nat: bool = False
    confirm_within_s: int = 60


@dataclass(frozen=True)
class Fleet:
    """The inventory as dockmesh works with it: valid, complete, in the file's order.

    Not slotted, since what follows from its hosts is kept with it.
    """

    settings: Settings
    hosts: tuple[Host, ...] = field(default=())

    def host(self, name: str) -> Host:
        """The host called `name`; KeyError where the fleet has none."""
        return self.hosts[self.positions[name]]

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where in `hosts` a name stands."""
        return {host.name: at for at, host in enumerate(self.hosts)}

    @cached_property
    def peer_tables(self) -> PeerTables[Host]:
        """What is made of each host for all its peers."""
        return PeerTables(self.hosts)

    @cached_property
    def prefix_ranges(self) -> Mapping[Family, Sequence[tuple[int, int, int]]]:
        """By family, the first and last number of each prefix and its host's position, in order of address."""
        return {
            family: sorted(
                (*address_range(network.prefix), position)
                for position, host in enumerate(self.hosts)
                if (network := host.network(family)) and network.prefix
            )
            for family in FAMILIES
        }
