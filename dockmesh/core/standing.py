"""How far a host has joined the mesh, as a run of probes reads it on the way."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from dockmesh.core.facts import DOCKER_BRIDGE, METRIC
from dockmesh.core.model import Host
from dockmesh.core.sections import Section

# grep ends with 1 where there is no route, which is an answer too.
SCRIPT = f"mesh_routes() {{ ip -4 route show | grep -e ' metric {METRIC}'; }}\nsection mesh mesh_routes"


@dataclass(frozen=True, slots=True)
class Standing:
    """docker0's address, and the prefixes that the host has a route of dockmesh's to."""

    docker0: IPv4Interface | None = None
    routes: frozenset[IPv4Network] = frozenset()


def standing(sections: Mapping[str, Section]) -> Standing:
    """Read the sections `addresses` and `mesh`. What is unreadable in them is passed over."""
    return Standing(_docker0(sections["addresses"]), frozenset(_prefixes(sections["mesh"])))


def unjoined(host: Host, found: Standing) -> str | None:
    """Why nothing of `host` can be reached, where its docker0 is not the inventory's; else None."""
    if host.bridge is None or found.docker0 == host.bridge:
        return None
    is_now = found.docker0 or "without address"
    return f"{host.name} has not joined: its docker0 is {is_now}, not {host.bridge} as in the inventory: dockmesh apply"


def _docker0(section: Section) -> IPv4Interface | None:
    for line in section.lines():
        match line.split():
            case [_number, device, "inet", address, *_] if device == DOCKER_BRIDGE:
                with suppress(ValueError):
                    return IPv4Interface(address)
    return None


def _prefixes(section: Section) -> Iterator[IPv4Network]:
    for line in section.lines():
        with suppress(ValueError, IndexError):
            yield IPv4Network(line.split()[0])
