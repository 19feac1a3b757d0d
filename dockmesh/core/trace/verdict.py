"""What a trace comes to: a code for scripts, and one sentence for people."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from dockmesh.core.trace.model import Point
from dockmesh.core.trace.reconstruct import OneWay, TraceResult


class VerdictCode(StrEnum):
    """What a trace comes to, for scripts and tests. Values are stable; the sentences next to them may change."""

    # A reply came back to the source.
    REACHED = "reached"
    SOURCE_REWRITTEN = "source-rewritten"
    DESTINATION_REWRITTEN = "destination-rewritten"
    # A packet was lost.
    NOT_SENT = "not-sent"
    LOST_INSIDE = "lost-inside"
    LOST_AT_BRIDGE = "lost-at-bridge"
    LOST_UNSEEN = "lost-unseen"
    LOST_BETWEEN = "lost-between"
    WRONG_NEXT_HOP = "wrong-next-hop"
    REJECTED = "rejected"
    LOOP = "loop"
    NO_ANSWER = "no-answer"
    OTHER_ANSWERS = "other-answers"
    # A host did not do its part.
    NOT_CAPTURED = "not-captured"


class Verdict(NamedTuple):
    """The result of a trace."""

    code: VerdictCode
    text: str


def verdict(traced: TraceResult) -> Verdict:
    """The way of the ping, or where it ends."""
    if traced.captured.errors:
        errors = "; ".join(f"{host}: {error}" for host, error in traced.captured.errors.items())
        return Verdict(VerdictCode.NOT_CAPTURED, errors)
    if traced.reached:
        return Verdict(_reached(traced), _good(traced))
    code, text = _bad(traced)
    return Verdict(code, f"{text}{f'; {traced.icmp_error}' if traced.icmp_error else ''}")


def _reached(traced: TraceResult) -> VerdictCode:
    if any(hop.was_source for hop in traced.request.hops):
        return VerdictCode.SOURCE_REWRITTEN
    if any(hop.translated for leg in (traced.request, traced.reply) for hop in leg.hops):
        return VerdictCode.DESTINATION_REWRITTEN
    return VerdictCode.REACHED


def _bad(traced: TraceResult) -> Verdict:
    source, target = traced.query.ends
    request, reply = traced.request, traced.reply
    if not request.hops:
        return Verdict(VerdictCode.NOT_SENT, f"no ping left {source}")
    if request.loops:
        return _loop("request", request)
    if not request.arrived:
        lost = _lost("request", request, traced)
        if reply.hops:
            return Verdict(VerdictCode.OTHER_ANSWERS, f"{lost.text}, and what answers is another machine")
        return lost
    if not reply.hops:
        return Verdict(VerdictCode.NO_ANSWER, f"the request arrives at {target}, which does not answer")
    if reply.loops:
        return _loop("reply", reply)
    return _lost("reply", reply, traced)


def _good(traced: TraceResult) -> str:
    source, target = traced.query.ends
    there, back = ([hop.point for hop in leg.hops] for leg in (traced.request, traced.reply))
    answered = "the same way" if back == there[::-1] else f"by {_listed(back)}"
    said = f"{source} reaches {target} by {_listed(there)}, and is answered {answered}"
    return "; ".join((said, *_translations(traced), *_routers(traced), *_losses(traced)))


def _translations(traced: TraceResult) -> Iterator[str]:
    for what, leg in (("request", traced.request), ("reply", traced.reply)):
        for hop in leg.hops:
            for name, was, now in (
                ("source", hop.was_source, hop.source),
                ("destination", hop.was_destination, hop.destination),
            ):
                if was:
                    yield f"on the {what}, {hop.point.host} puts {now} in for the {name} {was}"


def _routers(traced: TraceResult) -> Iterator[str]:
    for what, leg in (("request", traced.request), ("reply", traced.reply)):
        for before, hop in zip(leg.hops, leg.hops[1:], strict=False):
            if before.point.host != hop.point.host and before.ttl > hop.ttl:
                yield f"the {what} passes a router between the hosts (TTL {before.ttl} to {hop.ttl})"


def _losses(traced: TraceResult) -> Iterator[str]:
    if traced.lost:
        yield f"of the pings sent, {traced.lost} did not come home"


def _lost(what: str, leg: OneWay, traced: TraceResult) -> Verdict:
    """Where a packet is lost. A host that reports that it cannot deliver the packet has rejected it."""
    found = _lost_between(what, leg) if leg.hops[-1].point.host != leg.missed[0].host else _lost_on(what, leg, traced)
    return Verdict(VerdictCode.REJECTED, found.text) if traced.rejected else found


def _lost_on(what: str, leg: OneWay, traced: TraceResult) -> Verdict:
    last, missed = leg.hops[-1], leg.missed
    if missed[0].error:
        text = f"the {what} is lost on {last.point.host} after {last.point.interface}: {missed[0].error}"
        return Verdict(VerdictCode.LOST_UNSEEN, text)
    where = f"between {last.point.interface} and {' or '.join(point.interface for point in missed)}"
    if "container" in {last.point.place, missed[0].place}:
        return Verdict(VerdictCode.LOST_AT_BRIDGE, f"the {what} is lost on {last.point.host} at the bridge, {where}")
    guess = "" if traced.icmp_error else ": no route leads on, rp_filter refuses it, or the firewall drops it"
    return Verdict(VerdictCode.LOST_INSIDE, f"the {what} is lost inside {last.point.host}, {where}{guess}")


def _lost_between(what: str, leg: OneWay) -> Verdict:
    """The recipient of the frame distinguishes a wrong next hop from a network that loses packets."""
    last, missed = leg.hops[-1], leg.missed
    leaves = f"the {what} leaves {last.point.host} by {last.point.interface}"
    macs = {point.mac for point in missed} - {None}
    if last.recipient and macs and last.recipient not in macs:
        whose = " or ".join(sorted(mac for mac in macs if mac))
        other = f"goes to another machine: to {last.recipient}, where {missed[0].host} is {whose}"
        return Verdict(VerdictCode.WRONG_NEXT_HOP, f"{leaves} and {other}")
    never = f"never comes in at {' or '.join(map(str, missed))}: the network between them loses it"
    return Verdict(VerdictCode.LOST_BETWEEN, f"{leaves} and {never}")


def _loop(what: str, leg: OneWay) -> Verdict:
    hosts = " and ".join(dict.fromkeys(hop.point.host for hop in leg.hops))
    return Verdict(VerdictCode.LOOP, f"the {what} circles: {hosts} pass it to each other until its TTL is used up")


def _listed(points: Sequence[Point]) -> str:
    """The interfaces by host, without those inside containers."""
    outside = (point for point in points if point.place != "container")
    hosts = groupby(outside, key=lambda point: point.host)
    return ", ".join(f"{' and '.join(point.interface for point in alike)} of {host}" for host, alike in hosts)
