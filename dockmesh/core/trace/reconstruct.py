"""Reconstructs the path of one ping from its captures, by ICMP identifier and sequence number.

The clocks of hosts differ, so hops are ordered by TTL instead of time. Between two hosts that decrement the TTL, the
order of the points is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from itertools import groupby
from operator import itemgetter

from dockmesh.core.host_output import sanitize
from dockmesh.core.trace.model import CaptureSet, Point, TraceQuery
from dockmesh.core.trace.pcap import TTL_EXCEEDED, CapturedEcho, parse_capture


@dataclass(frozen=True, slots=True)
class Hop:
    """The packet at a point.

    `recipient` is the destination MAC address of its frame. `was_source` and `was_destination` are the addresses at
    the previous hop, None if they are equal.
    """

    point: Point
    source: IPv4Address
    destination: IPv4Address
    ttl: int
    recipient: str | None = None
    was_source: IPv4Address | None = None
    was_destination: IPv4Address | None = None

    @property
    def translated(self) -> bool:
        """Whether an address differs from the previous hop."""
        return self.was_source is not None or self.was_destination is not None


@dataclass(frozen=True, slots=True)
class OneWay:
    """One direction of a ping: its hops, and the points after them that saw nothing. An arrived packet missed none."""

    hops: tuple[Hop, ...] = ()
    missed: tuple[Point, ...] = ()

    @property
    def arrived(self) -> bool:
        """Whether the packet was captured at the last point."""
        return bool(self.hops) and not self.missed

    @property
    def loops(self) -> bool:
        """Whether a point saw the packet again after a host had forwarded it."""
        ttls_at: dict[Point, set[int]] = {}
        for hop in self.hops:
            ttls_at.setdefault(hop.point, set()).add(hop.ttl)
        return any(len(ttls) > 1 for ttls in ttls_at.values())


@dataclass(frozen=True, slots=True)
class TraceResult:
    """The path of one ping in both directions.

    `icmp_error` is the ICMP error about it, or the error that ping printed. `rejected`: a host reports that it cannot
    deliver the ping. `lost` is the number of pings without reply.
    """

    captured: CaptureSet
    request: OneWay = OneWay()
    reply: OneWay = OneWay()
    icmp_error: str | None = None
    rejected: bool = False
    lost: int = 0

    @property
    def query(self) -> TraceQuery:
        """The query of the trace."""
        return self.captured.query

    @property
    def reached(self) -> bool:
        """Whether the request and the reply arrived."""
        return self.request.arrived and self.reply.arrived


Stages = Sequence[tuple[Point, ...]]
CapturedEchoes = Sequence[tuple[Point, CapturedEcho]]


def reconstruct(captured: CaptureSet) -> TraceResult:
    """Reconstruct the first ping with a reply. Without any reply, reconstruct the ping with the most hops.

    Raises:
        HostError: a host sent no valid capture.
    """
    valid = (capture for capture in captured.captures if not capture.point.error)
    echoes = [(at.point, each) for at in valid for each in parse_capture(at.pcap) if not _flooded(at.point, each)]
    stages = _stages(capture.point for capture in captured.captures)
    error, rejected = _reported_error(captured, echoes)
    by_sequence: dict[int, list[tuple[Point, CapturedEcho]]] = {}
    for point, each in _own_echoes(captured, stages, echoes):
        by_sequence.setdefault(each.sequence, []).append((point, each))
    pings = [_ping(captured, stages, own) for _sequence, own in sorted(by_sequence.items(), key=itemgetter(0))]
    if not pings:
        return TraceResult(captured, icmp_error=error, rejected=rejected)
    best = max(pings, key=lambda ping: (ping.reached, len(ping.request.hops) + len(ping.reply.hops)))
    return replace(best, icmp_error=error, rejected=rejected, lost=sum(not ping.reached for ping in pings))


def _stages(points: Iterable[Point]) -> Stages:
    """Group the points in path order. Points of one place on a host are alternatives."""
    return [tuple(alike) for _key, alike in groupby(points, key=lambda point: (point.host, point.place))]


def _own_echoes(captured: CaptureSet, stages: Stages, echoes: CapturedEchoes) -> CapturedEchoes:
    """The echoes of this run, by the identifier at the source. NAT may change it, but then also the source address."""
    requests = [(point, each) for point, each in echoes if each.kind == "request"]
    if not requests:
        return ()
    first = next((each for point, each in requests if point in stages[0]), requests[0][1])
    source = captured.addresses[captured.query.source.host.name].address

    def is_own(each: CapturedEcho) -> bool:
        own_end = each.source if each.kind == "request" else each.destination
        return each.identifier == first.identifier or own_end != source

    return [(point, each) for point, each in echoes if each.kind != "error" and is_own(each)]


def _ping(captured: CaptureSet, stages: Stages, own: CapturedEchoes) -> TraceResult:
    """Reconstruct one ping from its echoes."""
    requests = [(point, each) for point, each in own if each.kind == "request"]
    replies = [(point, each) for point, each in own if each.kind == "reply"]
    request = _one_way(requests, stages)
    reply = _one_way(replies, stages[::-1]) if replies or request.arrived else OneWay()
    return TraceResult(captured, request, reply)


def _one_way(echoes: CapturedEchoes, stages: Stages) -> OneWay:
    order = {point: number for number, stage in enumerate(stages) for point in stage}
    hops = dict.fromkeys(
        Hop(point, each.source, each.destination, each.ttl, each.recipient)
        for point, each in sorted(echoes, key=lambda echo: (-echo[1].ttl, order[echo[0]]))
    )
    furthest = max((order[hop.point] for hop in hops), default=-1)
    missed = stages[furthest + 1] if furthest + 1 < len(stages) else ()
    return OneWay(tuple(_with_translations(tuple(hops))), missed)


def _flooded(point: Point, each: CapturedEcho) -> bool:
    """Whether a frame at an uplink was for another machine. A switch may flood such frames to all ports."""
    macs = {each.sender, each.recipient}
    return point.place == "uplink" and point.mac is not None and None not in macs and point.mac not in macs


def _with_translations(hops: Sequence[Hop]) -> Iterator[Hop]:
    """Add the addresses of the previous hop to each hop where they differ."""
    for before, hop in zip((hops[0], *hops) if hops else (), hops, strict=False):
        yield replace(
            hop,
            was_source=before.source if before.source != hop.source else None,
            was_destination=before.destination if before.destination != hop.destination else None,
        )


def _reported_error(captured: CaptureSet, echoes: CapturedEchoes) -> tuple[str | None, bool]:
    """The first ICMP error, else the error that ping printed, and whether a host rejected the ping."""
    for _point, each in echoes:
        if each.icmp_error:
            hosts = (end.host for end in captured.query.ends)
            names = [host.name for host in hosts if each.source in {host.underlay, host.bridge and host.bridge.ip}]
            return f"{names[0] if names else each.source} reports: {each.icmp_error}", each.icmp_error != TTL_EXCEEDED
    lines = [line for line in captured.ping_output.splitlines() if line.startswith("ping: ")]
    return (sanitize(lines[0]) if lines else None), False
