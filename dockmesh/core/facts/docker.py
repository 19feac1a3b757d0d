"""The facts of a running Docker daemon: its settings, networks and containers."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from itertools import chain
from typing import Any

from dockmesh.core.addresses import Address, Network, parse_address
from dockmesh.core.host_output import Section, parse_json, parsing, sanitize
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import DEFAULT_MTU, Pool, parse_pool

# A base that Docker does not report: Go's text for an invalid netip.Prefix, in Docker 28.5, and its JSON, since 29.
_NO_PREFIX = {"invalid Prefix", ""}
# The mode of a namespace that a container shares with another one.
_OTHER = "container:"


@dataclass(frozen=True, slots=True)
class DockerNetwork:
    """A Docker network with its prefixes of both families. `device` is the bridge interface; `mtu` is in bytes."""

    name: str
    driver: str
    device: str
    prefixes: tuple[Network, ...]
    mtu: int = DEFAULT_MTU


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. `address` is its address on docker0, if any.

    `published`: the addresses of the host at which it publishes ports, if it names any.
    `needs`: the ids or names of the containers whose network, IPC or processes it uses.
    """

    id: str
    name: str
    auto_remove: bool
    address: IPv4Address | None
    published: frozenset[Address] = frozenset()
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DockerFacts:
    """The running daemon. `fragment` is the path of its unit file, `arguments` are those of dockerd."""

    version: str
    firewall_backend: str
    live_restore: bool
    rootless: bool
    swarm: bool
    fragment: str
    arguments: tuple[str, ...]
    networks: tuple[DockerNetwork, ...]
    containers: tuple[Container, ...]

    @property
    def major(self) -> int:
        """The major version; 0 if unknown."""
        first = self.version.split(".", 1)[0]
        return int(first) if first.isdecimal() else 0

    @property
    def uses_nftables(self) -> bool:
        """Whether Docker uses its nftables backend, which exists since 29 and is off by default."""
        return self.firewall_backend.startswith("nftables")

    def flag(self, name: str) -> str | None:
        """Return the value of a dockerd flag, from `FLAG=VALUE` or from the next argument; None without the flag."""
        for at, argument in enumerate(self.arguments):
            flag, equals, value = argument.partition("=")
            if flag == name:
                return value if equals else "".join(self.arguments[at + 1 : at + 2])
        return None


def daemon_error(info: Section) -> str | None:
    """Return why the daemon does not reply, or None. Docker 20.10 and 26.1 exit 0 with the error in the JSON."""
    last = info.text.split("\n")[-1]
    if info.status != 0:
        return sanitize(last) or "no error message"
    with parsing("docker info"):
        errors = parse_json(last).get("ServerErrors")
        return sanitize(" ".join(map(str, errors))) if errors else None


def _info(section: Section) -> dict[str, Any]:
    """Parse `docker info`; warnings of the client precede the JSON line."""
    info: dict[str, Any] = parse_json(section.text.split("\n")[-1])
    return info


def parse_pools(info: Section, text: str | None) -> tuple[Pool, ...]:
    """Return the pools of the running daemon; none if it has Docker's built-in pools.

    After a reload of its file, Docker since 28.5 no longer reports the bases in `docker info`. Then the file's pools
    count.
    """
    with parsing("docker info"):
        rows = _info(info).get("DefaultAddressPools") or ()
        if any(row["Base"] in _NO_PREFIX for row in rows):
            return daemon_json.pools(text)
        return tuple(parse_pool(row["Base"], int(row["Size"])) for row in rows)


def parse_docker(sections: Mapping[str, Section]) -> DockerFacts:
    """Parse the daemon's sections of the output of `templates/facts.sh`.

    Raises:
        HostError: a section is unreadable.
    """
    with parsing("docker info"):
        info = _info(sections["docker_info"])
        unit = dict(line.split("=", 1) for line in sections["docker_unit"].lines())
        backend = info.get("FirewallBackend") or {}
        return DockerFacts(
            version=sanitize(str(info["ServerVersion"])),
            firewall_backend=sanitize(str(backend.get("Driver") or "iptables")),
            live_restore=bool(info["LiveRestoreEnabled"]),
            rootless=any("rootless" in option for option in info["SecurityOptions"] or ()),
            swarm=(info.get("Swarm") or {}).get("LocalNodeState", "inactive") != "inactive",
            fragment=sanitize(unit["FragmentPath"]),
            arguments=tuple(map(sanitize, sections["daemon_arguments"].lines()[1:])),
            networks=tuple(map(_docker_network, _rows(sections["docker_networks"]))),
            containers=tuple(map(_container, _rows(sections["docker_containers"]))),
        )


def _rows(section: Section) -> Iterator[list[Any]]:
    if section.status != 0:
        raise ValueError(section.text)
    return map(parse_json, section.lines())


def _docker_network(row: list[Any]) -> DockerNetwork:
    name, driver, options, ranges, identity = row
    # Docker before 26 accepts a subnet with host bits.
    prefixes = tuple(ip_network(entry["Subnet"], strict=False) for entry in ranges or ())
    device = (options or {}).get("com.docker.network.bridge.name") or f"br-{identity[:12]}"
    mtu = int((options or {}).get("com.docker.network.driver.mtu") or 0) or DEFAULT_MTU
    return DockerNetwork(sanitize(str(name)), sanitize(str(driver)), sanitize(str(device)), prefixes, mtu)


def _container(row: list[Any]) -> Container:
    identity, name, auto_remove, networks, ports, *modes = (*row, None)
    address = networks.get("bridge", {}).get("IPAddress")
    return Container(
        str(identity),
        sanitize(str(name).removeprefix("/")),
        bool(auto_remove),
        IPv4Address(address) if address else None,
        frozenset(_published(ports or {})),
        frozenset(str(mode).removeprefix(_OTHER) for mode in modes if str(mode).startswith(_OTHER)),
    )


def _published(ports: Mapping[str, Any]) -> Iterator[Address]:
    """The addresses of `HostConfig.PortBindings`."""
    for binding in chain.from_iterable(each or () for each in ports.values()):
        # Usually empty, for every address.
        with suppress(ValueError):
            yield parse_address(binding["HostIp"])
