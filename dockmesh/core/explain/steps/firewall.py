"""Steps at a host's firewall: the rules that dropped the probe.

Only a rule that certainly dropped it is a fault. Rules that dropped either it or other traffic are a possible cause.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from dockmesh.core.explain.evidence import (
    HostEvidence,
    apply_command,
    failed,
    missing_peer,
    not_joined,
    on_host,
    passed,
    unknown,
)
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Fault, Step
from dockmesh.core.explain.own_rules import accepts, is_own, with_mark
from dockmesh.core.explain.script import COUNT
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.explain.steps import docker_nftables
from dockmesh.core.facts.iproute import PeerRoute as Decision
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter import firewalld
from dockmesh.core.netfilter.counters import CountedRule, Packet, in_chain, refusing
from dockmesh.core.netfilter.nft_matcher import NftDrop, NftRuleset
from dockmesh.core.netfilter.nft_ruleset import OWN, DropRule, foreign_drops


def sending(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Iterator[Step]:
    """Check that the firewall of the sending host drops nothing."""
    drops = _dropping_rules(seen, packets)
    if drops:
        yield failed(at, direction, Check.FIREWALL, _foreign_rule(at, other, drops[0]))
    elif suspects := _suspects(seen, packets):
        yield unknown(at, direction, Check.FIREWALL, *_suspicion(at, other, suspects, sends=True, direction=direction))
    else:
        yield passed(at, direction, Check.FIREWALL, "drops no outgoing packet")
    yield from _foreign_tables(at, other, seen, packets, direction)


def receiving(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Iterator[Step]:
    """Check the firewall of the receiving host: dockmesh's marks first, then table raw, then filter."""
    yield from _marks(at, other, seen, direction)
    if fault := _raw(at, other, seen, packets, direction):
        yield failed(at, direction, Check.RAW, fault)
    else:
        yield passed(at, direction, Check.RAW, "drops nothing")
    yield from _filter(at, other, seen, packets, direction)
    yield from _foreign_tables(at, other, seen, packets, direction)
    if suspects := _suspects(seen, packets):
        yield unknown(at, direction, Check.FIREWALL, *_suspicion(at, other, suspects, sends=False, direction=direction))


def _dropping_rules(seen: HostSnapshot, packets: Sequence[Packet]) -> list[CountedRule]:
    return list(dict.fromkeys(rule for rule, sure in _refusing(seen, packets) if sure))


def _refusing(seen: HostSnapshot, packets: Sequence[Packet]) -> Iterator[tuple[CountedRule, bool]]:
    for packet in packets:
        yield from refusing(seen.rules, packet, COUNT)


def _suspects(seen: HostSnapshot, packets: Sequence[Packet]) -> list[str]:
    """The rules that may have dropped the probe, on a host that could not trace it."""
    names = [_rule_text(rule) for rule, sure in _refusing(seen, packets) if not sure]
    if seen.trace is None:
        foreign = (each for packet in packets for each in foreign_drops(seen.rulesets, packet, COUNT, None))
        names += [f"nft {each.table} {each.chain} {sanitize(each.text) or 'policy drop'}" for each in foreign]
    return list(dict.fromkeys(names))


def _suspicion(
    at: HostEvidence, other: HostEvidence, names: Sequence[str], *, sends: bool, direction: Direction
) -> tuple[str, Fault]:
    cause = (
        f"the firewall of {at.name} may drop the probe. It cannot trace packets, and these rules may have dropped "
        f"other traffic: {'; '.join(names)}"
    )
    source, target = (at, other) if sends is (direction == "there") else (other, at)
    remedy = f"dockmesh trace {source.endpoint} {target.endpoint}"
    return cause, Fault(FaultCode.HOST_FIREWALL_DROP, cause, remedy)


def _before_filter(rule: CountedRule) -> bool:
    return rule.table == "raw" or rule.chain == "PREROUTING"


def _marks(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that dockmesh's table marks packets from the other host.

    Docker accepts replies, so a missing mark blocks only requests, and only those to containers.
    """
    if at.host.prefix is None:
        return
    if fault := _marks_fault(at, other, seen):
        yield failed(at, direction, Check.MARKS, _blocking(at, direction, fault))
    else:
        yield passed(at, direction, Check.MARKS, f"table {OWN} accepts {other.name}")


def _blocking(at: HostEvidence, direction: Direction, fault: Fault) -> Fault:
    return replace(fault, blocks=at.pid > 0 and direction == "there")


def _marks_fault(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> Fault | None:
    if not at.joined:
        return not_joined(at)
    if seen.own_table is not None and (fault := missing_peer(at, other, seen)):
        return fault
    if _marks_peer(at, other, seen):
        return None
    state = "was changed and does not mark" if seen.own_table else "was deleted and cannot mark"
    cause = f"table {OWN} of {at.name} {state} packets from {other.name}"
    return Fault(FaultCode.MARKS_MISSING, cause, apply_command(at))


def _marks_peer(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> bool:
    """Whether the table marks packets from the other host to containers, on the uplink or on the route back."""
    back = seen.route_out.device if isinstance(seen.route_out, Decision) else None
    near = at.host.prefix[1] if at.host.prefix else at.address
    packets = (Packet(other.host.underlay, near, device, DOCKER_BRIDGE) for device in (at.uplink, back) if device)
    return any(with_mark(packet, seen.own_table).marked for packet in packets)


def _raw(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Fault | None:
    # Docker's drop is certain for requests. A reply to a masqueraded container arrives at the host's address.
    unaccepted = _unaccepted_drop(at, seen) if direction == "there" else None
    dropped = unaccepted or next((rule for rule in _dropping_rules(seen, packets) if _before_filter(rule)), None)
    if dropped is None:
        return docker_nftables.dropped_in_raw(at, seen, packets)
    if not dropped.dockers:
        return _foreign_rule(at, other, dropped, FaultCode.RAW_DROP)
    if fault := _marks_fault(at, other, seen):
        return fault
    cause = (
        f"raw PREROUTING of {at.name} has no rule of dockmesh before a rule of Docker, which drops the probe: "
        f"{_rule_text(dropped)}"
    )
    return Fault(FaultCode.RAW_ACCEPTS_MISSING, cause, apply_command(at))


def _unaccepted_drop(at: HostEvidence, seen: HostSnapshot) -> CountedRule | None:
    """Docker's rule that drops packets to this container, if dockmesh's accept rule is missing or comes after it."""
    for rule in in_chain(seen.rules, "raw", "PREROUTING") if at.pid else ():
        if is_own(rule):
            return None
        if rule.dockers and rule.text.startswith(f"-d {at.address}/32 "):
            return rule
    return None


def _filter(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Iterator[Step]:
    if fault := _filtered(at, other, seen, packets, direction):
        yield failed(at, direction, Check.FILTER, fault)
    else:
        yield passed(at, direction, Check.FILTER, "drops nothing")


def _filtered(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Fault | None:
    drops = [rule for rule in _dropping_rules(seen, packets) if not _before_filter(rule)]
    foreign = [rule for rule in drops if seen.docker_uses_nftables or not rule.dockers]
    if foreign:
        return _foreign_rule(at, other, foreign[0])
    if fault := _flushed(at, seen):
        return _blocking(at, direction, fault)
    return _docker_rule(at, seen, drops[0]) if drops else docker_nftables.dropped_in_forward(at, seen, packets)


def _flushed(at: HostEvidence, seen: HostSnapshot) -> Fault | None:
    """The fault if dockmesh's rule that accepts its mark is missing."""
    prefix, docker = at.host.prefix, at.host.docker
    # Neither Docker's nftables backend nor a host without iptables has such a rule.
    if prefix is None or not seen.rules or seen.docker_uses_nftables:
        return None
    hook, matches = ("DOCKER-USER", (f"-d {prefix}",)) if docker else ("FORWARD", (f"-d {prefix}", f"-s {prefix}"))
    if accepts(seen.rules, "filter", hook, *matches):
        return None
    if not at.joined:
        return not_joined(at)
    cause = f"{hook} of {at.name} has no rule of dockmesh, which accepts peers, because it was flushed"
    return Fault(FaultCode.DOCKER_USER_FLUSHED if docker else FaultCode.FORWARD_FLUSHED, cause, apply_command(at))


def _docker_rule(at: HostEvidence, seen: HostSnapshot, rule: CountedRule) -> Fault:
    if at.host.docker and not any(each.target == "DOCKER-USER" for each in in_chain(seen.rules, "filter", "FORWARD")):
        cause = (
            f"FORWARD of {at.name} does not call DOCKER-USER, because rules of Docker were removed, so the probe is "
            f"dropped: {_rule_text(rule)}"
        )
        return Fault(FaultCode.DOCKER_RULES_MISSING, cause, on_host(at, "systemctl restart docker"))
    cause = f"dockmesh's rules on {at.name} do not accept the probe, so a rule of Docker drops it: {_rule_text(rule)}"
    return Fault(FaultCode.NOT_ACCEPTED, cause, apply_command(at))


def _foreign_rule(
    at: HostEvidence, other: HostEvidence, rule: CountedRule, code: FaultCode = FaultCode.HOST_FIREWALL_DROP
) -> Fault:
    if not rule.text:
        cause = f"the firewall policy of {at.name} drops the probe: {_rule_text(rule)}"
        source = other.host.prefix or other.host.underlay
        accept = f"iptables -t {rule.table} -I {rule.chain} -s {source} -j ACCEPT"
        return Fault(code, cause, on_host(at, accept))
    cause = f"a firewall rule of {at.name} drops the probe: {_rule_text(rule)}"
    table = "" if rule.table == "filter" else f"-t {rule.table} "
    # Split and join quotes every word, so that a rule's comment cannot run as a command.
    return Fault(code, cause, on_host(at, f"iptables {table}-D {rule.chain} {shlex.join(shlex.split(rule.text))}"))


def _rule_text(rule: CountedRule) -> str:
    return f"iptables {sanitize(str(rule))} (it counted {rule.packets} packet{'' if rule.packets == 1 else 's'})"


def _foreign_tables(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Iterator[Step]:
    """Check foreign nft tables."""
    yield from _firewalld(at, other, seen, packets, direction)
    if seen.trace is not None:
        drops = (each for packet in packets for each in foreign_drops(seen.rulesets, packet, COUNT, seen.trace))
        if first := next(drops, None):
            yield failed(at, direction, Check.NFT, _nft_fault(at, other, first))


def _firewalld(
    at: HostEvidence, other: HostEvidence, seen: HostSnapshot, packets: Sequence[Packet], direction: Direction
) -> Iterator[Step]:
    """Evaluate the rules of firewalld, because they have no counters. A trace shows whether it dropped a packet."""
    dropped = {(rule.table, rule.reply) for rule in seen.trace.dropped} if seen.trace else None
    if dropped is not None and (firewalld.TABLE, direction == "back") not in dropped:
        return
    chains = firewalld.parse_ruleset(seen.rulesets[1].lines())
    for packet in packets:
        for rejection in firewalld.rejections(chains, packet.hook, packet.flow, packet.flow.far.all):
            fault = _firewalld_fault(at, other, packet, chains, rejection)
            possible = f"possible cause: {fault.cause}"
            yield (
                failed(at, direction, Check.FIREWALLD, fault)
                if rejection.sure or dropped is not None
                else unknown(at, direction, Check.FIREWALLD, possible, fault)
            )
            return


def _firewalld_fault(
    at: HostEvidence, other: HostEvidence, packet: Packet, chains: NftRuleset, rejection: NftDrop
) -> Fault:
    cause = f"firewalld of {at.name} rejects the probe in table {sanitize(str(rejection))}"
    networks = [IPv4Network(other.host.underlay), *([other.host.prefix] if other.host.prefix else [])]
    if packet.hook == "FORWARD" and at.bridge:
        remedy = firewalld.remedy(chains, at.bridge, networks)
    else:
        rule = f"rule priority=-1 family=ipv4 source address={networks[-1]} protocol value=icmp accept"
        remedy = f"firewall-cmd --permanent --add-rich-rule={shlex.quote(rule)}; firewall-cmd --reload"
    return Fault(FaultCode.FIREWALLD_REFUSES, cause, on_host(at, remedy))


def _nft_fault(at: HostEvidence, other: HostEvidence, each: DropRule) -> Fault:
    where = shlex.join([*each.table.split(), each.chain])
    if not each.text or each.handle is None:
        source = other.host.prefix or other.host.underlay
        cause = f"the policy of nft chain {where} on {at.name} drops the probe"
        return Fault(
            FaultCode.HOST_FIREWALL_DROP, cause, on_host(at, f"nft insert rule {where} ip saddr {source} accept")
        )
    cause = f"a rule in nft chain {where} on {at.name} drops the probe: {sanitize(each.text)}"
    return Fault(FaultCode.HOST_FIREWALL_DROP, cause, on_host(at, f"nft delete rule {where} handle {each.handle}"))
