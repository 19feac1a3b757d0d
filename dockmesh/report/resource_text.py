"""Resources as text for JSON documents and the console."""

from collections.abc import Iterator, Sequence

from dockmesh.core.addresses import FAMILIES, Network, family_of
from dockmesh.core.state.nft_table import table_text
from dockmesh.core.state.resources import (
    DEFAULT_MTU,
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    NftAdmission,
    NftTable,
    Pool,
    Resource,
    Route,
    StrayRoute,
    Unit,
)


def resource_text(resource: Resource | None) -> str | None:
    """The text of a resource; None for no resource."""
    match resource:
        case Route(next_hop=next_hop, device=device):
            return f"via {next_hop} dev {device}"
        case File(text=text) | StrayRoute(text=text):
            return text
        case AcceptRules(rules=rules, first=first):
            return "\n".join(rules if first else ("# after rules of others", *rules))
        case NftTable() as table:
            return table_text(table).rstrip("\n")
        case Unit(text=text, active=active):
            return text if active else f"# not enabled or not running\n{text}"
        case DockerNetworking():
            return _docker_text(resource)
        case Forwarding(on=on):
            return "on" if on else "off"
        case None:
            return None


def _docker_text(bridge: DockerNetworking) -> str:
    size = "" if bridge.mtu == DEFAULT_MTU else f" mtu {bridge.mtu}"
    ranges = " and ".join(f"{bases[0].network_address} to {bases[-1][-1]}" for bases in _by_family(bridge.pools))
    networks = f", new networks from {ranges}" if ranges else ""
    addresses = " and ".join(str(each) for each in (bridge.address, bridge.address6) if each)
    return f"docker0 {addresses or 'without address'}{size}{networks}{_admission_text(bridge.admission)}"


def _by_family(pools: Sequence[Pool]) -> Iterator[list[Network]]:
    bases = ([pool.base for pool in pools if family_of(pool.base) == family] for family in FAMILIES)
    return filter(None, bases)


def _admission_text(admission: NftAdmission | None) -> str:
    if admission is None:
        return ""
    dropped = "" if admission.direct_routing else ", drops packets routed to containers"
    return f"{dropped}, accepts packets with the mark {admission.mark}" if admission.mark else dropped
