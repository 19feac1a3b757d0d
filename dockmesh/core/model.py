"""Model of the fleet, as the inventory describes it: frozen types, compared by value, with `ipaddress` objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from dockmesh.core.addresses import FAMILIES, IPV4, Address, Family, Interface, Network, address_range
from dockmesh.core.shared import PeerTables


@dataclass(frozen=True, slots=True)
class Login:
    """SSH connection settings of a host. None: ~/.ssh/config decides, or else the default of SSH."""

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
    """A protocol that peers may reach, with the ports from `first` to `last`; all ports if both are None."""

    protocol: Literal["tcp", "udp"]
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """A host's part in the mesh of one address family. `bridge` is None without Docker or without a prefix.

    Peers have no route to a host without a prefix.
    """

    underlay: Address
    prefix: Network | None
    bridge: Interface | None


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the fleet. Underlay, prefix and bridge are IPv4; `ipv6` is None if the host takes no part in IPv6."""

    name: str
    underlay: IPv4Address
    prefix: IPv4Network | None
    bridge: IPv4Interface | None
    docker: bool
    login: Login
    tags: frozenset[str] = frozenset()
    # None accepts everything.
    allow: tuple[Allow, ...] | None = None
    ipv6: HostNetwork | None = None

    def network(self, family: Family) -> HostNetwork | None:
        """The host's part in the mesh of a family; None if it takes no part."""
        return HostNetwork(self.underlay, self.prefix, self.bridge) if family == IPV4 else self.ipv6


# A single bit, so that other software can use the rest of the packet mark.
DEFAULT_MARK = 0x1000


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the whole mesh."""

    name: str = "mesh"
    pool: IPv4Network | None = None
    prefix_length: int = 24
    pool_size: int = 24
    source_nat: bool = False
    confirm_within_s: int = 60
    mark: int = DEFAULT_MARK


@dataclass(frozen=True)
class Fleet:
    """The parsed inventory: valid, complete, in the order of the file.

    Not slotted, because cached properties hold the values that all hosts share.
    """

    settings: Settings
    hosts: tuple[Host, ...] = field(default=())

    def host(self, name: str) -> Host:
        """The host called `name`; KeyError if the fleet has none."""
        return self.hosts[self.positions[name]]

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Index of each host in `hosts`, by name."""
        return {host.name: at for at, host in enumerate(self.hosts)}

    @cached_property
    def peer_tables(self) -> PeerTables[Host]:
        """Tables of values derived from each host for all its peers."""
        return PeerTables(self.hosts)

    @cached_property
    def prefix_ranges(self) -> Mapping[Family, Sequence[tuple[int, int, int]]]:
        """By family: first and last address of each prefix as integers, and its host's index, in order of address."""
        return {
            family: sorted(
                (*address_range(network.prefix), position)
                for position, host in enumerate(self.hosts)
                if (network := host.network(family)) and network.prefix
            )
            for family in FAMILIES
        }
