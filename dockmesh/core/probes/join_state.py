"""The join state of a host: the addresses of its docker0 and its routes to peers."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network

from dockmesh.core.addresses import IPV4, Family, Interface, Network
from dockmesh.core.facts.iproute import readable_addresses
from dockmesh.core.host_output import Section
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE, ROUTE_METRIC

# The part of the target script that prints addresses and mesh routes.
SCRIPT = f"host_addresses {ROUTE_METRIC}"


@dataclass(frozen=True, slots=True)
class JoinState:
    """The addresses of docker0, and the prefixes of dockmesh's routes on the host, of both families."""

    docker0: frozenset[Interface] = frozenset()
    routes: frozenset[Network] = frozenset()


def parse_join_state(sections: Mapping[str, Section]) -> JoinState:
    """Parse the sections `addresses`, `addresses6` and `mesh_routes`. Skips lines that it cannot parse."""
    addresses = readable_addresses((*sections["addresses"].lines(), *sections["addresses6"].lines()))
    docker0 = frozenset(address for device, address in addresses if device == DOCKER_BRIDGE)
    return JoinState(docker0, frozenset(_prefixes(sections["mesh_routes"])))


def not_joined_reason(host: Host, state: JoinState, family: Family = IPV4) -> str | None:
    """Why `host` has not joined in a family: docker0 lacks the address of the inventory. None if it has it."""
    own = host.network(family)
    if own is None or own.bridge is None or own.bridge in state.docker0:
        return None
    actual = min((str(each) for each in state.docker0 if each.version == family), default="without address")
    scope = "" if family == IPV4 else " with IPv6"
    problem = f"its docker0 is {actual}, not {own.bridge} as in the inventory"
    return f"{host.name} has not joined{scope}: {problem}. Fix: dockmesh apply"


def _prefixes(section: Section) -> Iterator[Network]:
    for line in section.lines():
        with suppress(ValueError, IndexError):
            yield ip_network(line.split()[0])
