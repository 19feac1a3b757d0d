"""What a host is: the facts one run of `templates/facts.sh` reads, and the strict parser of its answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from dockmesh.core.addresses import FAMILIES, IPV4, SUFFIX, Family, Interface
from dockmesh.core.facts.docker import DockerFacts, DockerNetwork, daemon_error, parse_docker
from dockmesh.core.facts.iproute import (
    KernelRoute,
    PeerRoutes,
    parse_address_line,
    parse_kernel_route,
    parse_peer_route,
)
from dockmesh.core.facts.links import Link, parse_links
from dockmesh.core.facts.owned import chain_policy, file_text, parse_owned
from dockmesh.core.facts.settings import PacketSettings, parse_settings
from dockmesh.core.host_output import ABSENT, Section, Sections, file_section, parsing, sanitize, split
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON, DOCKER_BRIDGE
from dockmesh.core.state.resources import File, HostState
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, NoDockerError

# The exit statuses of `iptables_rules` in facts.sh for a missing command and for a table that it cannot list.
_NO_IPTABLES, _INCOMPATIBLE = 127, 3


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as one exec found it.

    `peer_routes` lacks the peers without a route. `docker_user`: the families of which Docker's chain for rules of
    others is there. `takes_ra`: the interfaces that take router advertisements only while the host does not forward.
    `forward_drops`: iptables drops what is forwarded and no rule of its own accepts. `kernel` is no part of what a plan
    is made from; it is for foreseeing what becomes of packets.
    """

    host: str
    basis: str
    tools: frozenset[str]
    ip_forward: bool
    addresses: tuple[tuple[str, Interface], ...]
    foreign_routes: tuple[KernelRoute, ...]
    peer_routes: PeerRoutes
    links: Mapping[str, Link]
    docker: DockerFacts | None
    previous: str | None
    pending: str | None
    docker_user: frozenset[Family]
    actual: HostState
    accepts_ra: frozenset[str] = frozenset()
    forward_drops: bool = False
    settings: PacketSettings = field(default_factory=PacketSettings)

    @property
    def docker_uses_nftables(self) -> bool:
        """Whether the host's Docker writes its rules with nftables itself."""
        return self.docker is not None and self.docker.uses_nftables

    @property
    def daemon_json(self) -> str | None:
        """The text of daemon.json; None where the host has no such file, or no Docker."""
        file = self.file(DAEMON_JSON)
        return file.text if file else None

    @property
    def docker_devices(self) -> frozenset[str]:
        """The interfaces of Docker's networks; docker0 is one of them even where the host has none."""
        return frozenset((DOCKER_BRIDGE, *(network.device for network in self._docker_networks)))

    @property
    def user_networks(self) -> tuple[DockerNetwork, ...]:
        """Docker's networks other than the one of docker0; none without Docker."""
        return tuple(network for network in self._docker_networks if network.device != DOCKER_BRIDGE)

    @property
    def _docker_networks(self) -> tuple[DockerNetwork, ...]:
        return self.docker.networks if self.docker else ()

    def file(self, path: str) -> File | None:
        """The file at `path` among those dockmesh reads, None where the host has none."""
        return self.actual.file(path)


def parse_facts(host: Host, output: str) -> HostFacts:
    """Read the answer of `templates/facts.sh`.

    Raises:
        HostError: the host is not one dockmesh works with (the message has the remedy), or its answer is unreadable.
    """
    sections = split(output)
    _refuse_unsupported(host, sections)
    with parsing("addresses"):
        addresses = tuple(map(parse_address_line, _lines(sections, "addresses")))
    with parsing("routes"):
        routes = [
            parse_kernel_route(line, family) for family in FAMILIES for line in sections.lines_of("routes", family)
        ]
    with parsing("routes to the peers"):
        peer_routes = PeerRoutes(
            *(map(parse_peer_route, sections.lines_of("peer_routes", family)) for family in FAMILIES)
        )
    with parsing("interfaces"):
        interfaces = parse_links(sections["links"].lines())
    docker = parse_docker(sections) if host.docker else None
    ip_forward = sections["ip_forward"].text == "1"
    return HostFacts(
        host=host.name,
        basis=sections["basis"].text,
        tools=frozenset(line.rsplit("/", 1)[-1] for line in sections["tools"].lines()),
        ip_forward=ip_forward,
        addresses=addresses,
        foreign_routes=tuple(route for route in routes if not route.owned),
        peer_routes=peer_routes,
        links=interfaces,
        docker=docker,
        previous=file_text(sections, "previous.json"),
        pending=_pending(sections),
        docker_user=frozenset(family for family in FAMILIES if chain_policy(sections, family, "DOCKER-USER")),
        accepts_ra=frozenset(line.split()[0] for line in sections["accept_ra"].lines() if line.endswith(" 1")),
        forward_drops=chain_policy(sections, IPV4, "FORWARD") == "DROP",
        settings=parse_settings(sections),
        actual=HostState(parse_owned(sections, addresses, docker, ip_forward=ip_forward)),
    )


def _lines(sections: Sections, name: str) -> Iterator[str]:
    """Those of both families."""
    return chain.from_iterable(sections.lines_of(name, family) for family in FAMILIES)


def _refuse_unsupported(host: Host, sections: Sections) -> None:
    if sections["uid"].text != "0":
        raise HostError(
            f"not root there (uid {sanitize(sections['uid'].text)}): log in as root or set become: sudo",
            code=HostErrorCode.NOT_ROOT,
        )
    if sections["systemd"].status != 0:
        runs = sanitize(sections["systemd"].text) or "another init"
        raise HostError(
            f"{runs} runs it: dockmesh needs systemd, by which a host takes back and puts back; Alpine and others with "
            "OpenRC are not supported: leave it out of the inventory",
            code=HostErrorCode.NO_SYSTEMD,
        )
    version = sections["ip_version"].text if "ip_version" in sections else None
    if version is not None and "iproute2" not in version:
        raise HostError(
            f"ip is not iproute2's ({sanitize(version)}): install the package iproute2 on the host",
            code=HostErrorCode.NOT_IPROUTE2,
        )
    if sections["routes"].status != 0:
        raise HostError(
            "ip did not tell all of its addresses, routes and ways: try again", code=HostErrorCode.ROUTES_UNREADABLE
        )
    for family in FAMILIES:
        _refuse_unreadable(sections[f"filter{SUFFIX[family]}"], needed=host.network(family) is not None)
    if host.docker:
        _refuse_without_docker(sections)
    elif file_section(sections, "original.json"):
        raise HostError(
            "was joined with its Docker: destroy it with docker: true first, then say docker: false",
            code=HostErrorCode.JOINED_WITH_DOCKER,
        )


def _refuse_unreadable(tables: Section, *, needed: bool) -> None:
    """A firewall of which dockmesh cannot tell what is its own: it would set that anew, or leave it behind."""
    if tables.status == _INCOMPATIBLE:
        raise HostError(
            f"{sanitize(tables.text)}: a rule that only nft knows stands in it, and iptables tells of none of its "
            "rules; move that rule to a table of its own (nft list ruleset shows it)",
            code=HostErrorCode.FIREWALL_INCOMPATIBLE,
        )
    if needed and tables.status not in {0, _NO_IPTABLES}:
        raise HostError(f"its firewall cannot be read: {sanitize(tables.text)}", code=HostErrorCode.FIREWALL_UNREADABLE)


def _refuse_without_docker(sections: Sections) -> None:
    info = sections.get("docker_info", ABSENT)
    unit = sections["docker_unit"].text
    if "snap.docker" in unit or any(line.startswith("/snap/") for line in sections["tools"].lines()):
        raise HostError(
            "Docker is the snap, which keeps its daemon.json elsewhere: install the package docker-ce",
            code=HostErrorCode.DOCKER_SNAP,
        )
    if info is ABSENT:
        raise NoDockerError("Docker is not installed: install it, or say docker: false in the inventory")
    if why := daemon_error(info):
        if by := _pending(sections):
            raise HostError(
                f"Docker does not answer ({why}): a change is under way, by {by}; wait for its end",
                code=HostErrorCode.CHANGE_PENDING,
            )
        raise HostError(f"Docker does not answer ({why}): systemctl start docker", code=HostErrorCode.DOCKER_STOPPED)
    if "LoadState=loaded" not in unit:
        raise HostError(
            "Docker does not run as docker.service of systemd, which dockmesh restarts it by",
            code=HostErrorCode.DOCKER_NOT_A_UNIT,
        )


def _pending(sections: Sections) -> str | None:
    """Whose change waits on the host for its confirmation."""
    run = sections["pending"]
    return sanitize(run.text) if run.status == 0 else None
