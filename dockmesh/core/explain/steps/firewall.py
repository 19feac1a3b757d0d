"""Steps at a host's firewall: what took the packets of the probe, by the counters of its rules."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from dockmesh.core.explain.evidence import Side, apply, bad, good, not_joined, on, unknown_peer, unsure
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Fault, Step, Way
from dockmesh.core.explain.snapshot import Sight
from dockmesh.core.explain.steps import docker_nftables
from dockmesh.core.explain.steps.routing import known
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import FORWARD_CHAIN, RAW_CHAIN
from dockmesh.core.netfilter import firewalld
from dockmesh.core.netfilter.counters import CountedRule, Packet, in_chain, jumps, refusing
from dockmesh.core.netfilter.firewalld import FirewalldRejection as Refused
from dockmesh.core.netfilter.firewalld import FirewalldRuleset
from dockmesh.core.netfilter.flow import AddressBits, Flow
from dockmesh.core.netfilter.nft_ruleset import DropRule, foreign_drops


def sending(at: Side, other: Side, seen: Sight, packets: Sequence[Packet], way: Way) -> Iterator[Step]:
    """The firewall of the host that sends: nothing shall refuse."""
    refused = _refused(seen, packets)
    if refused:
        yield bad(at, way, Check.FIREWALL, _by_others(at, other, refused[0]))
    else:
        yield good(at, way, Check.FIREWALL, "refuses nothing that leaves")
    yield from _tables(at, other, seen, packets, way)


def receiving(at: Side, other: Side, seen: Sight, packets: Sequence[Packet], way: Way) -> Iterator[Step]:
    """The firewall of the host that receives: the table raw first, then filter."""
    dropped = next((rule for rule in _refused(seen, packets) if _early(rule)), None)
    if fault := _raw(at, other, seen, dropped) if dropped else docker_nftables.early(at, seen, packets):
        yield bad(at, way, Check.RAW, fault)
    else:
        yield good(at, way, Check.RAW, "refuses nothing")
    yield from _filter(at, other, seen, packets, way)
    yield from _tables(at, other, seen, packets, way)


def _refused(seen: Sight, packets: Sequence[Packet]) -> list[CountedRule]:
    return list(dict.fromkeys(rule for packet in packets for rule in refusing(seen.rules, packet)))


def _early(rule: CountedRule) -> bool:
    return rule.table == "raw" or rule.chain == "PREROUTING"


def _raw(at: Side, other: Side, seen: Sight, rule: CountedRule) -> Fault:
    if not rule.dockers:
        return _by_others(at, other, rule, FaultCode.RAW_DROP)
    if not at.joined:
        return not_joined(at)
    if jumps(seen.rules, "raw", "PREROUTING", RAW_CHAIN) and not known(seen, other):
        return unknown_peer(at, other)
    cause = f"{RAW_CHAIN} of {at.name} lets nothing in any more, and Docker's own rule drops it: {_said(rule)}"
    return Fault(FaultCode.RAW_ACCEPTS_MISSING, cause, apply(at))


def _filter(at: Side, other: Side, seen: Sight, packets: Sequence[Packet], way: Way) -> Iterator[Step]:
    if fault := _filtered(at, other, seen, packets, way):
        yield bad(at, way, Check.FILTER, fault)
    else:
        by = "the table ip dockmesh" if seen.nftables else FORWARD_CHAIN
        yield good(at, way, Check.FILTER, f"{by} lets {other.name} in" if at.pid else "refuses nothing")


def _filtered(at: Side, other: Side, seen: Sight, packets: Sequence[Packet], way: Way) -> Fault | None:
    refused = [rule for rule in _refused(seen, packets) if not _early(rule)]
    others = [rule for rule in refused if seen.nftables or not rule.dockers]
    if others:
        return _by_others(at, other, others[0])
    # A reply is let in as such by Docker's own rules, and by a policy of ACCEPT anyway.
    if at.pid and (fault := _unhooked(at, other, seen, blocks=way == "there")):
        return fault
    return _by_docker(at, refused[0]) if refused else docker_nftables.late(at, seen, packets)


def _unhooked(at: Side, other: Side, seen: Sight, *, blocks: bool) -> Fault | None:
    """What of dockmesh's own is not there that would let the packet in."""
    if not (seen.rules or seen.nftables) or at.host.prefix is None:
        return None
    if not at.joined:
        return not_joined(at)
    fault = docker_nftables.unmarked(at, seen) if seen.nftables else _flushed(at, seen)
    if fault is None and not known(seen, other):
        fault = unknown_peer(at, other)
    return replace(fault, blocks=blocks) if fault else None


def _flushed(at: Side, seen: Sight) -> Fault | None:
    hook = "DOCKER-USER" if at.host.docker else "FORWARD"
    if jumps(seen.rules, "filter", hook, FORWARD_CHAIN) and in_chain(seen.rules, "filter", FORWARD_CHAIN):
        return None
    cause = f"{hook} of {at.name} does not lead to {FORWARD_CHAIN} any more, by which peers are let in: it was flushed"
    return Fault(FaultCode.DOCKER_USER_FLUSHED if at.host.docker else FaultCode.FORWARD_FLUSHED, cause, apply(at))


def _by_docker(at: Side, rule: CountedRule) -> Fault:
    cause = f"a rule of Docker's on {at.name} drops it, for {FORWARD_CHAIN} has none for how it comes in: {_said(rule)}"
    return Fault(FaultCode.NOT_ACCEPTED, cause, apply(at))


def _by_others(at: Side, other: Side, rule: CountedRule, code: FaultCode = FaultCode.HOST_FIREWALL_DROP) -> Fault:
    if not rule.text:
        cause = f"the firewall of {at.name} drops it by policy: {_said(rule)}"
        source = other.host.prefix or other.host.underlay
        letting = f"iptables -t {rule.table} -I {rule.chain} -s {source} -j ACCEPT"
        return Fault(code, cause, on(at, letting))
    cause = f"a rule in the firewall of {at.name} drops it: {_said(rule)}"
    table = "" if rule.table == "filter" else f"-t {rule.table} "
    # Words taken apart and put together again: nothing in a comment is for a shell.
    return Fault(code, cause, on(at, f"iptables {table}-D {rule.chain} {shlex.join(shlex.split(rule.text))}"))


def _said(rule: CountedRule) -> str:
    return f"iptables {sanitize(str(rule))} (it took {rule.packets} packet{'' if rule.packets == 1 else 's'})"


def _tables(at: Side, other: Side, seen: Sight, packets: Sequence[Packet], way: Way) -> Iterator[Step]:
    """Tables of nft that others made. Without a counter, a rule there is only what it may be."""
    yield from _firewalld(at, other, seen, packets, way)
    for packet in packets:
        for each in foreign_drops(*seen.rulesets, packet):
            fault = _in_table(at, other, each)
            if each.packets:
                yield bad(at, way, Check.NFT, fault)
            else:
                yield unsure(at, way, Check.NFT, f"{fault.cause}; it has no counter", fault)
            return


def _firewalld(at: Side, other: Side, seen: Sight, packets: Sequence[Packet], way: Way) -> Iterator[Step]:
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
                bad(at, way, Check.FIREWALLD, fault) if refused.sure else unsure(at, way, Check.FIREWALLD, told, fault)
            )
            return


def _by_firewalld(at: Side, other: Side, packet: Packet, chains: FirewalldRuleset, refused: Refused) -> Fault:
    cause = f"{at.name} refuses it in table {sanitize(str(refused))}"
    networks = [IPv4Network(other.host.underlay), *([other.host.prefix] if other.host.prefix else [])]
    if packet.hook == "FORWARD" and at.bridge:
        remedy = firewalld.remedy(chains, at.bridge, networks)
    else:
        rule = f"rule priority=-1 family=ipv4 source address={networks[-1]} protocol value=icmp accept"
        remedy = f"firewall-cmd --permanent --add-rich-rule={shlex.quote(rule)}; firewall-cmd --reload"
    return Fault(FaultCode.FIREWALLD_REFUSES, cause, on(at, remedy))


def _in_table(at: Side, other: Side, each: DropRule) -> Fault:
    where = shlex.join([*each.table.split(), each.chain])
    if not each.text or each.handle is None:
        source = other.host.prefix or other.host.underlay
        cause = f"the policy of chain {where} of nft on {at.name} drops it"
        return Fault(FaultCode.HOST_FIREWALL_DROP, cause, on(at, f"nft insert rule {where} ip saddr {source} accept"))
    cause = f"a rule in chain {where} of nft on {at.name} drops it: {sanitize(each.text)}"
    return Fault(FaultCode.HOST_FIREWALL_DROP, cause, on(at, f"nft delete rule {where} handle {each.handle}"))
