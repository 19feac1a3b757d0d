"""A resource as text, the same in JSON and on the console."""

from collections.abc import Iterator, Sequence

from dockmesh.core.addresses import FAMILIES, Network, family_of
from dockmesh.core.state.resources import (
    DEFAULT_MTU,
    Chain,
    DockerNetworking,
    File,
    Forwarding,
    NftAdmission,
    Pool,
    Resource,
    Route,
    SourceNat,
    Unit,
)


def resource_text(resource: Resource | None) -> str | None:
    """A resource as text: the same in the document and on the screen."""
    match resource:
        case Route(next_hop=next_hop, device=device):
            return f"via {next_hop} dev {device}"
        case File(text=text):
            return text
        case Chain(hook=hook, rules=rules):
            return "\n".join((f"jump from {hook or 'nowhere, or twice'}", *rules))
        case Unit(text=text, active=active):
            return text if active else f"# not enabled, or not running\n{text}"
        case SourceNat() | DockerNetworking() | Forwarding():
            return _told(resource)
        case None:
            return None


def _told(resource: SourceNat | DockerNetworking | Forwarding) -> str:
    match resource:
        case SourceNat(prefix=prefix, peers=peers, marks=marks):
            kept = f"{prefix or 'nobody'} keeps its addresses towards {', '.join(map(str, peers)) or 'nobody'}"
            return "\n".join((kept, *marks))
        case DockerNetworking():
            return _told_of_docker(resource)
        case Forwarding(on=on):
            return "on" if on else "off"


def _told_of_docker(bridge: DockerNetworking) -> str:
    size = "" if bridge.mtu == DEFAULT_MTU else f" mtu {bridge.mtu}"
    own = " and ".join(f"{bases[0].network_address} to {bases[-1][-1]}" for bases in _by_family(bridge.pools))
    networks = f", new networks from {own}" if own else ""
    addresses = " and ".join(str(each) for each in (bridge.address, bridge.address6) if each)
    return f"docker0 {addresses or 'without address'}{size}{networks}{_admitted(bridge.admission)}"


def _by_family(pools: Sequence[Pool]) -> Iterator[list[Network]]:
    found = ([pool.base for pool in pools if family_of(pool.base) == family] for family in FAMILIES)
    return filter(None, found)


def _admitted(admission: NftAdmission | None) -> str:
    if admission is None:
        return ""
    dropped = "" if admission.direct_routing else ", drops what is routed to containers"
    return f"{dropped}, lets in what bears the mark {admission.mark}" if admission.mark else dropped
