"""The way of one ping, put together from its captures by ICMP identifier and sequence.

Hosts' clocks differ, so that the order is not taken from times: every host that forwards takes one off the TTL, and
between two such steps the points lie in a known order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from itertools import groupby

from dockmesh.core.host_output import sanitize
from dockmesh.core.trace.model import CaptureSet, Point, TraceQuery
from dockmesh.core.trace.pcap import TTL_EXCEEDED, CapturedEcho, parse_capture


@dataclass(frozen=True, slots=True)
class Hop:
    """The packet at a point; `recipient` is the MAC address its frame was for.

    `was_source` and `was_destination` are those of the hop before, where they are others there.
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
        """Whether an address is another one than at the hop before."""
        return self.was_source is not None or self.was_destination is not None


@dataclass(frozen=True, slots=True)
class OneWay:
    """One direction: the hops, and the next points where nothing came, which are none where the packet arrived."""

    hops: tuple[Hop, ...] = ()
    missed: tuple[Point, ...] = ()

    @property
    def arrived(self) -> bool:
        """Whether the packet was seen at its end."""
        return bool(self.hops) and not self.missed

    @property
    def loops(self) -> bool:
        """Whether a point saw the packet again after it had been forwarded."""
        seen: dict[Point, set[int]] = {}
        for hop in self.hops:
            seen.setdefault(hop.point, set()).add(hop.ttl)
        return any(len(ttls) > 1 for ttls in seen.values())


@dataclass(frozen=True, slots=True)
class TraceResult:
    """One ping's way there and back. `complaint` is the ICMP error that came of it, or ping's own.

    `rejected`: a host reports that it cannot deliver the ping.
    """

    captured: CaptureSet
    request: OneWay = OneWay()
    reply: OneWay = OneWay()
    icmp_error: str | None = None
    rejected: bool = False
    lost: int = 0

    @property
    def query(self) -> TraceQuery:
        """What was asked."""
        return self.captured.query

    @property
    def reached(self) -> bool:
        """Whether the request arrived and the reply came home."""
        return self.request.arrived and self.reply.arrived


Stages = Sequence[tuple[Point, ...]]
CapturedEchoes = Sequence[tuple[Point, CapturedEcho]]


def reconstruct(captured: CaptureSet) -> TraceResult:
    """Follow the ping that came home, or else the one that got furthest.

    Raises:
        HostError: a host answered what is no capture.
    """
    taken = (capture for capture in captured.captures if not capture.point.error)
    seen = [(at.point, each) for at in taken for each in parse_capture(at.pcap) if not _overheard(at.point, each)]
    stages = _stages(capture.point for capture in captured.captures)
    complaint, rejected = _complaint(captured, seen)
    own = _own(captured, stages, seen)
    ways = [_way(captured, stages, own, sequence) for sequence in sorted({each.sequence for _point, each in own})]
    if not ways:
        return TraceResult(captured, icmp_error=complaint, rejected=rejected)
    best = max(ways, key=lambda way: (way.reached, len(way.request.hops) + len(way.reply.hops)))
    return replace(best, icmp_error=complaint, rejected=rejected, lost=sum(not way.reached for way in ways))


def _stages(points: Iterable[Point]) -> Stages:
    """The points in the order of the way; those of one kind on a host are alternatives."""
    return [tuple(alike) for _key, alike in groupby(points, key=lambda point: (point.host, point.place))]


def _own(captured: CaptureSet, stages: Stages, seen: CapturedEchoes) -> CapturedEchoes:
    """The echoes of this run: those with the identifier that the source gave them. Whoever translates may change it."""
    requests = [(point, each) for point, each in seen if each.kind == "request"]
    if not requests:
        return ()
    first = next((each for point, each in requests if point in stages[0]), requests[0][1])
    source = captured.found[captured.query.source.host.name].address

    def ours(each: CapturedEcho) -> bool:
        own_end = each.source if each.kind == "request" else each.destination
        return each.identifier == first.identifier or own_end != source

    return [(point, each) for point, each in seen if each.kind != "error" and ours(each)]


def _way(captured: CaptureSet, stages: Stages, own: CapturedEchoes, sequence: int) -> TraceResult:
    there = [(point, each) for point, each in own if (each.kind, each.sequence) == ("request", sequence)]
    back = [(point, each) for point, each in own if (each.kind, each.sequence) == ("reply", sequence)]
    request = _leg(there, stages)
    reply = _leg(back, stages[::-1]) if back or request.arrived else OneWay()
    return TraceResult(captured, request, reply)


def _leg(seen: CapturedEchoes, stages: Stages) -> OneWay:
    at = {point: number for number, stage in enumerate(stages) for point in stage}
    hops = dict.fromkeys(
        Hop(point, each.source, each.destination, each.ttl, each.recipient)
        for point, each in sorted(seen, key=lambda one: (-one[1].ttl, at[one[0]]))
    )
    furthest = max((at[hop.point] for hop in hops), default=-1)
    missed = stages[furthest + 1] if furthest + 1 < len(stages) else ()
    return OneWay(tuple(_marked(tuple(hops))), missed)


def _overheard(point: Point, each: CapturedEcho) -> bool:
    """Whether a frame at an uplink was between other machines: a switch may send such a one to all."""
    macs = {each.sender, each.recipient}
    return point.place == "uplink" and point.mac is not None and None not in macs and point.mac not in macs


def _marked(hops: Sequence[Hop]) -> Iterator[Hop]:
    """The hops, each with the addresses of the one before where they differ."""
    for before, hop in zip((hops[0], *hops) if hops else (), hops, strict=False):
        yield replace(
            hop,
            was_source=before.source if before.source != hop.source else None,
            was_destination=before.destination if before.destination != hop.destination else None,
        )


def _complaint(captured: CaptureSet, seen: CapturedEchoes) -> tuple[str | None, bool]:
    """The first ICMP error about a ping, else ping's own; and whether a host rejected the ping."""
    for _point, each in seen:
        if each.icmp_error:
            hosts = (end.host for end in captured.query.ends)
            names = [host.name for host in hosts if each.source in {host.underlay, host.bridge and host.bridge.ip}]
            return f"{names[0] if names else each.source} says: {each.icmp_error}", each.icmp_error != TTL_EXCEEDED
    lines = [line for line in captured.ping_output.splitlines() if line.startswith("ping: ")]
    return (sanitize(lines[0]) if lines else None), False
