"""How far a host has joined the mesh, as a run of probes reads it on the way."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network

from dockmesh.core.addresses import IPV4, Family, Interface, Network
from dockmesh.core.facts.iproute import readable_addresses
from dockmesh.core.host_output import Section
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE, ROUTE_METRIC

# What of the script that looks for targets says how far the host has joined, and where it is.
SCRIPT = f"host_addresses {ROUTE_METRIC}"


@dataclass(frozen=True, slots=True)
class JoinState:
    """docker0's addresses, and the prefixes that the host has a route of dockmesh's to, of both families."""

    docker0: frozenset[Interface] = frozenset()
    routes: frozenset[Network] = frozenset()


def parse_join_state(sections: Mapping[str, Section]) -> JoinState:
    """Read the sections `addresses`, `addresses6` and `mesh_routes`. What is unreadable in them is passed over."""
    addresses = readable_addresses((*sections["addresses"].lines(), *sections["addresses6"].lines()))
    docker0 = frozenset(address for device, address in addresses if device == DOCKER_BRIDGE)
    return JoinState(docker0, frozenset(_prefixes(sections["mesh_routes"])))


def not_joined_reason(host: Host, found: JoinState, family: Family = IPV4) -> str | None:
    """Why nothing of `host` can be reached in a family, where its docker0 is not the inventory's; else None."""
    own = host.network(family)
    if own is None or own.bridge is None or own.bridge in found.docker0:
        return None
    its = min((str(each) for each in found.docker0 if each.version == family), default="without address")
    wanted, what = own.bridge, "" if family == IPV4 else " with IPv6"
    return f"{host.name} has not joined{what}: its docker0 is {its}, not {wanted} as in the inventory: dockmesh apply"


def _prefixes(section: Section) -> Iterator[Network]:
    for line in section.lines():
        with suppress(ValueError, IndexError):
            yield ip_network(line.split()[0])
