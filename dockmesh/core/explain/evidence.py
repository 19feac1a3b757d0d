"""Defines the evidence around a probe, and builds the steps and faults that follow from it."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from dockmesh.core.addresses import short_text
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, ExplainQuery, Fault, Step
from dockmesh.core.explain.own_rules import is_own, missing_networks, with_mark
from dockmesh.core.explain.script import PingResult, PreparedEnd, fallback_address
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.facts.iproute import PeerRoute as Decision
from dockmesh.core.model import Host
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.counters import Packet
from dockmesh.core.netfilter.nft_ruleset import OWN
from dockmesh.core.trace.model import Endpoint
from dockmesh.errors import HostFailure

_TTL = 64


@dataclass(frozen=True, slots=True)
class HostEvidence:
    """One end with the state of its host. `error` is the reason if the host could not be read."""

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
        """The name of the host."""
        return self.endpoint.host.name

    @property
    def address(self) -> IPv4Address:
        """The address of the end, or the fallback address if the end is missing."""
        return self.prepared.address.address if self.prepared else fallback_address(self.host)

    @property
    def pid(self) -> int:
        """A process of the container, or 0 if the end is the host itself."""
        return self.prepared.address.pid if self.prepared else 0

    @property
    def missing(self) -> str | None:
        """The reason if the end is missing."""
        if self.prepared:
            return self.prepared.missing
        return self.error.message if self.error else None

    @property
    def uplink(self) -> str | None:
        """The interface with the host's underlay address."""
        return self.snapshot.device_with(self.host.underlay) if self.snapshot else None

    @property
    def bridge(self) -> str | None:
        """The bridge of the container, or None if the end is the host itself."""
        if not self.pid or not self.snapshot:
            return None
        return (self.snapshot.container_link.bridge if self.snapshot.container_link else None) or DOCKER_BRIDGE

    @property
    def joined(self) -> bool:
        """Whether the host has routes or rules of dockmesh."""
        seen = self.snapshot
        if seen is None:
            return False
        owned = any(each.route.owned for each in seen.routes) or any(map(is_own, seen.rules))
        return owned or seen.own_table is not None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of both hosts, and the result of the probe. `ping` is None if the source sent none."""

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
        """Whether the inventory has `source_nat: true`, so that peers see the host's address."""
        return self.query.fleet.settings.source_nat


def outbound(at: HostEvidence, other: HostEvidence, direction: Direction) -> tuple[Packet, ...]:
    """The packet to the other end, as the firewall of this host sees it."""
    route = at.snapshot.route_out if at.snapshot else None
    device = route.device if isinstance(route, Decision) else at.uplink
    return (Packet(at.address, other.address, at.bridge, device, reply=direction == "back"),)


def inbound(at: HostEvidence, other: HostEvidence, direction: Direction) -> tuple[Packet, ...]:
    """The packet from the other end, with its own source address and with the address of its host."""
    sources = dict.fromkeys((other.address, other.host.underlay))
    reply = direction == "back"
    packets = (Packet(source, at.address, at.uplink, at.bridge, reply=reply) for source in sources)
    return tuple(with_mark(packet, at.snapshot.own_table if at.snapshot else None) for packet in packets)


def passed(at: HostEvidence, direction: Direction, check: Check, detail: str) -> Step:
    """Build a step whose check succeeded."""
    return Step(at.name, direction, check, ok=True, detail=detail)


def unknown(at: HostEvidence, direction: Direction, check: Check, detail: str, fault: Fault | None = None) -> Step:
    """Build a step with an unknown result. `fault` is a possible cause."""
    return Step(at.name, direction, check, ok=None, detail=detail, fault=fault)


def failed(at: HostEvidence, direction: Direction, check: Check, fault: Fault) -> Step:
    """Build a step whose check found a fault."""
    return Step(at.name, direction, check, ok=False, detail=fault.cause, fault=fault)


def on_host(at: HostEvidence, command: str) -> str:
    """A remedy to run in the shell of the host."""
    return f"on {at.name}: {command}"


def apply_command(at: HostEvidence) -> str:
    """The remedy if dockmesh can repair the fault."""
    return f"dockmesh apply --limit {at.name}"


def not_joined(at: HostEvidence) -> Fault:
    """The fault of a host without routes and rules of dockmesh."""
    return Fault(FaultCode.NOT_JOINED, f"{at.name} has not joined the mesh", apply_command(at))


def missing_peer(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> Fault | None:
    """The fault of a host whose table does not accept the other host.

    A route to its prefix shows that the last apply knew the other host, so that the set of peers was changed since.
    """
    missing = missing_networks(seen.own_table, other.host)
    if not missing:
        return None
    if any(each.route.owned and each.route.prefix == other.host.prefix for each in seen.routes):
        lacks = ", ".join(map(short_text, missing))
        cause = f"the peers in table {OWN} of {at.name} lack {lacks} of {other.name}, because the table was changed"
        return Fault(FaultCode.MARKS_MISSING, cause, apply_command(at))
    cause = f"{at.name} does not accept {other.name}, because the inventory of its last apply did not contain it"
    return Fault(FaultCode.PEER_NOT_IN_INVENTORY, cause, apply_command(at))
