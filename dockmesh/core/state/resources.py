"""The resources that dockmesh owns on a host. Actual and desired state share these types."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Interface, IPv6Interface, ip_network
from itertools import chain
from typing import Any, TypeVar

from dockmesh.core.addresses import IPV4, IPV6, Address, Family, Network, memoized
from dockmesh.core.fwmark import FirewallMark
from dockmesh.core.shared import SharedSequence


@dataclass(frozen=True)
class Route:
    """A route of dockmesh (protocol 201, metric 4201).

    Not slotted: all hosts share one object per route (see `route`), which caches its text and its hash.
    """

    prefix: Network
    next_hop: Address
    device: str

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.prefix, self.next_hop, self.device))

    @cached_property
    def ip_route_args(self) -> str:
        """The arguments of `ip route`, without protocol and metric."""
        return f"{self.prefix} via {self.next_hop} dev {self.device}"


@memoized
def route(prefix: Network, next_hop: Address, device: str) -> Route:
    """Return the route, one object for all hosts, so that planning compares identities."""
    return Route(prefix, next_hop, device)


@dataclass(frozen=True, slots=True)
class StrayRoute:
    """A route with dockmesh's protocol and metric that dockmesh does not write.

    For example a second one to a prefix, or one with a TOS or with several next hops. `text` is the line of
    `ip route show`, without the flags that `ip route` does not accept.
    """

    text: str
    family: Family


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """A file that dockmesh writes, or in which it owns keys. `mode` is octal text; None keeps the host's mode.

    `content` may be a function that returns the text, so that a text with a line per peer is not stored per host.
    """

    path: str
    content: str | Callable[[], str]
    mode: str | None = None

    @property
    def text(self) -> str:
        """The text of the file, generated on each call if `content` is a function."""
        return self.content if isinstance(self.content, str) else self.content()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash((self.path, self.mode))

    @property
    def _compared(self) -> tuple[str, str | None, str]:
        return self.path, self.mode, self.text


@dataclass(frozen=True, slots=True)
class AcceptRules:
    """The iptables rules of dockmesh, with the comment `dockmesh`, in a chain of Docker or of the kernel.

    They accept packets with dockmesh's mark. `rules` are in the format of `iptables -S`, without `-A CHAIN`. A chain in
    which they are not exactly once has `rules` that dockmesh does not write. `first`: no other rule comes before them.
    """

    table: str
    chain: str
    rules: tuple[str, ...]
    family: Family = IPV4
    first: bool = True


@dataclass(frozen=True, slots=True)
class PeerSet:
    """A set of dockmesh's nft table: the networks of the peers on one uplink."""

    name: str
    networks: Sequence[Network]


@dataclass(frozen=True, slots=True)
class NftTable:
    """The nft table of dockmesh: its sets, and its chains as lines in the format of `nft -s list table`, not indented.

    A table that dockmesh does not write has its lines in `chains` as far as they are no sets.
    """

    sets: tuple[PeerSet, ...] = ()
    chains: tuple[str, ...] = ()
    family: Family = IPV4

    @property
    def networks(self) -> Iterator[Network]:
        """The networks of the peers on all uplinks."""
        return chain.from_iterable(each.networks for each in self.sets)


@dataclass(frozen=True, slots=True)
class Pool:
    """An entry of Docker's `default-address-pools`: new networks get prefixes of length `size` from `base`.

    `written` is the base as Docker has it, if it has host bits. Docker before 28 reports them.
    """

    base: Network
    size: int
    written: str | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The base as Docker has it."""
        return self.written or str(self.base)


def parse_pool(base: str, size: int) -> Pool:
    """Parse a pool. Raises ValueError if `base` is no network."""
    network = ip_network(base, strict=False)
    return Pool(network, size, None if str(network) == base else base)


# Docker's default for docker0, in bytes.
DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True)
class NftAdmission:
    """The packets routed to containers that Docker's nftables backend accepts: those with `mark`.

    Without `direct_routing` Docker drops them by destination before it checks the mark.
    """

    mark: FirewallMark | None
    direct_routing: bool


@dataclass(frozen=True, slots=True)
class DockerNetworking:
    """The running docker0: its addresses, Docker's pools for new networks, and the MTU in bytes.

    Only a restart of Docker changes them. `startup_json` is a daemon.json with which Docker starts in this state, or
    None if the host's own file does so. Without a bip, Docker reuses the last address of docker0 from its store.
    `admission` is None if Docker uses iptables.
    """

    address: IPv4Interface | None
    pools: tuple[Pool, ...] = ()
    startup_json: str | None = field(default=None, compare=False)
    address6: IPv6Interface | None = None
    mtu: int = DEFAULT_MTU
    admission: NftAdmission | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit of dockmesh. `active`: it is enabled, and a timer also runs."""

    name: str
    text: str
    active: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Whether the host forwards packets of a family. Docker enables forwarding if needed, and never disables it.

    Docker's nftables backend does not enable IPv4 forwarding, so dockmesh does. `policy` is the policy of the chain
    FORWARD, which Docker may set to DROP when it enables forwarding; it is restored with the setting.
    """

    family: Family
    on: bool
    policy: str | None = field(default=None, compare=False)


FORWARDING = {IPV4: "net.ipv4.ip_forward", IPV6: "net.ipv6.conf.all.forwarding"}
Resource = Route | StrayRoute | File | AcceptRules | NftTable | DockerNetworking | Unit | Forwarding
R = TypeVar("R", Route, StrayRoute, File, AcceptRules, NftTable, DockerNetworking, Unit, Forwarding)


@dataclass(frozen=True)
class HostState:
    """The resources of dockmesh on a host, actual or desired, with unique keys (`key_of`)."""

    resources: Sequence[Resource] = ()

    def by_key(self) -> dict[tuple[str, str], Resource]:
        """Return the resources by key: `(kind, key)` as in the plan document."""
        return keyed(self.resources)

    def of(self, kind: type[R]) -> SharedSequence[R]:
        """Return the resources of a type."""
        return self._by_type.get(kind, SharedSequence())

    @property
    def without_routes(self) -> Iterator[Resource]:
        """All resources except the routes. There is one route per peer, but only a few other resources."""
        return chain.from_iterable(each for kind, each in self._by_type.items() if kind is not Route)

    @cached_property
    def _by_type(self) -> Mapping[type, SharedSequence[Any]]:
        types: dict[type, list[SharedSequence[Resource]]] = {}
        for kind, run in SharedSequence.of(self.resources).runs("type", type):
            types.setdefault(kind, []).append(run)
        return {kind: SharedSequence.of(*runs) for kind, runs in types.items()}

    def file(self, path: str) -> File | None:
        """Return the file at `path`, or None."""
        return self._files.get(path)

    @cached_property
    def _files(self) -> Mapping[str, File]:
        return {each.path: each for each in self.of(File)}

    @property
    def docker(self) -> DockerNetworking | None:
        """Docker's networking; None without Docker."""
        return next(iter(self.of(DockerNetworking)), None)

    def forwarding(self, family: Family) -> Forwarding | None:
        """Return the forwarding of a family; None if it is not part of the state."""
        return next((each for each in self.of(Forwarding) if each.family == family), None)


def keyed(resources: Iterable[Resource]) -> dict[tuple[str, str], Resource]:
    """Return the resources by key."""
    return {key_of(resource): resource for resource in resources}


def key_of(resource: Resource) -> tuple[str, str]:
    """Return the kind and key that identify a resource on a host."""
    match resource:
        case Route():
            return "route", str(resource.prefix)
        case StrayRoute():
            return "route", resource.text
        case File():
            return "file", resource.path
        case AcceptRules(family=family):
            return "firewall", f"{'ip6 ' * (family == IPV6)}{resource.table}/{resource.chain}"
        case NftTable(family=family):
            return "firewall", f"{nft_family_name(family)} dockmesh"
        case DockerNetworking():
            return "service", "docker"
        case Unit():
            return "unit", resource.name
        case Forwarding(family=family):
            return "firewall", FORWARDING[family]


def nft_family_name(family: Family) -> str:
    """Return nft's name of the family."""
    return "ip" if family == IPV4 else "ip6"


def iptables_command(family: Family) -> str:
    """Return the iptables command of the family."""
    return "iptables" if family == IPV4 else "ip6tables"
