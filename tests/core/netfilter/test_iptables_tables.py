"""The verdicts of a firewall on many packets at once, also with matches that dockmesh does not evaluate."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.netfilter.flow import AddressBits, Flow
from dockmesh.core.netfilter.iptables_rules import parse_rule
from dockmesh.core.netfilter.iptables_tables import (
    IptablesRuleset,
    filter_packets,
    masqueraded_hosts,
    with_accept_rules,
)
from dockmesh.core.netfilter.verdicts import PacketVerdicts, Reason, ReasonCode

ADDRESSES = {place: int(IPv4Address(f"10.128.{16 * place}.2")) for place in range(4)}
NEAR = int(IPv4Address("10.128.240.2"))
DOUBT = "-m u32 --u32 x "
INWARD = Flow(AddressBits(ADDRESSES), NEAR, inbound=True, in_interface="eth0", out_interface="docker0")
OUTWARD = Flow(AddressBits(ADDRESSES), NEAR, inbound=False, in_interface="docker0", out_interface="eth0")
ANSWER = replace(INWARD, reply=True)
TO_HOST = replace(INWARD, out_interface=None, local=True)
# Packets of the hosts 0 and 1 have dockmesh's mark, and perhaps those of host 2.
MARKED = replace(INWARD, mark=0x1000, marked=0b0111, unmarked=0b1100)

Chains = Mapping[str, tuple[str, ...]]


@pytest.mark.parametrize(
    ("text", "flow", "what"),
    [
        ("", INWARD, "++++"),
        ("-s 10.128.0.0/20", INWARD, "+---"),
        ("! -s 10.128.0.0/20", INWARD, "-+++"),
        ("-d 10.128.0.0/20", INWARD, "----"),
        ("-d 10.128.240.0/20", INWARD, "++++"),
        ("! -d 10.128.240.0/20", INWARD, "----"),
        ("-d 10.128.0.0/19", OUTWARD, "++--"),
        ("-s 10.128.240.2/32 ! -d 10.128.0.0/20", OUTWARD, "-+++"),
        ("-i eth0 -o docker0", INWARD, "++++"),
        ("-i eth+", INWARD, "++++"),
        ("! -i docker0 -o docker0", INWARD, "++++"),
        ("! -i docker0", OUTWARD, "----"),
        ("-o docker0", TO_HOST, "----"),
        ("-p icmp", INWARD, "++++"),
        ("-p tcp -m tcp --dport 80", INWARD, "----"),
        ("! -p tcp", INWARD, "++++"),
        ("! -p icmp", INWARD, "----"),
        ("-p icmp -m icmp --icmp-type 8", INWARD, "++++"),
        ("-p icmp -m icmp --icmp-type 8", ANSWER, "----"),
        ("-p icmp -m icmp --icmp-type 0", ANSWER, "++++"),
        ("-p icmp -m icmp --icmp-type 3", INWARD, "----"),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", INWARD, "----"),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", ANSWER, "++++"),
        ("-m state --state NEW", INWARD, "++++"),
        ("-m conntrack ! --ctstate DNAT", INWARD, "++++"),
        ("-m addrtype --dst-type LOCAL", INWARD, "----"),
        ("-m addrtype --dst-type LOCAL", TO_HOST, "++++"),
        ("-m addrtype ! --dst-type LOCAL", TO_HOST, "----"),
        ("-m addrtype --dst-type MULTICAST", TO_HOST, "????"),
        ('-m comment --comment "-s 10.9.0.0/20 ! -j ACCEPT"', INWARD, "++++"),
        ("-s 10.128.0.0/20 -m set --match-set bad src", INWARD, "?---"),
        ("-m mark --mark 0x1000/0x1000", INWARD, "????"),
        ("-m mark --mark 0x1000/0x1000", MARKED, "++?-"),
        ("-m mark ! --mark 0x1000/0x1000", MARKED, "--?+"),
        ("-m mark --mark 0x0/0x1000", MARKED, "--?+"),
        ("-m mark ! --mark 0x0/0x1000", MARKED, "++?-"),
        ("-m mark --mark 0x0", MARKED, "--??"),
        ("-m mark --mark 0x3000/0x1000", MARKED, "----"),
        ("-m mark --mark odd", MARKED, "????"),
        ("-m mark --mark 0x1/0x1", MARKED, "????"),
        ("-m mark ! --mark 0x1/0x1", MARKED, "????"),
        ("-m mark --mark 0x1000", MARKED, "???-"),
        ("-m mark --mark 0x3000/0x3000", MARKED, "???-"),
        ("-m mark ! --mark 0x3000/0x3000", MARKED, "???+"),
        ("-m mark --mark 0x1", MARKED, "--??"),
        ("-s 10.128.0.0/20 -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh", MARKED, "+---"),
        ("-m connmark --mark 0x1000/0x1000", MARKED, "????"),
        ("-m mark --mark 0x1000/0x1000 -m connmark ! --mark 0x1000/0x1000", MARKED, "???-"),
        ("-m physdev --physdev-is-bridged", INWARD, "????"),
        ("-m limit --limit 3/sec", INWARD, "????"),
        ("-m socket", INWARD, "????"),
    ],
)
def test_a_rule_matches_packets_or_not_or_may_match(text: str, flow: Flow, what: str) -> None:
    rule = parse_rule(f"{text} -j DROP")
    possible, certain = rule.takes(flow, flow.far.all) if rule else (0, 0)
    assert not certain & ~possible
    assert "".join("-?+"[(possible >> host & 1) + (certain >> host & 1)] for host in ADDRESSES) == what


def verdicts_of(chains: Chains, policy: str = "ACCEPT", flow: Flow = INWARD) -> PacketVerdicts:
    wall = IptablesRuleset({("filter", name): rules for name, rules in chains.items()}, {("filter", "FORWARD"): policy})
    sieve = PacketVerdicts(flow.far.all)
    filter_packets(wall, "FORWARD", flow, sieve, "host1")
    return sieve


def verdict_texts(found: PacketVerdicts) -> dict[int, str]:
    """The rule that drops the packet, by host; `?` marks a rule that may."""
    assert {why.code for _hosts, why in (*found.blocks, *found.uncertainties)} <= {ReasonCode.FIREWALL_DROP}
    sure = {host: rule(why) for hosts, why in found.blocks for host in ADDRESSES if hosts >> host & 1}
    doubts = [(f"?{rule(why)}", hosts) for hosts, why in reversed(found.uncertainties)]
    return {host: why for why, hosts in doubts for host in ADDRESSES if hosts >> host & 1} | sure


def rule(why: Reason) -> str:
    """The rule that a reason quotes."""
    return why.text.partition("iptables ")[2]


_NETWORKS = st.sampled_from(["", "-s 10.128.0.0/20 ", "! -s 10.128.16.0/20 ", "-s 10.128.0.0/18 ", "-d 10.128.0.0/20 "])
_TARGETS = st.sampled_from(["ACCEPT", "DROP", "REJECT", "RETURN", "A", "B", "LOG", "NFQUEUE"])


def _rules(*, doubts: bool, below: str) -> st.SearchStrategy[tuple[str, ...]]:
    doubtful = st.sampled_from(["", DOUBT]) if doubts else st.just("")
    # Only later chains of the alphabet are called, since the kernel permits no loops.
    targets = _TARGETS.filter(lambda target: len(target) > 1 or target > below)
    targets = targets.filter(lambda target: doubts or target != "NFQUEUE")
    rule = st.builds(
        lambda net, doubt, how, to: f"{net}{doubt}{how if len(to) == 1 else '-j'} {to}",
        _NETWORKS,
        doubtful,
        st.sampled_from(["-j", "-j", "-g"]),
        targets,
    )
    return st.lists(rule, max_size=5).map(tuple)


def chains(*, doubts: bool) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    below = {"FORWARD": "@", "A": "A", "B": "B"}
    return st.fixed_dictionaries({name: _rules(doubts=doubts, below=each) for name, each in below.items()})


POLICIES = st.sampled_from(["ACCEPT", "DROP"])


@given(chains(doubts=True), POLICIES)
def test_many_packets_get_the_same_verdicts_as_each_alone(drawn: Chains, policy: str) -> None:
    alone: dict[int, str] = {}
    for place, address in ADDRESSES.items():
        alone |= verdict_texts(verdicts_of(drawn, policy, replace(INWARD, far=AddressBits({place: address}))))
    assert verdict_texts(verdicts_of(drawn, policy)) == alone


@given(chains(doubts=False), POLICIES)
def test_without_unknown_matches_nothing_is_uncertain(drawn: Chains, policy: str) -> None:
    assert not verdicts_of(drawn, policy).uncertainties


@given(chains(doubts=True).filter(lambda drawn: "NFQUEUE" not in str(drawn)), POLICIES)
def test_certain_verdicts_hold_for_every_meaning_of_unknown_rules(drawn: Chains, policy: str) -> None:
    doubtful = [(name, at) for name, lines in drawn.items() for at, line in enumerate(lines) if DOUBT in line]
    said = verdict_texts(verdicts_of(drawn, policy))
    sure = {host for host, what in said.items() if not what.startswith("?")}
    for meaning in list(product((True, False), repeat=len(doubtful)))[:32]:
        about = dict(zip(doubtful, meaning, strict=True))
        meant = {
            name: tuple(line.replace(DOUBT, "") for at, line in enumerate(lines) if about.get((name, at), True))
            for name, lines in drawn.items()
        }
        assert sure <= verdict_texts(verdicts_of(meant, policy)).keys() <= said.keys()


def test_an_uncertain_return_makes_later_rules_uncertain() -> None:
    found = verdicts_of({"FORWARD": ("-j A", "-j ACCEPT"), "A": (f"{DOUBT}-j RETURN", "-s 10.128.0.0/20 -j DROP")})
    assert verdict_texts(found) == {0: "?-A A -s 10.128.0.0/20 -j DROP"}


def test_an_uncertain_rule_without_effect_is_ignored() -> None:
    assert verdict_texts(verdicts_of({"FORWARD": (f"{DOUBT}-j ACCEPT", "-j ACCEPT")}, "DROP")) == {}
    assert verdicts_of({"FORWARD": (f"{DOUBT}-j DROP", "-j DROP")}).blocked == INWARD.far.all


def test_the_policy_applies_to_the_remaining_packets() -> None:
    found = verdicts_of({"FORWARD": ("-s 10.128.0.0/20 -j ACCEPT",)}, "DROP")
    ((hosts, why),) = found.blocks
    assert (hosts, why.code, rule(why)) == (0b1110, ReasonCode.FIREWALL_DROP, "-P FORWARD DROP")
    assert why.text.startswith("host1 ")


def test_a_loop_of_chains_is_uncertain() -> None:
    assert verdicts_of({"FORWARD": ("-j A",), "A": ("-j B",), "B": ("-j A",)}).uncertainties


def test_the_first_matching_nat_rule_translates() -> None:
    rules = ("-s 10.128.240.0/20 -d 10.128.0.0/20 -j ACCEPT", "! -o docker0 -j MASQUERADE")
    wall = IptablesRuleset({("nat", "POSTROUTING"): rules})
    assert masqueraded_hosts(wall, OUTWARD, 0b1111) == (0b1110, 0)
    assert masqueraded_hosts(wall, OUTWARD, 0b0001) == (0, 0)


PLACE = ("filter", "DOCKER-USER")
ACCEPT = "-d 10.128.240.0/20 -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
OLD = ACCEPT.replace("0x1000", "0x2000")
FOREIGN = '-m comment --comment "dockmesh of others" -j DROP'


@pytest.mark.parametrize(
    ("present", "wanted", "after"),
    [
        ((), (ACCEPT,), (ACCEPT,)),
        ((FOREIGN,), (ACCEPT,), (ACCEPT, FOREIGN)),
        ((FOREIGN, ACCEPT), (ACCEPT,), (ACCEPT, FOREIGN)),
        ((FOREIGN, ACCEPT, ACCEPT), (ACCEPT,), (ACCEPT, FOREIGN)),
        ((OLD, FOREIGN), (ACCEPT,), (ACCEPT, FOREIGN)),
        ((FOREIGN, ACCEPT), (OLD, ACCEPT), (OLD, ACCEPT, FOREIGN)),
        ((ACCEPT, FOREIGN), (), (FOREIGN,)),
    ],
)
def test_own_rules_come_first(present: tuple[str, ...], wanted: tuple[str, ...], after: tuple[str, ...]) -> None:
    wall = IptablesRuleset({PLACE: present, ("raw", "PREROUTING"): (OLD,)}, {("filter", "FORWARD"): "DROP"})
    changed = with_accept_rules(wall, PLACE, wanted)
    assert changed == replace(wall, chains={**wall.chains, PLACE: after})


def test_a_rule_on_the_mark_drops_only_packets_without_it() -> None:
    found = verdicts_of({"FORWARD": ("-m mark --mark 0x1000/0x1000 -j ACCEPT",)}, "DROP", MARKED)
    assert verdict_texts(found) == {2: "?-P FORWARD DROP", 3: "-P FORWARD DROP"}
    found = verdicts_of({"FORWARD": ("-m mark ! --mark 0x1000/0x1000 -j DROP", "-j DROP")}, "ACCEPT", MARKED)
    assert found.blocked == MARKED.far.all, "a packet is dropped with and without the mark"


def test_a_non_contiguous_mask_is_uncertain() -> None:
    rule = parse_rule("-s 10.0.0.0/255.0.255.0 -j DROP")
    assert rule is not None
    assert (rule.target, rule.uncertain) == ("DROP", True)


def test_exponential_chains_are_uncertain_after_a_limit() -> None:
    calling = {("filter", f"C{n}"): (f"-j C{n + 1}",) * 2 for n in range(40)}
    chains = {("filter", "FORWARD"): ("-j C0", "-j DROP"), **calling, ("filter", "C40"): ()}
    wall = IptablesRuleset(chains, {("filter", "FORWARD"): "ACCEPT"})
    sieve = PacketVerdicts(0b1111)
    filter_packets(wall, "FORWARD", INWARD, sieve, "host1")
    assert (sieve.blocked, sieve.uncertain) == (0, 0b1111)
