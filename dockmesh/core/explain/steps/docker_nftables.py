"""Finds packets that Docker's nftables backend drops, and packets that dockmesh did not mark for it."""

from collections.abc import Iterator, Sequence

from dockmesh.core.explain.evidence import HostEvidence, apply_command, not_joined
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Fault
from dockmesh.core.explain.script import COUNT
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import FORWARD_CHAIN
from dockmesh.core.netfilter.counters import Packet, in_chain
from dockmesh.core.netfilter.nft_ruleset import DOCKERS, OWN, DropRule, drops_in


def dropped_in_raw(at: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet]) -> Fault | None:
    """The fault if Docker drops direct access to a container's address."""
    drops = _drops(seen, packets, DOCKERS, "raw-PREROUTING")
    return _by_docker(at, FaultCode.DIRECT_ROUTING_REFUSED, "allow-direct-routing", drops)


def dropped_in_forward(at: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet]) -> Fault | None:
    """The fault if dockmesh's table or Docker drops the packet on its way to the bridge."""
    unmarked = next((each for each in _drops(seen, packets, OWN, "forward") if "ip saddr !=" in each.text), None)
    if unmarked is not None:
        cause = f"table {OWN} of {at.name} drops the probe, because no rule marks it: {sanitize(unmarked.text)}"
        return Fault(FaultCode.NOT_ACCEPTED, cause, apply_command(at))
    drops = _drops(seen, packets, DOCKERS, f"filter-forward-in__{at.bridge}")
    return _by_docker(at, FaultCode.MARK_NOT_ACCEPTED, "bridge-accept-fwmark", drops)


def marks_missing(at: HostEvidence, seen: HostSnapshot) -> Fault | None:
    """The fault if no rule marks packets from peers."""
    if in_chain(seen.rules, "filter", FORWARD_CHAIN):
        return None
    cause = f"table {OWN} of {at.name} has no rules that mark packets from peers, because it was flushed"
    return Fault(FaultCode.MARKS_MISSING, cause, apply_command(at))


def _drops(seen: HostSnapshot, packets: Sequence[Packet], table: str, chain: str) -> Iterator[DropRule]:
    for packet in packets:
        yield from (each for each in drops_in(table, seen.rulesets, packet, COUNT, seen.trace) if each.chain == chain)


def _by_docker(at: HostEvidence, code: FaultCode, key: str, drops: Iterator[DropRule]) -> Fault | None:
    first = next(drops, None)
    if first is None:
        return None
    if not at.joined:
        return not_joined(at)
    cause = f"Docker on {at.name} runs without {key} and drops packets from peers: {sanitize(first.text)}"
    return Fault(code, cause, apply_command(at))
