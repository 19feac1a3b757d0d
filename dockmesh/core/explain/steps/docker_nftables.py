"""What Docker's nftables backend does to a packet that comes in, and whether dockmesh marks it as let in."""

from collections.abc import Iterator, Sequence

from dockmesh.core.explain.evidence import HostEvidence, apply_command, not_joined
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Fault
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import FORWARD_CHAIN
from dockmesh.core.netfilter.counters import Packet, in_chain
from dockmesh.core.netfilter.nft_ruleset import DOCKERS, OWN, DropRule, drops_in


def dropped_in_raw(at: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet]) -> Fault | None:
    """Why Docker dropped it for its mere destination."""
    refused = _refused(seen, packets, DOCKERS, "raw-PREROUTING")
    return _by_docker(at, FaultCode.DIRECT_ROUTING_REFUSED, "allow-direct-routing", refused)


def dropped_in_forward(at: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet]) -> Fault | None:
    """Why it was not let into the bridge, by dockmesh's own table or then by Docker."""
    others = next((each for each in _refused(seen, packets, OWN, "forward") if "ip saddr !=" in each.text), None)
    if others is not None:
        cause = f"the table {OWN} of {at.name} has no mark for how it comes in, and drops it: {sanitize(others.text)}"
        return Fault(FaultCode.NOT_ACCEPTED, cause, apply_command(at))
    refused = _refused(seen, packets, DOCKERS, f"filter-forward-in__{at.bridge}")
    return _by_docker(at, FaultCode.MARK_NOT_ACCEPTED, "bridge-accept-fwmark", refused)


def marks_missing(at: HostEvidence, seen: HostSnapshot) -> Fault | None:
    """Where nothing is marked that could be let in."""
    if in_chain(seen.rules, "filter", FORWARD_CHAIN):
        return None
    cause = f"the table {OWN} of {at.name} marks nothing any more, by which peers are let in: it was flushed"
    return Fault(FaultCode.MARKS_MISSING, cause, apply_command(at))


def _refused(seen: HostSnapshot, packets: Sequence[Packet], table: str, chain: str) -> Iterator[DropRule]:
    for packet in packets:
        yield from (each for each in drops_in(table, *seen.rulesets, packet) if each.chain == chain)


def _by_docker(at: HostEvidence, code: FaultCode, key: str, refused: Iterator[DropRule]) -> Fault | None:
    first = next(refused, None)
    if first is None:
        return None
    if not at.joined:
        return not_joined(at)
    cause = f"Docker on {at.name} runs without {key}, and drops what peers send: {sanitize(first.text)}"
    return Fault(code, cause, apply_command(at))
