"""What a host has, or shall have, of what is dockmesh's: one type for both, so that planning is subtraction."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Interface, IPv6Interface
from itertools import chain
from typing import Any, TypeVar

from dockmesh.core.addresses import IPV4, IPV6, Address, Family, Network, memoized
from dockmesh.core.fwmark import FirewallMark
from dockmesh.core.shared import SharedSequence


@dataclass(frozen=True)
class Route:
    """One route of dockmesh's own (protocol 201, metric 4201).

    Not slotted: all hosts share it (see `route`), and what is written of it is kept with it.
    """

    prefix: Network
    next_hop: Address
    device: str

    @cached_property
    def ip_route_args(self) -> str:
        """The route as `ip route` takes it, but for whose it is."""
        return f"{self.prefix} via {self.next_hop} dev {self.device}"


@memoized
def route(prefix: Network, next_hop: Address, device: str) -> Route:
    """The route, one object for all hosts that have it or shall have it: planning passes over it at a glance."""
    return Route(prefix, next_hop, device)


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """A file dockmesh writes, or one whose keys it owns. `mode` is octal text, None where the host's own stays.

    The content may be what makes the text: one that has a line for every peer is not held for every host.
    """

    path: str
    content: str | Callable[[], str]
    mode: str | None = None

    @property
    def text(self) -> str:
        """The content; made anew each time where it is not held."""
        return self.content if isinstance(self.content, str) else self.content()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash((self.path, self.mode))

    @property
    def _compared(self) -> tuple[str, str | None, str]:
        return self.path, self.mode, self.text


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of dockmesh's own with the one jump to it. `hook` is None where the jump is missing or doubled.

    `rules` are as `iptables -S` prints them, without `-A CHAIN`.
    """

    table: str
    name: str
    hook: str | None
    rules: Sequence[str]
    family: Family = IPV4


@dataclass(frozen=True, slots=True)
class SourceNat:
    """The nft table of dockmesh's own that lets what leaves `prefix` for `peers` keep its source address.

    `marks` are its rules, as `nft -s` prints them, by which peers' packets bear the mark that Docker lets in where it
    writes nftables itself. All are empty where the table on the host is not as dockmesh writes it.
    """

    prefix: Network | None = None
    peers: Sequence[Network] = ()
    family: Family = IPV4
    marks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """One of Docker's `default-address-pools`: new networks get prefixes of length `size` out of `base`."""

    base: Network
    size: int


# What Docker gives docker0 unless it is told otherwise.
DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True)
class NftAdmission:
    """What Docker's nftables backend lets in of what is routed to containers: what bears `mark`, and if `direct`.

    Without `direct`, it is dropped for its destination before anybody looks at its mark.
    """

    mark: FirewallMark | None
    direct_routing: bool


@dataclass(frozen=True, slots=True)
class DockerNetworking:
    """The addresses docker0 really has, Docker's pools for new networks, and the MTU of docker0's containers.

    Only a restart of Docker changes them. `way_in` is the daemon.json that makes Docker choose that address, where the
    host's own does not name it: Docker remembers the last address of docker0, in its store and not in the interface,
    and keeps to it without a bip. `admission` is None where Docker writes its rules by iptables.
    """

    address: IPv4Interface | None
    pools: tuple[Pool, ...] = ()
    startup_json: str | None = field(default=None, compare=False)
    address6: IPv6Interface | None = None
    mtu: int = DEFAULT_MTU
    admission: NftAdmission | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit of dockmesh's own. `active`: it is enabled, and runs if it is a timer."""

    name: str
    text: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Whether the host forwards packets of a family. Docker switches that on where it needs it, and leaves it on.

    With its nftables backend it leaves that of IPv4 to others; with iptables nobody asks. `policy` is that of
    the chain FORWARD, which Docker may set to DROP as it does so: it goes back with the switch.
    """

    family: Family
    on: bool
    policy: str | None = field(default=None, compare=False)


FORWARDING = {IPV4: "net.ipv4.ip_forward", IPV6: "net.ipv6.conf.all.forwarding"}
Resource = Route | File | Chain | SourceNat | DockerNetworking | Unit | Forwarding
R = TypeVar("R", Route, File, Chain, SourceNat, DockerNetworking, Unit, Forwarding)


@dataclass(frozen=True)
class HostState:
    """What a host has, or shall have, of what dockmesh owns: one type for both, keyed by `key_of`."""

    resources: Sequence[Resource] = ()

    def by_key(self) -> dict[tuple[str, str], Resource]:
        """The resources under their keys: `(kind, key)` as in the plan document."""
        return keyed(self.resources)

    def of(self, kind: type[R]) -> SharedSequence[R]:
        """The resources of a type."""
        return self._by_type.get(kind, SharedSequence())

    @property
    def without_routes(self) -> Iterator[Resource]:
        """Of these there are as many as a fleet has hosts, of all others a few."""
        return chain.from_iterable(found for kind, found in self._by_type.items() if kind is not Route)

    @cached_property
    def _by_type(self) -> Mapping[type, SharedSequence[Any]]:
        types: dict[type, list[SharedSequence[Resource]]] = {}
        for kind, run in SharedSequence.of(self.resources).runs("type", type):
            types.setdefault(kind, []).append(run)
        return {kind: SharedSequence.of(*found) for kind, found in types.items()}

    def file(self, path: str) -> File | None:
        """The file at `path`."""
        return next((each for each in self.of(File) if each.path == path), None)

    @property
    def docker(self) -> DockerNetworking | None:
        """docker0 and Docker's pools, where there is Docker."""
        return next(iter(self.of(DockerNetworking)), None)

    def forwarding(self, family: Family) -> Forwarding | None:
        """Whether the host forwards packets of a family, where that is somebody's to decide."""
        return next((each for each in self.of(Forwarding) if each.family == family), None)


def keyed(resources: Iterable[Resource]) -> dict[tuple[str, str], Resource]:
    """Resources under their keys."""
    return {key_of(resource): resource for resource in resources}


def key_of(resource: Resource) -> tuple[str, str]:
    """Kind and key of a resource: what makes two resources of a host one and the same before and after."""
    match resource:
        case Route():
            return "route", str(resource.prefix)
        case File():
            return "file", resource.path
        case Chain(family=family):
            return "firewall", f"{'ip6 ' * (family == IPV6)}{resource.table}/{resource.name}"
        case SourceNat(family=family):
            return "nat", f"{nft_family_name(family)} dockmesh"
        case DockerNetworking():
            return "service", "docker"
        case Unit():
            return "unit", resource.name
        case Forwarding(family=family):
            return "firewall", FORWARDING[family]


def nft_family_name(family: Family) -> str:
    """What nft calls the family."""
    return "ip" if family == IPV4 else "ip6"


def iptables_command(family: Family) -> str:
    """The command for the tables of a family."""
    return "iptables" if family == IPV4 else "ip6tables"
