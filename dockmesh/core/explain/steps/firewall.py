"""Steps at a host's firewall: what took the packets of the probe, by the counters of its rules."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from dockmesh.core.explain.evidence import (
    HostEvidence,
    apply_command,
    failed,
    not_joined,
    on_host,
    passed,
    unknown,
    unknown_peer,
)
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Fault, Step
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.explain.steps import docker_nftables
from dockmesh.core.explain.steps.routing import knows_peer
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import FORWARD_CHAIN, RAW_CHAIN
from dockmesh.core.netfilter import firewalld
from dockmesh.core.netfilter.counters import CountedRule, Packet, in_chain, jumps, refusing
from dockmesh.core.netfilter.firewalld import FirewalldRejection as Refused
from dockmesh.core.netfilter.firewalld import FirewalldRuleset
from dockmesh.core.netfilter.flow import AddressBits, Flow
from dockmesh.core.netfilter.nft_ruleset import DropRule, foreign_drops


def sending(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], way: Direction
) -> Iterator[Step]:
    """The firewall of the host that sends: nothing shall refuse."""
    refused = _refused(seen, packets)
    if refused:
        yield failed(at, way, Check.FIREWALL, _by_others(at, other, refused[0]))
    else:
        yield passed(at, way, Check.FIREWALL, "refuses nothing that leaves")
    yield from _tables(at, other, seen, packets, way)


def receiving(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], way: Direction
) -> Iterator[Step]:
    """The firewall of the host that receives: the table raw first, then filter."""
    dropped = next((rule for rule in _refused(seen, packets) if _early(rule)), None)
    if fault := _raw(at, other, seen, dropped) if dropped else docker_nftables.dropped_in_raw(at, seen, packets):
        yield failed(at, way, Check.RAW, fault)
    else:
        yield passed(at, way, Check.RAW, "refuses nothing")
    yield from _filter(at, other, seen, packets, way)
    yield from _tables(at, other, seen, packets, way)


def _refused(seen: HostSnapshot, packets: Sequence[Packet]) -> list[CountedRule]:
    return list(dict.fromkeys(rule for packet in packets for rule in refusing(seen.rules, packet)))


def _early(rule: CountedRule) -> bool:
    return rule.table == "raw" or rule.chain == "PREROUTING"


def _raw(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, rule: CountedRule) -> Fault:
    if not rule.dockers:
        return _by_others(at, other, rule, FaultCode.RAW_DROP)
    if not at.joined:
        return not_joined(at)
    if jumps(seen.rules, "raw", "PREROUTING", RAW_CHAIN) and not knows_peer(seen, other):
        return unknown_peer(at, other)
    cause = f"{RAW_CHAIN} of {at.name} lets nothing in any more, and Docker's own rule drops it: {_said(rule)}"
    return Fault(FaultCode.RAW_ACCEPTS_MISSING, cause, apply_command(at))


def _filter(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], way: Direction
) -> Iterator[Step]:
    if fault := _filtered(at, other, seen, packets, way):
        yield failed(at, way, Check.FILTER, fault)
    else:
        by = "the table ip dockmesh" if seen.docker_uses_nftables else FORWARD_CHAIN
        yield passed(at, way, Check.FILTER, f"{by} lets {other.name} in" if at.pid else "refuses nothing")


def _filtered(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], way: Direction
) -> Fault | None:
    refused = [rule for rule in _refused(seen, packets) if not _early(rule)]
    others = [rule for rule in refused if seen.docker_uses_nftables or not rule.dockers]
    if others:
        return _by_others(at, other, others[0])
    # A reply is let in as such by Docker's own rules, and by a policy of ACCEPT anyway.
    if at.pid and (fault := _unhooked(at, other, seen, blocks=way == "there")):
        return fault
    return _by_docker(at, refused[0]) if refused else docker_nftables.dropped_in_forward(at, seen, packets)


def _unhooked(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, *, blocks: bool) -> Fault | None:
    """What of dockmesh's own is not there that would let the packet in."""
    if not (seen.rules or seen.docker_uses_nftables) or at.host.prefix is None:
        return None
    if not at.joined:
        return not_joined(at)
    fault = docker_nftables.marks_missing(at, seen) if seen.docker_uses_nftables else _flushed(at, seen)
    if fault is None and not knows_peer(seen, other):
        fault = unknown_peer(at, other)
    return replace(fault, blocks=blocks) if fault else None


def _flushed(at: HostEvidence, seen: HostSnapshot) -> Fault | None:
    hook = "DOCKER-USER" if at.host.docker else "FORWARD"
    if jumps(seen.rules, "filter", hook, FORWARD_CHAIN) and in_chain(seen.rules, "filter", FORWARD_CHAIN):
        return None
    cause = f"{hook} of {at.name} does not lead to {FORWARD_CHAIN} any more, by which peers are let in: it was flushed"
    return Fault(
        FaultCode.DOCKER_USER_FLUSHED if at.host.docker else FaultCode.FORWARD_FLUSHED, cause, apply_command(at)
    )


def _by_docker(at: HostEvidence, rule: CountedRule) -> Fault:
    cause = f"a rule of Docker's on {at.name} drops it, for {FORWARD_CHAIN} has none for how it comes in: {_said(rule)}"
    return Fault(FaultCode.NOT_ACCEPTED, cause, apply_command(at))


def _by_others(
    at: HostEvidence, other: HostEvidence, rule: CountedRule, code: FaultCode = FaultCode.HOST_FIREWALL_DROP
) -> Fault:
    if not rule.text:
        cause = f"the firewall of {at.name} drops it by policy: {_said(rule)}"
        source = other.host.prefix or other.host.underlay
        letting = f"iptables -t {rule.table} -I {rule.chain} -s {source} -j ACCEPT"
        return Fault(code, cause, on_host(at, letting))
    cause = f"a rule in the firewall of {at.name} drops it: {_said(rule)}"
    table = "" if rule.table == "filter" else f"-t {rule.table} "
    # Words taken apart and put together again: nothing in a comment is for a shell.
    return Fault(code, cause, on_host(at, f"iptables {table}-D {rule.chain} {shlex.join(shlex.split(rule.text))}"))


def _said(rule: CountedRule) -> str:
    return f"iptables {sanitize(str(rule))} (it took {rule.packets} packet{'' if rule.packets == 1 else 's'})"


def _tables(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], way: Direction
) -> Iterator[Step]:
    """Tables of nft that others made. Without a counter, a rule there is only what it may be."""
    yield from _firewalld(at, other, seen, packets, way)
    for packet in packets:
        for each in foreign_drops(*seen.rulesets, packet):
            fault = _in_table(at, other, each)
            if each.packets:
                yield failed(at, way, Check.NFT, fault)
            else:
                yield unknown(at, way, Check.NFT, f"{fault.cause}; it has no counter", fault)
            return


def _firewalld(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], way: Direction
) -> Iterator[Step]:
    """Its table has no counters: it is walked. What answers is of a connection that it knows."""
    chains = firewalld.parse_ruleset(seen.rulesets[1].lines())
    for packet in packets:
        far = AddressBits({0: int(packet.source)})
        near, reply = int(packet.destination), way == "back"
        flow = Flow(far, near, inbound=True, in_interface=packet.came_in, out_interface=packet.goes_out, reply=reply)
        for refused in firewalld.rejections(chains, packet.hook, flow, far.all):
            fault = _by_firewalld(at, other, packet, chains, refused)
            told = f"it may be that {fault.cause}"
            yield (
                failed(at, way, Check.FIREWALLD, fault)
                if refused.sure
                else unknown(at, way, Check.FIREWALLD, told, fault)
            )
            return


def _by_firewalld(
    at: HostEvidence, other: HostEvidence, packet: Packet, chains: FirewalldRuleset, refused: Refused
) -> Fault:
    cause = f"{at.name} refuses it in table {sanitize(str(refused))}"
    networks = [IPv4Network(other.host.underlay), *([other.host.prefix] if other.host.prefix else [])]
    if packet.hook == "FORWARD" and at.bridge:
        remedy = firewalld.remedy(chains, at.bridge, networks)
    else:
        rule = f"rule priority=-1 family=ipv4 source address={networks[-1]} protocol value=icmp accept"
        remedy = f"firewall-cmd --permanent --add-rich-rule={shlex.quote(rule)}; firewall-cmd --reload"
    return Fault(FaultCode.FIREWALLD_REFUSES, cause, on_host(at, remedy))


def _in_table(at: HostEvidence, other: HostEvidence, each: DropRule) -> Fault:
    where = shlex.join([*each.table.split(), each.chain])
    if not each.text or each.handle is None:
        source = other.host.prefix or other.host.underlay
        cause = f"the policy of chain {where} of nft on {at.name} drops it"
        return Fault(
            FaultCode.HOST_FIREWALL_DROP, cause, on_host(at, f"nft insert rule {where} ip saddr {source} accept")
        )
    cause = f"a rule in chain {where} of nft on {at.name} drops it: {sanitize(each.text)}"
    return Fault(FaultCode.HOST_FIREWALL_DROP, cause, on_host(at, f"nft delete rule {where} handle {each.handle}"))
