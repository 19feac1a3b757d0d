"""All that was seen around a probe, and the words in which steps tell of it."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, ExplainQuery, Fault, Step
from dockmesh.core.explain.script import PingResult, PreparedEnd, fallback_address
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.facts.iproute import PeerRoute as Decision
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.counters import Packet
from dockmesh.core.trace.model import Endpoint
from dockmesh.errors import HostFailure

_TTL = 64


@dataclass(frozen=True, slots=True)
class HostEvidence:
    """One end and what was seen of its host; `error` where that could not be looked at."""

    endpoint: Endpoint
    prepared: PreparedEnd | None = None
    snapshot: HostSnapshot | None = None
    error: HostFailure | None = None

    @property
    def host(self) -> Host:
        """The host of the inventory."""
        return self.endpoint.host

    @property
    def name(self) -> str:
        """The host's."""
        return self.endpoint.host.name

    @property
    def address(self) -> IPv4Address:
        """The end's, or that of what stands in for it."""
        return self.prepared.address.address if self.prepared else fallback_address(self.host)

    @property
    def pid(self) -> int:
        """Of the container; 0 where the end is the host itself."""
        return self.prepared.address.pid if self.prepared else 0

    @property
    def missing(self) -> str | None:
        """Why there is no end."""
        if self.prepared:
            return self.prepared.missing
        return self.error.message if self.error else None

    @property
    def uplink(self) -> str | None:
        """The interface with the address that the peers have as next hop."""
        return self.snapshot.device_with(self.host.underlay) if self.snapshot else None

    @property
    def bridge(self) -> str | None:
        """What forwards to the container; None where nothing does, as the end is the host."""
        if not self.pid or not self.snapshot:
            return None
        return (self.snapshot.container_link.bridge if self.snapshot.container_link else None) or DOCKER_BRIDGE

    @property
    def joined(self) -> bool:
        """Whether anything of dockmesh's is on the host."""
        seen = self.snapshot
        if seen is None:
            return False
        return any(each.route.owned for each in seen.routes) or any(
            rule.chain.startswith("DOCKMESH-") for rule in seen.rules
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both sides, and the probe from the one to the other."""

    query: ExplainQuery
    source: HostEvidence
    target: HostEvidence
    ping: PingResult | None

    @property
    def reached(self) -> bool | None:
        """Whether the target replied, or None if the source sent no probe to it.

        A TTL that is too high means that a nearer machine replied.
        """
        if self.ping is None or self.source.prepared is None or self.target.prepared is None:
            return None
        forwarders = sum(side.pid > 0 for side in (self.source, self.target))
        nearer = self.ping.ttl is not None and self.ping.ttl > _TTL - forwarders
        ends = self.source.missing is None and self.target.missing is None
        return ends and self.ping.received > 0 and not nearer and self.source.address != self.target.address

    @property
    def source_nat(self) -> bool:
        """Whether the inventory wants containers to hide behind their host."""
        return self.query.fleet.settings.source_nat


def outbound(at: HostEvidence, other: HostEvidence) -> tuple[Packet, ...]:
    """The packet to the other side, as this side's firewall meets it."""
    way = at.snapshot.route_out if at.snapshot else None
    device = way.device if isinstance(way, Decision) else at.uplink
    return (Packet(at.address, other.address, at.bridge, device),)


def inbound(at: HostEvidence, other: HostEvidence) -> tuple[Packet, ...]:
    """The packet from the other side, by its own address and by its host's."""
    sources = dict.fromkeys((other.address, other.host.underlay))
    return tuple(Packet(source, at.address, at.uplink, at.bridge) for source in sources)


def passed(at: HostEvidence, way: Direction, check: Check, detail: str) -> Step:
    """It is as it should be."""
    return Step(at.name, way, check, ok=True, detail=detail)


def unknown(at: HostEvidence, way: Direction, check: Check, detail: str, fault: Fault | None = None) -> Step:
    """It cannot be said; with a fault, that is what it may be."""
    return Step(at.name, way, check, ok=None, detail=detail, fault=fault)


def failed(at: HostEvidence, way: Direction, check: Check, fault: Fault) -> Step:
    """It is what breaks the way, unless something before it does."""
    return Step(at.name, way, check, ok=False, detail=fault.cause, fault=fault)


def on_host(at: HostEvidence, command: str) -> str:
    """A remedy for the shell of that host."""
    return f"on {at.name}: {command}"


def apply_command(at: HostEvidence) -> str:
    """The remedy for what dockmesh would mend."""
    return f"dockmesh apply --limit {at.name}"


def not_joined(at: HostEvidence) -> Fault:
    """Nothing of dockmesh's is on the host."""
    return Fault(FaultCode.NOT_JOINED, f"{at.name} has not joined the mesh", apply_command(at))


def unknown_peer(at: HostEvidence, other: HostEvidence) -> Fault:
    """The host was joined by an inventory without the other one."""
    cause = f"{at.name} does not know {other.name}: the inventory it was last joined with had no such host"
    return Fault(FaultCode.PEER_NOT_IN_INVENTORY, cause, apply_command(at))
