"""Parsers of the resources that dockmesh owns on a host: files, units, chains, nft tables and routes."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from itertools import product
from operator import attrgetter
from sys import intern

from dockmesh.core import fwmark
from dockmesh.core.addresses import (
    FAMILIES,
    IPV4,
    IPV6,
    SUFFIX,
    Family,
    Interface,
)
from dockmesh.core.facts.docker import DockerFacts, parse_pools
from dockmesh.core.facts.iproute import parse_own_route, stray_route
from dockmesh.core.facts.listings import Listings, own_runs
from dockmesh.core.host_output import Section, Sections, file_section, parsing
from dockmesh.core.names import (
    ACCEPT_CHAINS,
    DAEMON_JSON,
    DOCKER_BRIDGE,
    ORIGINAL_JSON,
    REASSERT_SCRIPT,
    REVERTED_RECORD,
    UNITS,
)
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state import daemon_json
from dockmesh.core.state.nft_table import ElementParser, parse_table
from dockmesh.core.state.resources import (
    DEFAULT_MTU,
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    NftAdmission,
    NftTable,
    Resource,
    Route,
    StrayRoute,
    Unit,
    nft_family_name,
)
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

_FILE_BYTES = 1 << 20
# Limits of files with a line per peer.
_LARGE = {REASSERT_SCRIPT: 8 << 20, "previous.json": 8 << 20}


def parse_owned(
    sections: Sections,
    addresses: tuple[tuple[str, Interface], ...],
    docker: DockerFacts | None,
    listings: Listings,
    *,
    ip_forward: bool,
) -> SharedSequence[Resource]:
    """Return the resources that dockmesh owns on a host; `docker` is None without Docker."""
    return SharedSequence.of(
        _docker_resources(sections, addresses, docker) if docker else (),
        (Forwarding(IPV4, ip_forward),) if docker and docker.uses_nftables else (),
        _own(sections, listings),
        *(_routes(sections, family, listings) for family in FAMILIES),
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


def _own(sections: Sections, listings: Listings) -> Iterator[Resource]:
    yield from _own_files(sections, [REASSERT_SCRIPT, REVERTED_RECORD])
    yield from _units(sections)
    yield from _forwarding(sections)
    yield from _accept_rules(sections)
    for family in FAMILIES:
        if table := parse_nft_table(sections[f"own_nft{SUFFIX[family]}"], family, listings.elements[family].rows):
            yield table


def _routes(sections: Sections, family: Family, listings: Listings) -> Iterable[Route | StrayRoute]:
    rows = listings.routes[family].rows(sections[f"routes{SUFFIX[family]}"].text)
    own = SharedSequence.of(*(run.mapped("own", attrgetter("own")) for is_own, run in own_runs(rows) if is_own))
    return _first_routes(sections, family) if own.any_adjacent("prefix", _may_share_prefix) else own


def _may_share_prefix(one: Route | StrayRoute, two: Route | StrayRoute) -> bool:
    return not isinstance(one, Route) or not isinstance(two, Route) or one.prefix == two.prefix


def _first_routes(sections: Sections, family: Family) -> Iterator[Route | StrayRoute]:
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
    """The units. Of a missing unit, systemctl prints no UnitFileState."""
    service, timer, running = (*sections["unit_states"].text.split("\n"), "", "", "")[:3]
    enabled = {"dockmesh.service": service == "enabled", "dockmesh.timer": timer == "enabled"}
    active = enabled | {"dockmesh.timer": enabled["dockmesh.timer"] and running == "active"}
    texts = ((name, file_text(sections, name)) for name in UNITS)
    return tuple(Unit(name, text, active[name], enabled[name]) for name, text in texts if text is not None)


def _accept_rules(sections: Sections) -> Iterator[AcceptRules]:
    for family, (chain, table) in product(FAMILIES, ACCEPT_CHAINS.items()):
        own = f"-A {chain} "
        lines = sections.lines_of(table, family)
        if rules := tuple(intern(line.removeprefix(own)) for line in lines if line.startswith(own)):
            yield AcceptRules(table, chain, rules, family, first=f"# late {chain}" not in lines)


def parse_nft_table(listed: Section, family: Family = IPV4, elements: ElementParser | None = None) -> NftTable | None:
    """Return dockmesh's nft table; None if there is none."""
    if listed.status != 0:
        return None
    with parsing(f"table {nft_family_name(family)} dockmesh"):
        return parse_table(listed.lines(), family, elements)
