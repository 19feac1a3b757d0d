"""The packets of probes: their destinations and their sizes."""

from collections.abc import Iterable, Mapping

from dockmesh.core.addresses import Address
from dockmesh.core.facts.links import Link
from dockmesh.core.probes.full_size import Uplink
from dockmesh.core.probes.model import Probe, ProbeTarget

_UNKNOWN = ProbeTarget()


def destination(probe: Probe, targets: Mapping[str, ProbeTarget]) -> Address | None:
    """The address to probe; None if the target has none, or if the source has no container to send from."""
    if probe.kind == "container-container" and targets.get(probe.source, _UNKNOWN).pid is None:
        return None
    return targets.get(probe.target, _UNKNOWN).address(probe.kind, probe.family)


def full_sizes(probes: Iterable[Probe], targets: Mapping[str, ProbeTarget]) -> dict[Probe, int]:
    """The length in bytes of the full-size packet of each pair, under its last probe, which covers most of the path."""
    last = {(probe.source, probe.target, probe.family): probe for probe in probes if destination(probe, targets)}
    lengths = ((probe, _packet_size(probe, targets)) for probe in last.values())
    return {probe: size for probe, size in lengths if size}


def smallest_uplink(probe: Probe, targets: Mapping[str, ProbeTarget]) -> Uplink | None:
    """The smaller of the known uplinks of the two hosts."""
    ends = ((name, targets.get(name, _UNKNOWN).uplink) for name in (probe.source, probe.target))
    return min((Uplink(link.mtu, name, link.name) for name, link in ends if link), default=None)


def _packet_size(probe: Probe, targets: Mapping[str, ProbeTarget]) -> int | None:
    """The smaller MTU of the two ends, because TCP negotiates that. None if one is unknown."""
    source, target = targets.get(probe.source, _UNKNOWN), targets.get(probe.target, _UNKNOWN)
    ends = (
        source.mtu if probe.kind == "container-container" else _mtu(source.uplink),
        _mtu(target.uplink) if probe.kind == "host-bridge" else target.mtu,
    )
    known = [end for end in ends if end]
    return min(known) if len(known) == len(ends) else None


def _mtu(link: Link | None) -> int | None:
    return link.mtu if link else None
