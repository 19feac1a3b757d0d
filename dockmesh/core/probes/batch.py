"""The batch script, which runs all probes of one source, and the parser of its output."""

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
# Three pings print less than 1000 characters.
_MAX_PING_CHARACTERS = 1 << 12

_MS = r"(\d{1,8}(?:\.\d{1,6})?)"
_RTT = re.compile(rf"= {_MS}/{_MS}/{_MS}\b")
# The source itself reports these, for IPv4 and IPv6, if ARP or neighbour discovery for the next hop gets no reply.
_UNREACHABLE = ("Destination Host Unreachable", "Destination unreachable: Address unreachable")
# The messages of shells and nsenter for a missing program.
_MISSING = re.compile(r"\bping: (?:command )?not found\b|failed to execute ping\b")
# One line of ping. The address is possessive, so that no two parts of the expression can share characters.
_ICMP_ERROR = re.compile(
    r"From (\S++) .*?"
    r"(Destination [A-Za-z ]+(?:: Address unreachable)?|Time to live exceeded|Packet filtered|Frag[a-z]+ needed)"
)


def batch_script(
    probes: Sequence[Probe], targets: Mapping[str, ProbeTarget], texts: Templates, *, pid: int | None, number: int
) -> str:
    """The script that runs the probes of one host in parallel.

    `pid`: a process in the network namespace of the source container. `number`: the host's position in the fleet.
    """
    sizes = _sizes(probes, targets)
    lines = "".join(
        f"{probe.kind} {address} {payload(probe.kind, number)} {_full_size_payload(probe, sizes)}\n"
        for probe in probes
        if (address := _destination(probe, targets))
    )
    call = f"run_probes {_COUNT} {_INTERVAL_S} {_WAIT_S} {_PARALLEL} {pid or 0}"
    return "\n".join(
        (
            texts.output,
            texts.probe,
            f"probes() {{ {call} <<'END'\n{lines}END\n}}",
            "run_section probes probes",
            "run_section end true",
            "",
        )
    )


def parse_batch(probes: Sequence[Probe], targets: Mapping[str, ProbeTarget], section: Section) -> Iterator[ProbeResult]:
    """Parse the output of `batch_script`. Yields one ProbeResult per probe, in the order of `probes`."""
    outputs, sizes = {}, _sizes(probes, targets)
    for line in section.lines():
        kind, _, rest = line.partition(" ")
        address, _, text = rest.partition(" ")
        outputs[kind, address] = text[:_MAX_PING_CHARACTERS]
    for probe in probes:
        destination = _destination(probe, targets)
        if destination is None:
            yield probe.result().failed(_no_destination(probe, targets))
        else:
            size = sizes.get(probe)
            output = outputs.get((f"{probe.kind}+", str(destination)), "")
            full_size = parse_full_size(size, output) if size else None
            uplink = _smallest_uplink(probe, targets) if full_size else None
            if full_size and full_size.cached_pmtu and not (uplink and uplink.mtu < full_size.size):
                # A cached path MTU can be minutes old. Only a small uplink confirms it.
                full_size = None
            own = targets.get(probe.source, ProbeTarget()).addresses
            yield _result(probe, outputs.get((probe.kind, str(destination)), ""), full_size, own, uplink)


def not_sent(probes: Iterable[Probe], error: str) -> Iterator[ProbeResult]:
    """The results of probes whose source could not be asked. `error` is their reason."""
    failure = Failure(FailureCode.NOT_ASKED, error)
    return (probe.result().failed(failure) for probe in probes)


def duration_s(probes: Sequence[Probe]) -> float:
    """The time in seconds that a row takes if no probe gets a reply."""
    rounds = -(-len(probes) // _PARALLEL)
    return rounds * (_COUNT * max(_INTERVAL_S, _WAIT_S) + _WAIT_S)


def mesh_result(
    fleet: Fleet,
    probes: Mapping[str, Sequence[Probe]],
    rows: Mapping[str, Sequence[ProbeResult]],
    errors: Mapping[str, HostFailure],
) -> MeshResult:
    """All rows as one result, in the order of the fleet. The probes of a host without a row count as failed."""
    rows_of = (
        rows[name] if name in rows else not_sent(probes[name], f"{name} could not be asked: {errors.get(name)}")
        for name in (host.name for host in fleet.hosts)
        if name in probes
    )
    return MeshResult(
        tuple(host_result(host, errors.get(host.name)) for host in fleet.hosts),
        tuple(result for row in rows_of for result in row),
        fleet.settings.name,
    )


def _no_destination(probe: Probe, targets: Mapping[str, ProbeTarget]) -> Failure:
    ends = (probe.target, probe.source) if probe.kind == "container-container" else (probe.target,)
    errors = (targets[name].error for name in ends if name in targets)
    no_address = Failure(FailureCode.NO_ADDRESS, f"{probe.target} has no address to probe")
    return next((error for error in errors if error), no_address)


def _destination(probe: Probe, targets: Mapping[str, ProbeTarget]) -> Address | None:
    if probe.kind == "container-container" and targets.get(probe.source, ProbeTarget()).pid is None:
        return None
    return targets.get(probe.target, ProbeTarget()).address(probe.kind, probe.family)


def _sizes(probes: Iterable[Probe], targets: Mapping[str, ProbeTarget]) -> dict[Probe, int]:
    """The length in bytes of the full-size packet of each pair, under its last probe, which covers most of the path."""
    last = {(probe.source, probe.target, probe.family): probe for probe in probes if _destination(probe, targets)}
    lengths = ((probe, _packet_size(probe, targets)) for probe in last.values())
    return {probe: size for probe, size in lengths if size}


def _full_size_payload(probe: Probe, sizes: Mapping[Probe, int]) -> int | str:
    return sizes[probe] - HEADERS_BYTES[probe.family] if probe in sizes else "-"


def _packet_size(probe: Probe, targets: Mapping[str, ProbeTarget]) -> int | None:
    """The smaller MTU of the two ends, because TCP negotiates that. None if one is unknown."""
    source, target = targets.get(probe.source, ProbeTarget()), targets.get(probe.target, ProbeTarget())
    ends = (
        source.mtu if probe.kind == "container-container" else _mtu(source.uplink),
        _mtu(target.uplink) if probe.kind == "host-bridge" else target.mtu,
    )
    known = [end for end in ends if end]
    return min(known) if len(known) == len(ends) else None


def _smallest_uplink(probe: Probe, targets: Mapping[str, ProbeTarget]) -> Uplink | None:
    """The smaller of the known uplinks of the two hosts."""
    ends = ((name, targets.get(name, ProbeTarget()).uplink) for name in (probe.source, probe.target))
    return min((Uplink(link.mtu, name, link.name) for name, link in ends if link), default=None)


def _mtu(link: Link | None) -> int | None:
    return link.mtu if link else None


def _result(
    probe: Probe, output: str, full_size: FullSizePing | None, own: Collection[Address], uplink: Uplink | None
) -> ProbeResult:
    counts = parse_counts(output)
    if not counts:
        return probe.result().failed(_send_failure(output))
    (sent, received), ttl, rtt = counts[0], parse_ttl(output), _RTT.search(output)
    least, average, most = map(float, rtt.groups()) if rtt else (None, None, None)
    mtu_ok = full_size.received > 0 if full_size and received else None
    result = probe.result(sent, received, ttl, average, rtt_min_ms=least, rtt_max_ms=most, mtu_ok=mtu_ok)
    failure = _failure(result, output, own)
    if failure is None and full_size and mtu_ok is False:
        failure = loss_failure(full_size, uplink)
    return result.failed(failure) if failure else result


def _send_failure(output: str) -> Failure:
    message = sanitize(output.replace("|", " "))
    if not message:
        return Failure(FailureCode.NO_PING, "the source printed no ping output")
    return Failure(FailureCode.NO_PING if _MISSING.search(message) else FailureCode.PING_FAILED, message)


def _no_reply(result: ProbeResult, output: str, own: Collection[Address]) -> Failure:
    error = next(filter(None, map(_ICMP_ERROR.match, output.split("|"))), None)
    if error is None:
        return Failure(FailureCode.NO_REPLY, "no reply")
    if error[2] in _UNREACHABLE and error[1].rstrip(":") in map(str, own):
        reason = f"next hop dead: no ARP or neighbour discovery reply for {result.target} on the LAN"
        return Failure(FailureCode.NEXT_HOP_DEAD, reason)
    return Failure(FailureCode.ICMP_ERROR, f"{sanitize(error[1])} reports: {sanitize(error[2])}")


def _failure(result: ProbeResult, output: str, own: Collection[Address]) -> Failure | None:
    ttl, expected = result.ttl, result.expected_ttl
    if not result.reached:
        return _no_reply(result, output, own)
    if ttl == expected:
        return None
    why = "a closer machine has the target address" if (ttl or 0) > (expected or 0) else "the reply took a longer path"
    return Failure(FailureCode.TTL, f"the reply's TTL is {ttl}, not {expected}, because {why}")
