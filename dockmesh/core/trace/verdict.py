"""Derives the verdict of a trace: a stable code and a message."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from dockmesh.core.trace.model import Point
from dockmesh.core.trace.reconstruct import OneWay, TraceResult


class VerdictCode(StrEnum):
    """The kinds of verdicts, for scripts and tests. Values are stable, messages may change."""

    # The source received a reply.
    REACHED = "reached"
    SOURCE_REWRITTEN = "source-rewritten"
    DESTINATION_REWRITTEN = "destination-rewritten"
    # The request or the reply was lost.
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
    # A host could not capture.
    NOT_CAPTURED = "not-captured"


class Verdict(NamedTuple):
    """The result of a trace."""

    code: VerdictCode
    text: str


def verdict(traced: TraceResult) -> Verdict:
    """The path of the ping, or the place where it was lost."""
    if traced.captured.errors:
        errors = "; ".join(f"{host}: {error}" for host, error in traced.captured.errors.items())
        return Verdict(VerdictCode.NOT_CAPTURED, errors)
    if traced.reached:
        return Verdict(_success_code(traced), _success_text(traced))
    code, text = _failure(traced)
    return Verdict(code, f"{text}{f'; {traced.icmp_error}' if traced.icmp_error else ''}")


def _success_code(traced: TraceResult) -> VerdictCode:
    if any(hop.was_source for hop in traced.request.hops):
        return VerdictCode.SOURCE_REWRITTEN
    if any(hop.translated for one_way in (traced.request, traced.reply) for hop in one_way.hops):
        return VerdictCode.DESTINATION_REWRITTEN
    return VerdictCode.REACHED


def _failure(traced: TraceResult) -> Verdict:
    source, target = traced.query.ends
    request, reply = traced.request, traced.reply
    if not request.hops:
        return Verdict(VerdictCode.NOT_SENT, f"no ping left {source}")
    if request.loops:
        return _loop("request", request)
    if not request.arrived:
        lost = _lost("request", request, traced)
        if reply.hops:
            return Verdict(VerdictCode.OTHER_ANSWERS, f"{lost.text}. Another machine replied with the target's address")
        return lost
    if not reply.hops:
        return Verdict(VerdictCode.NO_ANSWER, f"the request arrives at {target}, which does not reply")
    if reply.loops:
        return _loop("reply", reply)
    return _lost("reply", reply, traced)


def _success_text(traced: TraceResult) -> str:
    source, target = traced.query.ends
    outward, back = ([hop.point for hop in one_way.hops] for one_way in (traced.request, traced.reply))
    reply_path = "the same path" if back == outward[::-1] else _interfaces(back)
    paths = f"{source} reaches {target} through {_interfaces(outward)}; the reply takes {reply_path}"
    return "; ".join((paths, *_translations(traced), *_routers(traced), *_losses(traced)))


def _translations(traced: TraceResult) -> Iterator[str]:
    for name, one_way in (("request", traced.request), ("reply", traced.reply)):
        for hop in one_way.hops:
            for field, before, after in (
                ("source", hop.was_source, hop.source),
                ("destination", hop.was_destination, hop.destination),
            ):
                if before:
                    yield f"in the {name}, {hop.point.host} sets the {field} to {after} instead of {before}"


def _routers(traced: TraceResult) -> Iterator[str]:
    for name, one_way in (("request", traced.request), ("reply", traced.reply)):
        for before, hop in zip(one_way.hops, one_way.hops[1:], strict=False):
            if before.point.host != hop.point.host and before.ttl > hop.ttl:
                yield f"the {name} passes a router between the hosts (TTL {before.ttl} to {hop.ttl})"


def _losses(traced: TraceResult) -> Iterator[str]:
    if traced.lost:
        yield f"pings without reply: {traced.lost}"


def _lost(name: str, one_way: OneWay, traced: TraceResult) -> Verdict:
    """The place where a packet was lost. If a host reports that it cannot deliver the packet, it was rejected."""
    between_hosts = one_way.hops[-1].point.host != one_way.missed[0].host
    lost = _lost_between(name, one_way) if between_hosts else _lost_on_host(name, one_way, traced)
    return Verdict(VerdictCode.REJECTED, lost.text) if traced.rejected else lost


def _lost_on_host(name: str, one_way: OneWay, traced: TraceResult) -> Verdict:
    last, missed = one_way.hops[-1], one_way.missed
    if missed[0].error:
        text = f"the {name} is lost on {last.point.host} after {last.point.interface}, where captures failed: "
        return Verdict(VerdictCode.LOST_UNSEEN, f"{text}{missed[0].error}")
    where = f"between {last.point.interface} and {' or '.join(point.interface for point in missed)}"
    if "container" in {last.point.place, missed[0].place}:
        return Verdict(VerdictCode.LOST_AT_BRIDGE, f"the {name} is lost on {last.point.host} at the bridge, {where}")
    causes = "" if traced.icmp_error else ". Possible causes: a missing route, rp_filter, a firewall rule"
    return Verdict(VerdictCode.LOST_INSIDE, f"the {name} is lost inside {last.point.host}, {where}{causes}")


def _lost_between(name: str, one_way: OneWay) -> Verdict:
    """The MAC address of the frame distinguishes a wrong next hop from a network that drops packets."""
    last, missed = one_way.hops[-1], one_way.missed
    leaves = f"the {name} leaves {last.point.host} through {last.point.interface}"
    macs = {point.mac for point in missed} - {None}
    if last.recipient and macs and last.recipient not in macs:
        expected = " or ".join(sorted(mac for mac in macs if mac))
        other = f"for another machine: its frame goes to {last.recipient}, but {missed[0].host} has {expected}"
        return Verdict(VerdictCode.WRONG_NEXT_HOP, f"{leaves} {other}")
    lost = f"does not arrive on {' or '.join(map(str, missed))}. The network between the hosts drops it"
    return Verdict(VerdictCode.LOST_BETWEEN, f"{leaves} and {lost}")


def _loop(name: str, one_way: OneWay) -> Verdict:
    hosts = " and ".join(dict.fromkeys(hop.point.host for hop in one_way.hops))
    return Verdict(VerdictCode.LOOP, f"the {name} loops: {hosts} forward it to each other until its TTL expires")


def _interfaces(points: Sequence[Point]) -> str:
    """The interfaces by host, without those inside containers."""
    outside = (point for point in points if point.place != "container")
    hosts = groupby(outside, key=lambda point: point.host)
    return ", ".join(f"{' and '.join(point.interface for point in alike)} of {host}" for host, alike in hosts)
