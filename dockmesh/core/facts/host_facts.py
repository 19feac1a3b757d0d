"""The facts of a host, and the strict parser of the output of `templates/facts.sh`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from dockmesh.core.addresses import FAMILIES, IPV4, SUFFIX, Family, Interface
from dockmesh.core.facts.docker import DockerFacts, DockerNetwork, daemon_error, parse_docker
from dockmesh.core.facts.iproute import (
    KernelRoute,
    PeerRoutes,
    parse_address_line,
)
from dockmesh.core.facts.links import Link, parse_links
from dockmesh.core.facts.listings import Listings, own_runs
from dockmesh.core.facts.owned import chain_policy, file_text, parse_owned
from dockmesh.core.facts.settings import PacketSettings, parse_settings
from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange, parse_pending, parse_reverted
from dockmesh.core.host_output import ABSENT, Section, Sections, file_section, parsing, sanitize, split
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON, DOCKER_BRIDGE
from dockmesh.core.state.resources import File, HostState, iptables_command
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, NoDockerError

# The exit statuses of `iptables_rules` in facts.sh for a missing command and for a table that it cannot list.
_NO_IPTABLES, _INCOMPATIBLE = 127, 3


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The facts of a host, read by one exec.

    `basis` is their checksum, which a transaction compares before it changes the host. `peer_routes` lacks peers
    without a route. `docker_user` has the families with a DOCKER-USER chain. `accepts_ra` has the interfaces that
    accept router advertisements only while the host does not forward. `forward_drops`: the policy of iptables FORWARD
    is DROP. `settings` only serves the forecast.
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
    pending: PendingChange | None
    docker_user: frozenset[Family]
    actual: HostState
    accepts_ra: frozenset[str] = frozenset()
    forward_drops: bool = False
    settings: PacketSettings = field(default_factory=PacketSettings)
    reverted: RevertedChange | None = None

    @property
    def docker_uses_nftables(self) -> bool:
        """Whether the host's Docker uses its nftables backend."""
        return self.docker is not None and self.docker.uses_nftables

    @property
    def daemon_json(self) -> str | None:
        """The text of daemon.json; None without the file or without Docker."""
        file = self.file(DAEMON_JSON)
        return file.text if file else None

    @property
    def docker_devices(self) -> frozenset[str]:
        """The interfaces of Docker's networks, always including docker0."""
        return frozenset((DOCKER_BRIDGE, *(network.device for network in self._docker_networks)))

    @property
    def user_networks(self) -> tuple[DockerNetwork, ...]:
        """Docker's networks except the network of docker0; none without Docker."""
        return tuple(network for network in self._docker_networks if network.device != DOCKER_BRIDGE)

    @property
    def _docker_networks(self) -> tuple[DockerNetwork, ...]:
        return self.docker.networks if self.docker else ()

    def has_iptables(self, family: Family) -> bool:
        """Whether the host has the iptables command of the family."""
        return iptables_command(family) in self.tools

    def file(self, path: str) -> File | None:
        """Return the file at `path` from the files that dockmesh reads, or None."""
        return self.actual.file(path)


class PendingChangeError(HostError):
    """The host cannot be read, perhaps because of its pending change. It can still end that change."""

    def __init__(self, host: Host, pending: PendingChange, error: HostError) -> None:
        # The remedy of the error does not help during a change.
        reason = str(error).partition(". Fix: ")[0]
        message = f"the host cannot be read ({reason}), and {pending.message}. Fix: {pending.remedy(host.name)}"
        super().__init__(message, code=HostErrorCode.CHANGE_PENDING)
        self.pending = pending


def parse_facts(host: Host, output: str, now: datetime, listings: Listings | None = None) -> HostFacts:
    """Parse the output of `templates/facts.sh`, printed at the time `now`. `listings`: those of the host's fleet.

    Raises:
        HostError: dockmesh does not support the host, or the output is unreadable.
    """
    sections = split(output)
    pending = parse_pending(sections, now)
    try:
        return _host_facts(host, sections, pending, parse_reverted(sections, now), listings or Listings())
    except HostError as error:
        if pending is None:
            raise
        raise PendingChangeError(host, pending, error) from error


def _host_facts(
    host: Host,
    sections: Sections,
    pending: PendingChange | None,
    reverted: RevertedChange | None,
    listings: Listings,
) -> HostFacts:
    _refuse_unsupported(host, sections)
    with parsing("addresses"):
        addresses = tuple(map(parse_address_line, _lines(sections, "addresses")))
    with parsing("routes"):
        routes = [
            line.route
            for family in FAMILIES
            for is_own, run in own_runs(listings.routes[family].rows(sections[f"routes{SUFFIX[family]}"].text))
            for line in (() if is_own else run)
        ]
    with parsing("routes to the peers"):
        peer_routes = PeerRoutes(
            *(listings.peer_routes[family].rows(sections[f"peer_routes{SUFFIX[family]}"].text) for family in FAMILIES)
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
        foreign_routes=tuple(routes),
        peer_routes=peer_routes,
        links=interfaces,
        docker=docker,
        previous=file_text(sections, "previous.json"),
        pending=pending,
        docker_user=frozenset(family for family in FAMILIES if chain_policy(sections, family, "DOCKER-USER")),
        accepts_ra=frozenset(line.split()[0] for line in sections["accept_ra"].lines() if line.endswith(" 1")),
        forward_drops=chain_policy(sections, IPV4, "FORWARD") == "DROP",
        settings=parse_settings(sections),
        reverted=reverted,
        actual=HostState(parse_owned(sections, addresses, docker, listings, ip_forward=ip_forward)),
    )


def _lines(sections: Sections, name: str) -> Iterator[str]:
    """The lines of both families."""
    return chain.from_iterable(sections.lines_of(name, family) for family in FAMILIES)


def _refuse_unsupported(host: Host, sections: Sections) -> None:
    if sections["uid"].text != "0":
        raise HostError(
            f"the login is not root (uid {sanitize(sections['uid'].text)}). Fix: log in as root, or set become: sudo",
            code=HostErrorCode.NOT_ROOT,
        )
    if sections["systemd"].status != 0:
        runs = sanitize(sections["systemd"].text) or "another init"
        raise HostError(
            f"the host runs {runs}, but dockmesh requires systemd for automatic revert and route restoration. Fix: "
            "remove the host from the inventory (Alpine and other OpenRC hosts are not supported)",
            code=HostErrorCode.NO_SYSTEMD,
        )
    version = sections["ip_version"].text if "ip_version" in sections else None
    if version is not None and "iproute2" not in version:
        raise HostError(
            f"its ip command is not from iproute2 ({sanitize(version)}). Fix: install the package iproute2",
            code=HostErrorCode.NOT_IPROUTE2,
        )
    if sections["routes"].status != 0:
        raise HostError(
            "ip stopped before it printed all addresses and routes. Fix: run the command again",
            code=HostErrorCode.ROUTES_UNREADABLE,
        )
    for family in FAMILIES:
        _refuse_unreadable(sections[f"filter{SUFFIX[family]}"], needed=host.network(family) is not None)
    if host.docker:
        _refuse_without_docker(sections)
    elif file_section(sections, "original.json"):
        raise HostError(
            "the host joined with its Docker. Fix: set docker: true, run dockmesh destroy, then set docker: false",
            code=HostErrorCode.JOINED_WITH_DOCKER,
        )


def _refuse_unreadable(tables: Section, *, needed: bool) -> None:
    """Refuse a firewall that iptables cannot list, since dockmesh would add its rules again or leave them behind."""
    if tables.status == _INCOMPATIBLE:
        raise HostError(
            f"{sanitize(tables.text)}: the table has a rule that only nft can read, so iptables lists none of its "
            "rules. Fix: find that rule with nft list ruleset, and move it to another table",
            code=HostErrorCode.FIREWALL_INCOMPATIBLE,
        )
    if needed and tables.status not in {0, _NO_IPTABLES}:
        raise HostError(
            f"the firewall cannot be read ({sanitize(tables.text)}). Fix: make iptables-save work on the host",
            code=HostErrorCode.FIREWALL_UNREADABLE,
        )


def _refuse_without_docker(sections: Sections) -> None:
    info = sections.get("docker_info", ABSENT)
    unit = sections["docker_unit"].text
    if "snap.docker" in unit or any(line.startswith("/snap/") for line in sections["tools"].lines()):
        raise HostError(
            "Docker is installed as a snap, which keeps its daemon.json elsewhere. Fix: install the package docker-ce",
            code=HostErrorCode.DOCKER_SNAP,
        )
    if info is ABSENT:
        raise NoDockerError("Docker is not installed. Fix: install it, or set docker: false in the inventory")
    if why := daemon_error(info):
        raise HostError(
            f"Docker does not reply ({why}). Fix: systemctl start docker", code=HostErrorCode.DOCKER_STOPPED
        )
    if "LoadState=loaded" not in unit:
        raise HostError(
            "Docker does not run as docker.service, so dockmesh cannot restart it. Fix: run Docker as docker.service",
            code=HostErrorCode.DOCKER_NOT_A_UNIT,
        )
