"""Finds packets that Docker's nftables backend drops, and packets that dockmesh's own table drops."""

from collections.abc import Iterator, Sequence

from dockmesh.core.explain.evidence import HostEvidence, apply_command, not_joined
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Fault
from dockmesh.core.explain.script import COUNT
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.host_output import sanitize
from dockmesh.core.netfilter.counters import Packet
from dockmesh.core.netfilter.nft_ruleset import DOCKERS, OWN, DropRule, drops_in


def dropped_in_raw(at: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet]) -> Fault | None:
    """The fault if Docker drops direct access to a container's address."""
    drops = (each for each in _drops(seen, packets, DOCKERS) if each.chain == "raw-PREROUTING")
    return _by_docker(at, FaultCode.DIRECT_ROUTING_REFUSED, "allow-direct-routing", drops)


def dropped_in_forward(at: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet]) -> Fault | None:
    """The fault if dockmesh's table or Docker drops the packet on its way to the bridge."""
    if own := next(_drops(seen, packets, OWN), None):
        cause = f"table {OWN} of {at.name} drops the probe: {own.chain} {sanitize(own.text)}"
        return Fault(FaultCode.NOT_ACCEPTED, cause, apply_command(at))
    drops = (each for each in _drops(seen, packets, DOCKERS) if each.chain == f"filter-forward-in__{at.bridge}")
    return _by_docker(at, FaultCode.MARK_NOT_ACCEPTED, "bridge-accept-fwmark", drops)


def _drops(seen: HostSnapshot, packets: Sequence[Packet], table: str) -> Iterator[DropRule]:
    for packet in packets:
        yield from drops_in(table, seen.rulesets, packet, COUNT, seen.trace)


def _by_docker(at: HostEvidence, code: FaultCode, key: str, drops: Iterator[DropRule]) -> Fault | None:
    first = next(drops, None)
    if first is None:
        return None
    if not at.joined:
        return not_joined(at)
    cause = f"Docker on {at.name} runs without {key} and drops packets from peers: {sanitize(first.text)}"
    return Fault(code, cause, apply_command(at))
