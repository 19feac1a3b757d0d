"""What a trace comes to, in one sentence."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from dockmesh.core.trace.model import Point
from dockmesh.core.trace.way import Hop, Leg, Traced


def verdict(traced: Traced) -> str:
    """The way of the ping, or where it ends."""
    if traced.captured.errors:
        return "; ".join(f"{host}: {error}" for host, error in traced.captured.errors.items())
    if traced.reached:
        return _good(traced)
    return f"{_bad(traced)}{f'; {traced.complaint}' if traced.complaint else ''}"


def _bad(traced: Traced) -> str:
    source, target = traced.question.ends
    request, reply = traced.request, traced.reply
    if not request.hops:
        return f"no ping left {source}"
    if request.circles:
        return f"the request circles: {_circle(request)} pass it to each other until its TTL is used up"
    if not request.arrived:
        answered = ", and what answers is another machine" if reply.hops else ""
        return f"{_lost('request', request, traced)}{answered}"
    if not reply.hops:
        return f"the request arrives at {target}, which does not answer"
    if reply.circles:
        return f"the reply circles: {_circle(reply)} pass it to each other until its TTL is used up"
    return _lost("reply", reply, traced)


def _good(traced: Traced) -> str:
    source, target = traced.question.ends
    there, back = ([hop.point for hop in leg.hops] for leg in (traced.request, traced.reply))
    answered = "the same way" if back == there[::-1] else f"by {_listed(back)}"
    said = f"{source} reaches {target} by {_listed(there)}, and is answered {answered}"
    return "; ".join((said, *_translations(traced), *_routers(traced), *_losses(traced)))


def _translations(traced: Traced) -> Iterator[str]:
    for what, leg in (("request", traced.request), ("reply", traced.reply)):
        for hop in leg.hops:
            for name, was, now in (
                ("source", hop.was_source, hop.source),
                ("destination", hop.was_destination, hop.destination),
            ):
                if was:
                    yield f"on the {what}, {hop.point.host} puts {now} in for the {name} {was}"


def _routers(traced: Traced) -> Iterator[str]:
    for what, leg in (("request", traced.request), ("reply", traced.reply)):
        for before, hop in zip(leg.hops, leg.hops[1:], strict=False):
            if before.point.host != hop.point.host and before.ttl > hop.ttl:
                yield f"the {what} passes a router between the hosts (TTL {before.ttl} to {hop.ttl})"


def _losses(traced: Traced) -> Iterator[str]:
    if traced.lost:
        yield f"of the pings sent, {traced.lost} did not come home"


def _lost(what: str, leg: Leg, traced: Traced) -> str:
    last, missed = leg.hops[-1], leg.missed
    if last.point.host != missed[0].host:
        return f"the {what} leaves {last.point.host} by {last.point.interface} and {_between(last, missed)}"
    if missed[0].error:
        return f"the {what} is lost on {last.point.host} after {last.point.interface}: {missed[0].error}"
    where = f"between {last.point.interface} and {' or '.join(point.interface for point in missed)}"
    if "container" in {last.point.place, missed[0].place}:
        return f"the {what} is lost on {last.point.host} at the bridge, {where}"
    guess = "" if traced.complaint else ": no route leads on, rp_filter refuses it, or the firewall drops it"
    return f"the {what} is lost inside {last.point.host}, {where}{guess}"


def _between(last: Hop, missed: Sequence[Point]) -> str:
    """Whom the frame was for tells a wrong next hop from a network that loses packets."""
    macs = {point.mac for point in missed} - {None}
    if last.recipient and macs and last.recipient not in macs:
        whose = " or ".join(sorted(mac for mac in macs if mac))
        return f"goes to another machine: to {last.recipient}, where {missed[0].host} is {whose}"
    return f"never comes in at {' or '.join(map(str, missed))}: the network between them loses it"


def _circle(leg: Leg) -> str:
    return " and ".join(dict.fromkeys(hop.point.host for hop in leg.hops))


def _listed(points: Sequence[Point]) -> str:
    """The interfaces by host, without those inside containers."""
    outside = (point for point in points if point.place != "container")
    hosts = groupby(outside, key=lambda point: point.host)
    return ", ".join(f"{' and '.join(point.interface for point in alike)} of {host}" for host, alike in hosts)
