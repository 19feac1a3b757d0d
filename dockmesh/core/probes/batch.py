"""A row: all of one host's questions in one script, and what its answer says."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dockmesh.core.addresses import Address
from dockmesh.core.facts.links import Link
from dockmesh.core.host_output import Section, sanitize
from dockmesh.core.model import Fleet
from dockmesh.core.probes.full_size import HEADERS_BYTES, FullSizePing, Uplink, loss_failure, parse_full_size
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.probes.ping_output import parse_counts, parse_ttl
from dockmesh.core.probes.source_check import payload
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult, host_result
from dockmesh.core.templates import Templates
from dockmesh.errors import HostFailure

_COUNT = 3
_INTERVAL_S = 0.2
_WAIT_S = 1
_PARALLEL = 32

_MS = r"(\d{1,8}(?:\.\d{1,6})?)"
_RTT = re.compile(rf"= {_MS}/{_MS}/{_MS}\b")
# As a host says it of its next hop, when nobody has answered for that one's address; in IPv4 and in IPv6.
_UNREACHABLE = ("Destination Host Unreachable", "Destination unreachable: Address unreachable")
# As shells and nsenter report a missing program.
_MISSING = re.compile(r"\bping: (?:command )?not found\b|failed to execute ping\b")
_COMPLAINT = re.compile(
    r"From (\S+).*?"
    r"(Destination [A-Za-z ]+(?:: Address unreachable)?|Time to live exceeded|Packet filtered|Frag[a-z]+ needed)"
)


def batch_script(
    questions: Sequence[Probe], targets: Mapping[str, ProbeTarget], texts: Templates, *, pid: int | None, number: int
) -> str:
    """The script that asks all of one host's questions, several at once. `number` is the host's in the fleet."""
    sizes = _sizes(questions, targets)
    asked = "".join(
        f"{question.kind} {address} {payload(question.kind, number)} {_large(question, sizes)}\n"
        for question in questions
        if (address := _asked(question, targets))
    )
    call = f"run_probes {_COUNT} {_INTERVAL_S} {_WAIT_S} {_PARALLEL} {pid or 0}"
    return "\n".join(
        (
            texts.output,
            texts.probe,
            f"probes() {{ {call} <<'END'\n{asked}END\n}}",
            "run_section probes probes",
            "run_section end true",
            "",
        )
    )


def parse_batch(
    questions: Sequence[Probe], targets: Mapping[str, ProbeTarget], section: Section
) -> Iterator[ProbeResult]:
    """Read the answer of `batch_script`: one ProbeResult per question, in their order."""
    said, sizes = {}, _sizes(questions, targets)
    for line in section.lines():
        kind, _, rest = line.partition(" ")
        address, _, text = rest.partition(" ")
        said[kind, address] = text
    for question in questions:
        asked = _asked(question, targets)
        if asked is None:
            yield question.result().failed(_lack(question, targets))
        else:
            size = sizes.get(question)
            large = parse_full_size(size, said.get((f"{question.kind}+", str(asked)), "")) if size else None
            uplink = _smallest_uplink(question, targets) if large else None
            if large and large.cached_pmtu and not (uplink and uplink.mtu < large.size):
                # The way of some minutes ago: of today's, nothing was asked.
                large = None
            own = targets.get(question.source, ProbeTarget()).addresses
            yield _result(question, said.get((question.kind, str(asked)), ""), large, own, uplink)


def not_sent(questions: Iterable[Probe], error: str) -> Iterator[ProbeResult]:
    """The answers of a host that could not be asked."""
    failure = Failure(FailureCode.NOT_ASKED, error)
    return (question.result().failed(failure) for question in questions)


def duration_s(questions: Sequence[Probe]) -> float:
    """How long a row may take on the host when no probe is answered, in seconds."""
    rounds = -(-len(questions) // _PARALLEL)
    return rounds * (_COUNT * max(_INTERVAL_S, _WAIT_S) + _WAIT_S)


def mesh_result(
    fleet: Fleet,
    questions: Mapping[str, Sequence[Probe]],
    rows: Mapping[str, Sequence[ProbeResult]],
    errors: Mapping[str, HostFailure],
) -> MeshResult:
    """All rows as one result, in the fleet's order; the questions of a host without a row count as failed."""
    rows_of = (
        rows[name] if name in rows else not_sent(questions[name], f"{name} could not be asked: {errors.get(name)}")
        for name in (host.name for host in fleet.hosts)
        if name in questions
    )
    return MeshResult(
        tuple(host_result(host, errors.get(host.name)) for host in fleet.hosts),
        tuple(result for row in rows_of for result in row),
        fleet.settings.name,
    )


def _lack(question: Probe, targets: Mapping[str, ProbeTarget]) -> Failure:
    """Why a question is not asked."""
    ends = (question.target, question.source) if question.kind == "container-container" else (question.target,)
    errors = (targets[name].error for name in ends if name in targets)
    nothing = Failure(FailureCode.NO_ADDRESS, f"{question.target} has no address to probe")
    return next((error for error in errors if error), nothing)


def _asked(question: Probe, targets: Mapping[str, ProbeTarget]) -> Address | None:
    offered = targets.get(question.target, ProbeTarget())
    if question.kind == "container-container" and targets.get(question.source, ProbeTarget()).pid is None:
        return None
    return offered.address(question.kind, question.family)


def _sizes(questions: Iterable[Probe], targets: Mapping[str, ProbeTarget]) -> dict[Probe, int]:
    """The bytes of a packet of full size, for the last question asked of each pair, which is the one that asks most."""
    last = {(each.source, each.target, each.family): each for each in questions if _asked(each, targets)}
    found = ((each, _size(each, targets)) for each in last.values())
    return {each: size for each, size in found if size}


def _large(question: Probe, sizes: Mapping[Probe, int]) -> int | str:
    return sizes[question] - HEADERS_BYTES[question.family] if question in sizes else "-"


def _size(question: Probe, targets: Mapping[str, ProbeTarget]) -> int | None:
    """What both ends take: they agree on no more."""
    source, target = targets.get(question.source, ProbeTarget()), targets.get(question.target, ProbeTarget())
    ends = (
        source.mtu if question.kind == "container-container" else _mtu(source.uplink),
        _mtu(target.uplink) if question.kind == "host-bridge" else target.mtu,
    )
    known = [end for end in ends if end]
    return min(known) if len(known) == len(ends) else None


def _smallest_uplink(question: Probe, targets: Mapping[str, ProbeTarget]) -> Uplink | None:
    """Of the two hosts, as far as they are known."""
    ends = ((name, targets.get(name, ProbeTarget()).uplink) for name in (question.source, question.target))
    return min((Uplink(link.mtu, name, link.name) for name, link in ends if link), default=None)


def _mtu(link: Link | None) -> int | None:
    return link.mtu if link else None


def _result(
    question: Probe, said: str, large: FullSizePing | None, own: Collection[Address], uplink: Uplink | None
) -> ProbeResult:
    counts = parse_counts(said)
    if not counts:
        return question.result().failed(_unsent(said))
    (sent, received), ttl, rtt_found = counts[0], parse_ttl(said), _RTT.search(said)
    least, average, most = map(float, rtt_found.groups()) if rtt_found else (None, None, None)
    mtu_ok = large.received > 0 if large and received else None
    result = question.result(sent, received, ttl, average, rtt_min_ms=least, rtt_max_ms=most, mtu_ok=mtu_ok)
    failure = _failure(result, said, own) or (loss_failure(large, uplink) if large and mtu_ok is False else None)
    return result.failed(failure) if failure else result


def _unsent(said: str) -> Failure:
    words = sanitize(said.replace("|", " "))
    if not words:
        return Failure(FailureCode.NO_PING, "the host ran no ping for it")
    return Failure(FailureCode.NO_PING if _MISSING.search(words) else FailureCode.PING_FAILED, words)


def _complaint(result: ProbeResult, said: str, own: Collection[Address]) -> Failure:
    complaint = _COMPLAINT.search(said)
    if complaint is None:
        return Failure(FailureCode.NO_REPLY, "no reply")
    if complaint[2] in _UNREACHABLE and complaint[1].rstrip(":") in map(str, own):
        dead = f"next hop dead: nothing on the LAN answers for {result.target}"
        return Failure(FailureCode.NEXT_HOP_DEAD, dead)
    return Failure(FailureCode.ICMP_ERROR, f"{sanitize(complaint[2])}, says {sanitize(complaint[1])}")


def _failure(result: ProbeResult, said: str, own: Collection[Address]) -> Failure | None:
    ttl, expected = result.ttl, result.expected_ttl
    if not result.reached:
        return _complaint(result, said, own)
    if ttl == expected:
        return None
    why = "a nearer machine has that address" if (ttl or 0) > (expected or 0) else "it took a longer way"
    return Failure(FailureCode.TTL, f"the reply's TTL is {ttl}, not {expected}: {why}")
