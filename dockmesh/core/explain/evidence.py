"""All that was seen around a probe, and the words in which steps tell of it."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Fault, Question, Step, Way
from dockmesh.core.explain.script import Pinged, Stood, stand_in
from dockmesh.core.explain.snapshot import Sight
from dockmesh.core.facts.iproute import PeerRoute as Decision
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.counters import Packet
from dockmesh.core.trace.model import Endpoint
from dockmesh.errors import HostFailure

_TTL = 64


@dataclass(frozen=True, slots=True)
class Side:
    """One end and what was seen of its host; `error` where that could not be looked at."""

    end: Endpoint
    stood: Stood | None = None
    sight: Sight | None = None
    error: HostFailure | None = None

    @property
    def host(self) -> Host:
        """The host of the inventory."""
        return self.end.host

    @property
    def name(self) -> str:
        """The host's."""
        return self.end.host.name

    @property
    def address(self) -> IPv4Address:
        """The end's, or that of what stands in for it."""
        return self.stood.found.address if self.stood else stand_in(self.host)

    @property
    def pid(self) -> int:
        """Of the container; 0 where the end is the host itself."""
        return self.stood.found.pid if self.stood else 0

    @property
    def missing(self) -> str | None:
        """Why there is no end."""
        if self.stood:
            return self.stood.missing
        return self.error.message if self.error else None

    @property
    def uplink(self) -> str | None:
        """The interface with the address that the peers have as next hop."""
        return self.sight.device_with(self.host.underlay) if self.sight else None

    @property
    def bridge(self) -> str | None:
        """What forwards to the container; None where nothing does, as the end is the host."""
        if not self.pid or not self.sight:
            return None
        return (self.sight.leg.bridge if self.sight.leg else None) or DOCKER_BRIDGE

    @property
    def joined(self) -> bool:
        """Whether anything of dockmesh's is on the host."""
        seen = self.sight
        if seen is None:
            return False
        return any(each.route.owned for each in seen.routes) or any(
            rule.chain.startswith("DOCKMESH-") for rule in seen.rules
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both sides, and the probe from the one to the other."""

    question: Question
    source: Side
    target: Side
    pinged: Pinged

    @property
    def reached(self) -> bool:
        """Whether there are two ends, and the other one replied: whoever is nearer is somebody else."""
        forwarders = sum(side.pid > 0 for side in (self.source, self.target))
        nearer = self.pinged.ttl is not None and self.pinged.ttl > _TTL - forwarders
        ends = self.source.missing is None and self.target.missing is None
        return ends and self.pinged.received > 0 and not nearer and self.source.address != self.target.address

    @property
    def masked(self) -> bool:
        """Whether the inventory wants containers to hide behind their host."""
        return self.question.fleet.settings.source_nat


def leaving(at: Side, other: Side) -> tuple[Packet, ...]:
    """The packet to the other side, as this side's firewall meets it."""
    way = at.sight.way_out if at.sight else None
    device = way.device if isinstance(way, Decision) else at.uplink
    return (Packet(at.address, other.address, at.bridge, device),)


def coming(at: Side, other: Side) -> tuple[Packet, ...]:
    """The packet from the other side, by its own address and by its host's."""
    sources = dict.fromkeys((other.address, other.host.underlay))
    return tuple(Packet(source, at.address, at.uplink, at.bridge) for source in sources)


def good(at: Side, way: Way, check: Check, detail: str) -> Step:
    """It is as it should be."""
    return Step(at.name, way, check, ok=True, detail=detail)


def unsure(at: Side, way: Way, check: Check, detail: str, fault: Fault | None = None) -> Step:
    """It cannot be said; with a fault, that is what it may be."""
    return Step(at.name, way, check, ok=None, detail=detail, fault=fault)


def bad(at: Side, way: Way, check: Check, fault: Fault) -> Step:
    """It is what breaks the way, unless something before it does."""
    return Step(at.name, way, check, ok=False, detail=fault.cause, fault=fault)


def on(at: Side, command: str) -> str:
    """A remedy for the shell of that host."""
    return f"on {at.name}: {command}"


def apply(at: Side) -> str:
    """The remedy for what dockmesh would mend."""
    return f"dockmesh apply --limit {at.name}"


def not_joined(at: Side) -> Fault:
    """Nothing of dockmesh's is on the host."""
    return Fault(FaultCode.NOT_JOINED, f"{at.name} has not joined the mesh", apply(at))


def unknown_peer(at: Side, other: Side) -> Fault:
    """The host was joined by an inventory without the other one."""
    cause = f"{at.name} does not know {other.name}: the inventory it was last joined with had no such host"
    return Fault(FaultCode.PEER_NOT_IN_INVENTORY, cause, apply(at))
