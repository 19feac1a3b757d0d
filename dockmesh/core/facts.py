"""What a host is: the facts one run of `templates/facts.sh` reads, and the strict parser of its answer."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_network
from itertools import chain, product
from sys import intern

from dockmesh.core import daemon, mark
from dockmesh.core.addresses import (
    FAMILIES,
    IPV4,
    IPV6,
    SUFFIX,
    Family,
    Interface,
    Network,
    network,
    order,
    remembered,
)
from dockmesh.core.dockerd import DockerFacts, docker_facts, pools_of, silent
from dockmesh.core.iproute import KernelRoute, Ways, address_of, kernel_route, own_route, way
from dockmesh.core.kernel import Kernel, kernel
from dockmesh.core.links import Link, links
from dockmesh.core.model import Host
from dockmesh.core.rows import Rows
from dockmesh.core.sections import ABSENT, Section, file_of, quoted, reading, split
from dockmesh.core.state import (
    DEFAULT_MTU,
    Admission,
    Bridge,
    Chain,
    File,
    Forwarding,
    HostState,
    Resource,
    Route,
    SourceNat,
    Unit,
    nft_family,
)
from dockmesh.errors import HostError, NoDockerError

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
# How `tables` of facts.sh ends where there is no iptables, and where it does not tell all.
_NO_IPTABLES, _INCOMPATIBLE = 127, 3
# As nft 1.0.6 to 1.1.7 lists what `firewall.nft` writes, blanks at either end of a line aside.
_TABLE = re.compile(
    r"table (?P<ip>ip6?) dockmesh \{\n"
    r"(?:set peers \{\ntype ipv[46]_addr\nflags interval\nelements = \{ (?P<peers>[\da-f:./,\s]+) \}\n\}\n)?"
    r"(?:chain forward \{\ntype filter hook forward priority (?:filter - 1|-1); policy accept;\n"
    r"(?P<marks>(?:ip [^\n{}]+\n|iifname [^\n{}]+\n)+)\}\n)?"
    r"(?:chain source \{\ntype nat hook postrouting priority (?:srcnat - 1|99); policy accept;\n"
    r"(?P=ip) saddr (?P<prefix>[\da-f:./]+) (?P=ip) daddr @peers snat to (?P=ip) saddr\n\}\n)?"
    r"\}"
)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as one exec found it.

    `ways` lacks the peers the kernel knows no way to. `docker_user`: the families of which Docker's chain for rules of
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
    ways: Ways
    links: Mapping[str, Link]
    docker: DockerFacts | None
    previous: str | None
    pending: str | None
    docker_user: frozenset[Family]
    actual: HostState
    takes_ra: frozenset[str] = frozenset()
    forward_drops: bool = False
    kernel: Kernel = field(default_factory=Kernel)

    @property
    def nftables(self) -> bool:
        """Whether the host's Docker writes its rules with nftables itself."""
        return self.docker is not None and self.docker.nftables

    def file(self, path: str) -> File | None:
        """The file at `path` among those dockmesh reads, None where the host has none."""
        return self.actual.file(path)


def parse(host: Host, output: str) -> HostFacts:
    """Read the answer of `templates/facts.sh`.

    Raises:
        HostError: the host is not one dockmesh works with (the message has the remedy), or its answer is unreadable.
    """
    sections = split(output)
    _refuse_unsupported(host, sections)
    with reading("addresses"):
        addresses = tuple(map(address_of, _lines(sections, "addresses")))
    with reading("routes"):
        routes = [kernel_route(line, family) for family in FAMILIES for line in _of(sections, "routes", family)]
    with reading("ways to the peers"):
        ways = Ways(*(map(way, _of(sections, "ways", family)) for family in FAMILIES))
    with reading("interfaces"):
        interfaces = links(sections["links"].lines())
    docker = docker_facts(sections) if host.docker else None
    ip_forward = sections["ip_forward"].text == "1"
    return HostFacts(
        host=host.name,
        basis=sections["basis"].text,
        tools=frozenset(line.rsplit("/", 1)[-1] for line in sections["tools"].lines()),
        ip_forward=ip_forward,
        addresses=addresses,
        foreign_routes=tuple(route for route in routes if not route.owned),
        ways=ways,
        links=interfaces,
        docker=docker,
        previous=_text(sections, "previous.json"),
        pending=_pending(sections),
        docker_user=frozenset(family for family in FAMILIES if _policy(sections, family, "DOCKER-USER")),
        takes_ra=frozenset(line.split()[0] for line in sections["accept_ra"].lines() if line.endswith(" 1")),
        forward_drops=_policy(sections, IPV4, "FORWARD") == "DROP",
        kernel=kernel(sections),
        actual=HostState(
            Rows.of(
                _docker_resources(sections, addresses, docker) if docker else (),
                (Forwarding(IPV4, ip_forward),) if docker and docker.nftables else (),
                _own(sections),
                *(_own_routes(sections, family) for family in FAMILIES),
            )
        ),
    )


def _own(sections: Mapping[str, Section]) -> Iterator[Resource]:
    """What of dockmesh's a host has, whatever runs on it."""
    yield from _own_files(sections, [REASSERT])
    yield from _units(sections)
    yield from _forwarding(sections)
    yield from _chains(sections)
    for family in FAMILIES:
        yield from source_nats(sections[f"nft{SUFFIX[family]}"], family)


def _own_routes(sections: Mapping[str, Section], family: Family) -> Iterator[Route]:
    return filter(None, (own_route(line, family) for line in _of(sections, "routes", family)))


def _of(sections: Mapping[str, Section], name: str, family: Family) -> list[str]:
    """The lines of a section of which each family has its own."""
    return sections[f"{name}{SUFFIX[family]}"].lines()


def _lines(sections: Mapping[str, Section], name: str) -> Iterator[str]:
    """Those of both families."""
    return chain.from_iterable(_of(sections, name, family) for family in FAMILIES)


def _policy(sections: Mapping[str, Section], family: Family, name: str) -> str | None:
    """The policy of a chain of the table filter, `-` where it has none; None where there is no such chain."""
    lines = _of(sections, "filter", family)
    return next((line.split()[1] for line in lines if line.startswith(f":{name} ")), None)


def _forwarding(sections: Mapping[str, Section]) -> Iterator[Forwarding]:
    """Of IPv6 alone: that of IPv4 Docker needs anyway. None where the kernel has no IPv6."""
    if value := sections["forwarding6"].text:
        yield Forwarding(IPV6, value != "0", _policy(sections, IPV6, "FORWARD"))


def _refuse_unsupported(host: Host, sections: Mapping[str, Section]) -> None:
    if sections["user"].text != "0":
        raise HostError(f"not root there (uid {quoted(sections['user'].text)}): log in as root or set become: sudo")
    version = sections["version"].text
    if "iproute2" not in version:
        raise HostError(f"ip is not iproute2's ({quoted(version)}): install the package iproute2 on the host")
    for family in FAMILIES:
        _refuse_unreadable(sections[f"filter{SUFFIX[family]}"], needed=host.stack(family) is not None)
    if sections["systemd"].status != 0:
        raise HostError("systemd does not run it (OpenRC, perhaps), and dockmesh needs it to take back and to put back")
    if host.docker:
        _refuse_without_docker(sections)
    elif file_of(sections, "original.json"):
        raise HostError("was joined with its Docker: destroy it with docker: true first, then say docker: false")


def _refuse_unreadable(tables: Section, *, needed: bool) -> None:
    """A firewall of which dockmesh cannot tell what is its own: it would set that anew, or leave it behind."""
    if tables.status == _INCOMPATIBLE:
        raise HostError(
            f"{quoted(tables.text)}: a rule that only nft knows stands in it, and iptables tells of none of its rules; "
            "move that rule to a table of its own (nft list ruleset shows it)"
        )
    if needed and tables.status not in {0, _NO_IPTABLES}:
        raise HostError(f"its firewall cannot be read: {quoted(tables.text)}")


def _refuse_without_docker(sections: Mapping[str, Section]) -> None:
    info = sections.get("info", ABSENT)
    unit = sections["unit"].text
    if "snap.docker" in unit or any(line.startswith("/snap/") for line in sections["tools"].lines()):
        raise HostError("Docker is the snap, which keeps its daemon.json elsewhere: install the package docker-ce")
    if info is ABSENT:
        raise NoDockerError("Docker is not installed: install it, or say docker: false in the inventory")
    if why := silent(info):
        if by := _pending(sections):
            raise HostError(f"Docker does not answer ({why}): a change is under way, by {by}; wait for its end")
        raise HostError(f"Docker does not answer ({why}): systemctl start docker")
    if "LoadState=loaded" not in unit:
        raise HostError("Docker does not run as docker.service of systemd, which dockmesh restarts it by")


def _pending(sections: Mapping[str, Section]) -> str | None:
    """Whose change waits on the host for its confirmation."""
    run = sections["pending"]
    return quoted(run.text) if run.status == 0 else None


def docker0(
    addresses: Iterable[tuple[str, Interface]],
) -> tuple[IPv4Interface | None, IPv6Interface | None]:
    """The addresses of docker0, the first of each family."""
    own = [address for device, address in addresses if device == DOCKER_BRIDGE]
    return (
        next((address for address in own if isinstance(address, IPv4Interface)), None),
        next((address for address in own if isinstance(address, IPv6Interface)), None),
    )


def _bridge(docker: DockerFacts, addresses: Iterable[tuple[str, Interface]]) -> Bridge:
    """Docker leaves an address of IPv6 on docker0 that it had before: of its network it is only where that has IPv6."""
    networks = [network for network in docker.networks if network.device == DOCKER_BRIDGE]
    prefixes = {prefix for network in networks for prefix in network.prefixes}
    address, address6 = docker0(addresses)
    mtu = networks[0].mtu if networks else DEFAULT_MTU
    return Bridge(address, address6=address6 if address6 and address6.network in prefixes else None, mtu=mtu)


def _docker_resources(
    sections: Mapping[str, Section], addresses: tuple[tuple[str, Interface], ...], docker: DockerFacts
) -> tuple[Resource, ...]:
    files = _own_files(sections, [DAEMON_JSON, ORIGINAL_JSON])
    bridge = _bridge(docker, addresses)
    text = next((file.text for file in files if file.path == DAEMON_JSON), None)
    # A broken file is a conflict, and no change is made that would have to be undone.
    with suppress(daemon.DaemonJsonError):
        bridge = replace(bridge, pools=pools_of(sections["info"], text))
        filed = daemon.admission(text, nftables=docker.nftables)
        admission = _admission(sections["admission"], filed) if docker.nftables and filed else filed
        return *files, replace(bridge, way_in=daemon.naming(text, bridge), admission=admission)
    return *files, bridge


def _admission(section: Section, filed: Admission) -> Admission:
    """What the running daemon lets in by its own rules. What these do not tell is as the file has it."""
    with reading("Docker's rules"):
        borne, direct = section.text.split()
        return Admission(
            mark={"?": filed.mark, "none": None}[borne] if borne in {"?", "none"} else mark.parse(borne),
            direct={"no": False, "?": filed.direct}[direct],
        )


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
    """Of a unit that is not there, systemctl says nothing but that it is inactive."""
    states = sections["enabled"].lines()
    active = sorted(states) == ["active", "enabled", "enabled"]
    texts = ((name, _text(sections, name)) for name in UNITS)
    return tuple(Unit(name, text, active) for name, text in texts if text is not None)


def _chains(sections: Mapping[str, Section]) -> Iterator[Chain]:
    for family, (name, table) in product(FAMILIES, CHAINS.items()):
        lines = _of(sections, table, family)
        if any(line.startswith(f":{name} ") for line in lines):
            hooks = [line.split()[1] for line in lines if line.endswith(f" -j {name}")]
            mark = f"-A {name} "
            rules = (intern(line[len(mark) :]) for line in lines if line.startswith(mark))
            yield Chain(table, name, hooks[0] if len(hooks) == 1 else None, tuple(rules), family)


def source_nats(listed: Section, family: Family = IPV4) -> Iterator[SourceNat]:
    """The table of dockmesh's own, if there is one; empty where it is not as dockmesh writes it."""
    if listed.status == 0:
        found = _TABLE.fullmatch("\n".join(filter(None, map(str.strip, listed.lines()))))
        with reading(f"table {nft_family(family)} dockmesh"):
            yield _table(found.groupdict(default=""), family) if found else SourceNat(family=family)


def _table(parts: Mapping[str, str], family: Family) -> SourceNat:
    marks = tuple(parts["marks"].splitlines())
    if not parts["peers"] or not parts["prefix"]:
        whole = parts["peers"] == parts["prefix"]
        return SourceNat(family=family, marks=marks if whole else ())
    peers = sorted(map(_element, parts["peers"].split(",")))
    return SourceNat(ip_network(parts["prefix"]), tuple(peer for _order, peer in peers), family, marks)


@remembered
def _element(text: str) -> tuple[tuple[int, int, int], Network]:
    """A network of a set, behind what it is sorted by."""
    found = network(text.strip())
    return order(found), found
