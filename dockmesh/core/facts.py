"""What a host is: the facts one run of `templates/facts.sh` reads, and the strict parser of its answer.

Text output of iproute2 is read, not JSON: it is the same from iproute2 3 to 6 and in the fingerprint.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from itertools import pairwise
from typing import Any

from dockmesh.core import daemon
from dockmesh.core.model import Bridge, Chain, File, Host, HostState, Pool, Resource, Route, SourceNat, Unit
from dockmesh.core.sections import ABSENT, Section, file_of, quoted, reading, split
from dockmesh.errors import HostError

PROTOCOL = "201"
METRIC = 4201
DAEMON_JSON = "/etc/docker/daemon.json"
ORIGINAL_JSON = "/etc/dockmesh/original.json"
REASSERT = "/etc/dockmesh/reassert.sh"
UNITS = ("dockmesh.service", "dockmesh.timer")
FORWARD_CHAIN = "DOCKMESH-FORWARD"
RAW_CHAIN = "DOCKMESH-RAW"
NAT_CHAIN = "DOCKMESH-NAT"
CHAINS = {FORWARD_CHAIN: "filter", RAW_CHAIN: "raw", NAT_CHAIN: "nat"}
DOCKER_BRIDGE = "docker0"
_FILE_BYTES = 1 << 20
# How Go prints a netip.Prefix that is none.
_NO_PREFIX = "invalid Prefix"
# As nft 1.0.6 to 1.1.7 lists what `firewall.nft` writes, blanks joined.
_SOURCE_NAT = re.compile(
    r"table ip dockmesh \{ set peers \{ type ipv4_addr flags interval elements = \{ (?P<peers>[\d./, ]+) \} \}"
    r" chain source \{ type nat hook postrouting priority (?:srcnat - 1|99); policy accept;"
    r" ip saddr (?P<prefix>[\d./]+) ip daddr @peers snat to ip saddr \} \}"
)
_ROUTE_TYPES = {"unicast", "blackhole", "unreachable", "prohibit", "throw", "local", "broadcast", "multicast"}


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A route of the main table, whoever made it. No next hop: on-link. No device: multipath or a discard."""

    prefix: IPv4Network
    next_hop: IPv4Address | None
    device: str | None
    protocol: str
    metric: int

    @property
    def owned(self) -> bool:
        """Whether it bears dockmesh's mark: the protocol number and the metric."""
        return self.protocol == PROTOCOL and self.metric == METRIC


@dataclass(frozen=True, slots=True)
class Way:
    """Which way the kernel sends a packet to a peer (`ip route get`). `local`: the address is the host's own."""

    device: str
    next_hop: IPv4Address | None
    local: bool


@dataclass(frozen=True, slots=True)
class DockerNetwork:
    """One of Docker's networks. `device` is the bridge's interface; prefixes are IPv4 only."""

    name: str
    driver: str
    device: str
    prefixes: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. `address` is the one it has on docker0, if any."""

    id: str
    name: str
    auto_remove: bool
    address: IPv4Address | None


@dataclass(frozen=True, slots=True)
class DockerFacts:
    """The running Docker daemon."""

    version: str
    firewall_backend: str
    live_restore: bool
    rootless: bool
    swarm: bool
    fragment: str
    arguments: tuple[str, ...]
    networks: tuple[DockerNetwork, ...]
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as one exec found it.

    `ways` lacks the peers the kernel knows no way to; `docker_user`: Docker's chain for rules of others is there.
    """

    host: str
    basis: str
    tools: frozenset[str]
    ip_forward: bool
    addresses: tuple[tuple[str, IPv4Interface], ...]
    foreign_routes: tuple[KernelRoute, ...]
    ways: Mapping[IPv4Address, Way]
    docker: DockerFacts | None
    previous: str | None
    pending: str | None
    docker_user: bool
    actual: HostState

    def file(self, path: str) -> File | None:
        """The file at `path` among those dockmesh reads, None where the host has none."""
        found = self.actual.by_key().get(("file", path))
        return found if isinstance(found, File) else None


def parse(host: Host, output: str) -> HostFacts:
    """Read the answer of `templates/facts.sh`.

    Raises:
        HostError: the host is not one dockmesh works with (the message has the remedy), or its answer is unreadable.
    """
    sections = split(output)
    _refuse_unsupported(host, sections)
    with reading("addresses"):
        addresses = tuple(map(address_of, sections["addresses"].lines()))
    with reading("routes"):
        routes = tuple(map(kernel_route, sections["routes"].lines()))
    with reading("ways to the peers"):
        ways = dict(map(way, sections["ways"].lines()))
    docker = _docker(sections) if host.docker else None
    return HostFacts(
        host=host.name,
        basis=sections["basis"].text,
        tools=frozenset(line.rsplit("/", 1)[-1] for line in sections["tools"].lines()),
        ip_forward=sections["ip_forward"].text == "1",
        addresses=addresses,
        foreign_routes=tuple(route for route in routes if not route.owned),
        ways=ways,
        docker=docker,
        previous=_text(sections, "previous.json"),
        pending=_pending(sections),
        docker_user=any(line.startswith(":DOCKER-USER ") for line in sections["filter"].lines()),
        actual=HostState(
            (
                *(_docker_resources(sections, addresses) if host.docker else ()),
                *_own_files(sections, [REASSERT]),
                *_units(sections),
                *_chains(sections),
                *source_nats(sections["nft"]),
                *(
                    Route(route.prefix, route.next_hop, route.device)
                    for route in routes
                    if route.owned and route.next_hop and route.device
                ),
            )
        ),
    )


def _refuse_unsupported(host: Host, sections: Mapping[str, Section]) -> None:
    if sections["user"].text != "0":
        raise HostError(f"not root there (uid {quoted(sections['user'].text)}): log in as root or set become: sudo")
    version = sections["version"].text
    if "iproute2" not in version:
        raise HostError(f"ip is not iproute2's ({quoted(version)}): install the package iproute2 on the host")
    if host.docker:
        _refuse_without_docker(sections)
    elif file_of(sections, "original.json"):
        raise HostError("was joined with its Docker: destroy it with docker: true first, then say docker: false")


def _refuse_without_docker(sections: Mapping[str, Section]) -> None:
    info = sections.get("info", ABSENT)
    unit = sections["unit"].text
    if "snap.docker" in unit or any(line.startswith("/snap/") for line in sections["tools"].lines()):
        raise HostError("Docker is the snap, which keeps its daemon.json elsewhere: install the package docker-ce")
    if info is ABSENT:
        raise HostError("Docker is not installed: install it, or say docker: false in the inventory")
    if why := _docker_silent(info):
        if by := _pending(sections):
            raise HostError(f"Docker does not answer ({why}): a change is under way, by {by}; wait for its end")
        raise HostError(f"Docker does not answer ({why}): systemctl start docker")
    if "LoadState=loaded" not in unit:
        raise HostError("Docker does not run as docker.service of systemd, which dockmesh restarts it by")


def _pending(sections: Mapping[str, Section]) -> str | None:
    """Whose change waits on the host for its confirmation."""
    run = sections["pending"]
    return quoted(run.text) if run.status == 0 else None


def _docker_silent(info: Section) -> str | None:
    """Why the daemon does not answer. Docker's client may exit 0 all the same (20.10, 26.1): the JSON has it."""
    said = info.text.split("\n")[-1]
    if info.status != 0:
        return quoted(said) or "it says nothing"
    with reading("docker info"):
        errors = json.loads(said).get("ServerErrors")
    return quoted(" ".join(map(str, errors))) if errors else None


def _fields(words: list[str]) -> dict[str, str]:
    return dict(pairwise(words))


def _network(text: str) -> IPv4Network:
    return IPv4Network("0.0.0.0/0" if text == "default" else text)


def kernel_route(line: str) -> KernelRoute:
    """A line of `ip -o -4 route show`."""
    words = line.split()
    if words[0] in _ROUTE_TYPES:
        words = words[1:]
    if "nexthop" in words:  # multipath: what follows is said of each of its ways
        words = words[: words.index("nexthop")]
    fields = _fields(words[1:])
    next_hop = fields.get("via")
    return KernelRoute(
        prefix=_network(words[0]),
        next_hop=IPv4Address(next_hop) if next_hop and next_hop != "inet6" else None,
        device=fields.get("dev"),
        protocol=fields.get("proto", "boot"),
        metric=int(fields.get("metric", "0")),
    )


def way(line: str) -> tuple[IPv4Address, Way]:
    """A line of `ip -o -4 route get`: the destination, and the way the kernel takes there."""
    words = line.split()
    local = words[0] == "local"
    if words[0] in _ROUTE_TYPES:
        words = words[1:]
    fields = _fields(words[1:])
    next_hop = fields.get("via")
    return IPv4Address(words[0]), Way(fields["dev"], IPv4Address(next_hop) if next_hop else None, local)


def address_of(line: str) -> tuple[str, IPv4Interface]:
    """A line of `ip -o -4 addr show`: the interface and its address."""
    words = line.split()
    return words[1], IPv4Interface(words[words.index("inet") + 1])


def _docker_resources(
    sections: Mapping[str, Section], addresses: tuple[tuple[str, IPv4Interface], ...]
) -> tuple[Resource, ...]:
    files = _own_files(sections, [DAEMON_JSON, ORIGINAL_JSON])
    address = next((address for device, address in addresses if device == DOCKER_BRIDGE), None)
    text = next((file.text for file in files if file.path == DAEMON_JSON), None)
    # A broken file is a conflict, and no change is made that would have to be undone.
    with suppress(daemon.DaemonJsonError):
        pools = _pools(sections["info"], text)
        return *files, Bridge(address, pools, daemon.naming(text, address, pools))
    return *files, Bridge(address)


def _pools(info: Section, text: str | None) -> tuple[Pool, ...]:
    """The pools of the running daemon; none where it has Docker's own.

    Docker 28.5 forgets their bases in `docker info` when its file is read again (systemctl reload): what the file names
    stands for them then.
    """
    with reading("docker info"):
        rows = _info(info).get("DefaultAddressPools") or ()
        if any(row["Base"] == _NO_PREFIX for row in rows):
            return daemon.pools(text)
        return tuple(Pool(ip_network(row["Base"]), int(row["Size"])) for row in rows)


def _own_files(sections: Mapping[str, Section], paths: Iterable[str]) -> tuple[File, ...]:
    found = ((path, file_of(sections, path.rsplit("/", 1)[-1])) for path in paths)
    return tuple(File(path, _decoded(path, file[1]), file[0]) for path, file in found if file)


def _text(sections: Mapping[str, Section], name: str) -> str | None:
    file = file_of(sections, name)
    return _decoded(name, file[1]) if file else None


def _decoded(path: str, content: bytes) -> str:
    if len(content) > _FILE_BYTES:
        raise HostError(f"{path} is larger than {_FILE_BYTES >> 20} MiB: that is none dockmesh or Docker wrote")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise HostError(f"{path} is not UTF-8 text (byte {error.start}): mend it") from error


def _units(sections: Mapping[str, Section]) -> tuple[Unit, ...]:
    """Where systemctl knows none of the units it says so, in one line or in several: then they are not active."""
    states = sections["enabled"].lines()
    active = states == ["enabled", "enabled", "active"]
    texts = ((name, _text(sections, name)) for name in UNITS)
    return tuple(Unit(name, text, active) for name, text in texts if text is not None)


def _chains(sections: Mapping[str, Section]) -> list[Resource]:
    chains: list[Resource] = []
    for name, table in CHAINS.items():
        lines = sections[table].lines()
        if any(line.startswith(f":{name} ") for line in lines):
            hooks = [line.split()[1] for line in lines if line.endswith(f" -j {name}")]
            rules = (line.removeprefix(f"-A {name} ") for line in lines if line.startswith(f"-A {name} "))
            chains.append(Chain(table, name, hooks[0] if len(hooks) == 1 else None, tuple(rules)))
    return chains


def source_nats(listed: Section) -> Iterator[SourceNat]:
    """The table of dockmesh's own, if there is one; empty where it is not as dockmesh writes it."""
    if listed.status == 0:
        found = _SOURCE_NAT.fullmatch(" ".join(listed.text.split()))
        with reading("table ip dockmesh"):
            peers = sorted(map(IPv4Network, found["peers"].split(", "))) if found else ()
            yield SourceNat(IPv4Network(found["prefix"]), tuple(peers)) if found else SourceNat()


def _info(section: Section) -> dict[str, Any]:
    """`docker info` as JSON; the client's warnings come before it."""
    info: dict[str, Any] = json.loads(section.text.split("\n")[-1])
    return info


def _docker(sections: Mapping[str, Section]) -> DockerFacts:
    with reading("docker info"):
        info = _info(sections["info"])
        unit = dict(line.split("=", 1) for line in sections["unit"].lines())
        backend = info.get("FirewallBackend") or {}
        return DockerFacts(
            version=str(info["ServerVersion"]),
            firewall_backend=str(backend.get("Driver") or "iptables"),
            live_restore=bool(info["LiveRestoreEnabled"]),
            rootless=any("rootless" in option for option in info["SecurityOptions"] or ()),
            swarm=(info.get("Swarm") or {}).get("LocalNodeState", "inactive") != "inactive",
            fragment=unit["FragmentPath"],
            arguments=tuple(sections["daemon_arguments"].lines()[1:]),
            networks=tuple(_docker_network(json.loads(line)) for line in sections["networks"].lines()),
            containers=tuple(_container(json.loads(line)) for line in sections["containers"].lines()),
        )


def _docker_network(row: list[Any]) -> DockerNetwork:
    name, driver, options, ranges, identity = row
    prefixes = [str(entry["Subnet"]) for entry in ranges or () if ":" not in entry["Subnet"]]
    device = (options or {}).get("com.docker.network.bridge.name") or f"br-{identity[:12]}"
    return DockerNetwork(str(name), str(driver), str(device), tuple(map(IPv4Network, prefixes)))


def _container(row: list[Any]) -> Container:
    identity, name, auto_remove, networks = row
    address = networks.get("bridge", {}).get("IPAddress")
    return Container(
        str(identity),
        str(name).removeprefix("/"),
        bool(auto_remove),
        IPv4Address(address) if address else None,
    )
