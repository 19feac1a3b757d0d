"""Parsers of the resources that dockmesh owns on a host: files, units, chains, nft tables and routes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, ip_network
from itertools import product
from sys import intern

from dockmesh.core import fwmark
from dockmesh.core.addresses import (
    FAMILIES,
    IPV4,
    IPV6,
    SUFFIX,
    Family,
    Interface,
    Network,
    memoized,
    parse_network,
    sort_key,
)
from dockmesh.core.facts.docker import DockerFacts, parse_pools
from dockmesh.core.facts.iproute import parse_own_route, stray_route
from dockmesh.core.host_output import Section, Sections, file_section, parsing
from dockmesh.core.names import (
    CHAINS,
    DAEMON_JSON,
    DOCKER_BRIDGE,
    ORIGINAL_JSON,
    REASSERT_SCRIPT,
    REVERTED_RECORD,
    UNITS,
)
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import (
    DEFAULT_MTU,
    Chain,
    DockerNetworking,
    File,
    Forwarding,
    NftAdmission,
    Resource,
    Route,
    SourceNat,
    StrayRoute,
    Unit,
    nft_family_name,
)
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

_FILE_BYTES = 1 << 20
# Limits of files with a line per peer.
_LARGE = {REASSERT_SCRIPT: 8 << 20, "previous.json": 8 << 20}
# The output of nft 1.0.6 to 1.1.7 for dockmesh's table, with stripped lines.
_TABLE = re.compile(
    r"table (?P<ip>ip6?) dockmesh \{\n"
    r"(?:set peers \{\ntype ipv[46]_addr\nflags interval\nelements = \{ (?P<peers>[\da-f:./,\s]+) \}\n\}\n)?"
    r"(?:chain forward \{\ntype filter hook forward priority (?:filter - 1|-1); policy accept;\n"
    r"(?P<marks>(?:ip [^\n{}]+\n|iifname [^\n{}]+\n)+)\}\n)?"
    r"(?:chain source \{\ntype nat hook postrouting priority (?:srcnat - 1|99); policy accept;\n"
    r"(?P=ip) saddr (?P<prefix>[\da-f:./]+) (?P=ip) daddr @peers snat to (?P=ip) saddr\n\}\n)?"
    r"\}"
)


def parse_owned(
    sections: Sections, addresses: tuple[tuple[str, Interface], ...], docker: DockerFacts | None, *, ip_forward: bool
) -> SharedSequence[Resource]:
    """Return the resources that dockmesh owns on a host; `docker` is None without Docker."""
    return SharedSequence.of(
        _docker_resources(sections, addresses, docker) if docker else (),
        (Forwarding(IPV4, ip_forward),) if docker and docker.uses_nftables else (),
        _own(sections),
        *(_routes(sections, family) for family in FAMILIES),
    )


def chain_policy(sections: Sections, family: Family, name: str) -> str | None:
    """Return the policy of a chain of the table filter, `-` for a user-defined chain; None without the chain."""
    with parsing("firewall"):
        lines = sections.lines_of("filter", family)
        return next((line.split()[1] for line in lines if line.startswith(f":{name} ")), None)


def file_text(sections: Sections, name: str) -> str | None:
    """Return the text of a file; None if the host has no such file.

    Raises:
        HostError: the file is too large or not UTF-8.
    """
    file = file_section(sections, name)
    return _decoded(name, file[1]) if file else None


def _own(sections: Sections) -> Iterator[Resource]:
    yield from _own_files(sections, [REASSERT_SCRIPT, REVERTED_RECORD])
    yield from _units(sections)
    yield from _forwarding(sections)
    yield from _chains(sections)
    for family in FAMILIES:
        yield from parse_nft_table(sections[f"own_nft{SUFFIX[family]}"], family)


def _routes(sections: Sections, family: Family) -> Iterator[Route | StrayRoute]:
    """The routes. ip lists those to one prefix one after another, and the kernel uses the first."""
    previous = None
    for line in sections.lines_of("routes", family):
        found = parse_own_route(line, family)
        if isinstance(found, Route):
            prefix = line.partition(" ")[0]
            yield found if prefix != previous else stray_route(line, family)
            previous = prefix
        elif found:
            yield found


def _forwarding(sections: Sections) -> Iterator[Forwarding]:
    """IPv6 forwarding, since Docker with iptables always enables IPv4 forwarding. None if the kernel has no IPv6."""
    if value := sections["ipv6_forwarding"].text:
        yield Forwarding(IPV6, value != "0", chain_policy(sections, IPV6, "FORWARD"))


def docker0(
    addresses: Iterable[tuple[str, Interface]],
) -> tuple[IPv4Interface | None, IPv6Interface | None]:
    """Return the first address of docker0 of each family."""
    own = [address for device, address in addresses if device == DOCKER_BRIDGE]
    return (
        next((address for address in own if isinstance(address, IPv4Interface)), None),
        next((address for address in own if isinstance(address, IPv6Interface)), None),
    )


def _bridge(docker: DockerFacts, addresses: Iterable[tuple[str, Interface]]) -> DockerNetworking:
    """The running docker0. Docker leaves old IPv6 addresses on it, so only an address of its network counts."""
    networks = [network for network in docker.networks if network.device == DOCKER_BRIDGE]
    prefixes = {prefix for network in networks for prefix in network.prefixes}
    address, address6 = docker0(addresses)
    mtu = networks[0].mtu if networks else DEFAULT_MTU
    return DockerNetworking(address, address6=address6 if address6 and address6.network in prefixes else None, mtu=mtu)


def _docker_resources(
    sections: Sections, addresses: tuple[tuple[str, Interface], ...], docker: DockerFacts
) -> tuple[Resource, ...]:
    files = _own_files(sections, [DAEMON_JSON, ORIGINAL_JSON])
    bridge = _bridge(docker, addresses)
    text = next((file.text for file in files if file.path == DAEMON_JSON), None)
    # An invalid file is a conflict, so no change follows that these values would have to revert.
    with suppress(daemon_json.DaemonJsonError):
        bridge = replace(bridge, pools=parse_pools(sections["docker_info"], text))
        filed = daemon_json.nft_admission(text, nftables=docker.uses_nftables)
        admission = _admission(sections["nft_admission"], filed) if docker.uses_nftables and filed else filed
        return *files, replace(bridge, startup_json=daemon_json.startup_json(text, bridge), admission=admission)
    return *files, bridge


def _admission(section: Section, filed: NftAdmission) -> NftAdmission:
    """The admission of the running daemon, from its rules. Values that these do not show come from the file."""
    with parsing("Docker's rules"):
        borne, direct = section.text.split()
        return NftAdmission(
            mark={"?": filed.mark, "none": None}[borne] if borne in {"?", "none"} else fwmark.parse(borne),
            direct_routing={"no": False, "?": filed.direct_routing}[direct],
        )


def _own_files(sections: Sections, paths: Iterable[str]) -> tuple[File, ...]:
    found = ((path, file_section(sections, path.rsplit("/", 1)[-1])) for path in paths)
    return tuple(File(path, _decoded(path, file[1]), file[0]) for path, file in found if file)


def _decoded(path: str, content: bytes) -> str:
    most = _LARGE.get(path, _FILE_BYTES)
    if len(content) > most:
        raise HostError(
            f"{path} is larger than {most >> 20} MiB, so neither dockmesh nor Docker wrote it. Fix: restore the file",
            code=HostErrorCode.FILE_TOO_LARGE,
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise HostError(
            f"{path} is not UTF-8 text (byte {error.start}). Fix: correct the file", code=HostErrorCode.FILE_NOT_TEXT
        ) from error


def _units(sections: Sections) -> tuple[Unit, ...]:
    """The units. For a missing unit, systemctl prints only `inactive`."""
    states = sections["unit_states"].lines()
    active = sorted(states) == ["active", "enabled", "enabled"]
    texts = ((name, file_text(sections, name)) for name in UNITS)
    return tuple(Unit(name, text, active) for name, text in texts if text is not None)


def _chains(sections: Sections) -> Iterator[Chain]:
    for family, (name, table) in product(FAMILIES, CHAINS.items()):
        lines = sections.lines_of(table, family)
        if any(line.startswith(f":{name} ") for line in lines):
            hooks = [line.split()[1] for line in lines if line.endswith(f" -j {name}")]
            mark = f"-A {name} "
            rules = (intern(line[len(mark) :]) for line in lines if line.startswith(mark))
            yield Chain(table, name, hooks[0] if len(hooks) == 1 else None, tuple(rules), family)


def parse_nft_table(listed: Section, family: Family = IPV4) -> Iterator[SourceNat]:
    """Yield dockmesh's nft table, if it exists; with empty fields if it has a form that dockmesh does not write."""
    if listed.status == 0:
        found = _TABLE.fullmatch("\n".join(filter(None, map(str.strip, listed.lines()))))
        with parsing(f"table {nft_family_name(family)} dockmesh"):
            yield _table(found.groupdict(default=""), family) if found else SourceNat(family=family)


def _table(parts: Mapping[str, str], family: Family) -> SourceNat:
    marks = tuple(parts["marks"].splitlines())
    if not parts["peers"] or not parts["prefix"]:
        whole = parts["peers"] == parts["prefix"]
        return SourceNat(family=family, marks=marks if whole else ())
    peers = sorted(map(_element, parts["peers"].split(",")))
    return SourceNat(ip_network(parts["prefix"]), tuple(peer for _order, peer in peers), family, marks)


@memoized
def _element(text: str) -> tuple[tuple[int, int, int], Network]:
    """The sort key and the network of an element of a set."""
    found = parse_network(text.strip())
    return sort_key(found), found
