"""What a firewall does with many packets at once, and with those of which a rule says what is not understood."""

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
    with_chain,
    without_chain,
)
from dockmesh.core.netfilter.verdicts import PacketVerdicts, Reason, ReasonCode
from dockmesh.core.state.resources import Chain

ADDRESSES = {place: int(IPv4Address(f"10.128.{16 * place}.2")) for place in range(4)}
NEAR = int(IPv4Address("10.128.240.2"))
DOUBT = "-m u32 --u32 x "
INWARD = Flow(AddressBits(ADDRESSES), NEAR, inbound=True, in_interface="eth0", out_interface="docker0")
OUTWARD = Flow(AddressBits(ADDRESSES), NEAR, inbound=False, in_interface="docker0", out_interface="eth0")
ANSWER = replace(INWARD, reply=True)
TO_HOST = replace(INWARD, out_interface=None, local=True)

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
        ("-m mark --mark 0x1/0x1", INWARD, "????"),
        ("-m physdev --physdev-is-bridged", INWARD, "????"),
        ("-m limit --limit 3/sec", INWARD, "????"),
        ("-m socket", INWARD, "????"),
    ],
)
def test_a_rule_is_about_packets_not_about_them_or_perhaps(text: str, flow: Flow, what: str) -> None:
    rule = parse_rule(f"{text} -j DROP")
    taken = rule.takes(flow, flow.far.all) if rule else 0
    mark = "?" if rule and rule.uncertain else "+"
    assert "".join(mark if taken >> host & 1 else "-" for host in ADDRESSES) == what


def verdicts_of(chains: Chains, policy: str = "ACCEPT", flow: Flow = INWARD) -> PacketVerdicts:
    wall = IptablesRuleset({("filter", name): rules for name, rules in chains.items()}, {("filter", "FORWARD"): policy})
    sieve = PacketVerdicts(flow.far.all)
    filter_packets(wall, "FORWARD", flow, sieve, "host1")
    return sieve


def verdict_texts(found: PacketVerdicts) -> dict[int, str]:
    """By host: the rule that stops it, `?` before one that may."""
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
    # Only chains further down the alphabet are called: the kernel lets no chain lead back to itself.
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
def test_many_packets_at_once_fare_as_each_alone(drawn: Chains, policy: str) -> None:
    alone: dict[int, str] = {}
    for place, address in ADDRESSES.items():
        alone |= verdict_texts(verdicts_of(drawn, policy, replace(INWARD, far=AddressBits({place: address}))))
    assert verdict_texts(verdicts_of(drawn, policy)) == alone


@given(chains(doubts=False), POLICIES)
def test_where_every_rule_is_understood_there_is_no_doubt(drawn: Chains, policy: str) -> None:
    assert not verdicts_of(drawn, policy).uncertainties


@given(chains(doubts=True).filter(lambda drawn: "NFQUEUE" not in str(drawn)), POLICIES)
def test_what_is_said_for_sure_is_so_whatever_the_doubtful_rules_mean(drawn: Chains, policy: str) -> None:
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


def test_a_rule_that_may_send_back_leaves_what_follows_in_doubt() -> None:
    found = verdicts_of({"FORWARD": ("-j A", "-j ACCEPT"), "A": (f"{DOUBT}-j RETURN", "-s 10.128.0.0/20 -j DROP")})
    assert verdict_texts(found) == {0: "?-A A -s 10.128.0.0/20 -j DROP"}


def test_a_doubtful_rule_is_no_matter_where_both_its_meanings_come_to_the_same() -> None:
    assert verdict_texts(verdicts_of({"FORWARD": (f"{DOUBT}-j ACCEPT", "-j ACCEPT")}, "DROP")) == {}
    assert verdicts_of({"FORWARD": (f"{DOUBT}-j DROP", "-j DROP")}).blocked == INWARD.far.all


def test_the_policy_takes_what_the_rules_leave() -> None:
    found = verdicts_of({"FORWARD": ("-s 10.128.0.0/20 -j ACCEPT",)}, "DROP")
    ((hosts, why),) = found.blocks
    assert (hosts, why.code, rule(why)) == (0b1110, ReasonCode.FIREWALL_DROP, "-P FORWARD DROP")
    assert why.text.startswith("host1 ")


def test_chains_that_lead_to_each_other_end_in_doubt_and_not_in_a_loop() -> None:
    assert verdicts_of({"FORWARD": ("-j A",), "A": ("-j B",), "B": ("-j A",)}).uncertainties


def test_the_first_rule_of_nat_translates() -> None:
    rules = ("-s 10.128.240.0/20 -d 10.128.0.0/20 -j ACCEPT", "! -o docker0 -j MASQUERADE")
    wall = IptablesRuleset({("nat", "POSTROUTING"): rules})
    assert masqueraded_hosts(wall, OUTWARD, 0b1111) == (0b1110, 0)
    assert masqueraded_hosts(wall, OUTWARD, 0b0001) == (0, 0)


def test_a_chain_of_dockmeshs_comes_first_in_its_hook_and_goes_without_a_trace() -> None:
    bare = IptablesRuleset({("filter", "DOCKER-USER"): ("-j RETURN",)}, {("filter", "FORWARD"): "DROP"})
    chain = Chain("filter", "DOCKMESH-FORWARD", "DOCKER-USER", ("-j ACCEPT",))
    wall = with_chain(bare, chain, hooked=False)
    assert wall.chains["filter", "DOCKER-USER"] == ("-j DOCKMESH-FORWARD", "-j RETURN")
    assert without_chain(wall, chain) == bare
    behind = replace(wall, chains={**wall.chains, ("filter", "DOCKER-USER"): ("-j DROP", "-j DOCKMESH-FORWARD")})
    assert with_chain(behind, chain, hooked=True) == behind


def test_a_mask_with_a_gap_is_in_doubt_and_ends_no_plan() -> None:
    rule = parse_rule("-s 10.0.0.0/255.0.255.0 -j DROP")
    assert rule is not None
    assert (rule.target, rule.uncertain) == ("DROP", True)


def test_of_chains_that_call_each_other_without_end_nobody_can_say_and_soon() -> None:
    calling = {("filter", f"C{n}"): (f"-j C{n + 1}",) * 2 for n in range(40)}
    chains = {("filter", "FORWARD"): ("-j C0", "-j DROP"), **calling, ("filter", "C40"): ()}
    wall = IptablesRuleset(chains, {("filter", "FORWARD"): "ACCEPT"})
    sieve = PacketVerdicts(0b1111)
    filter_packets(wall, "FORWARD", INWARD, sieve, "host1")
    assert (sieve.blocked, sieve.uncertain) == (0, 0b1111)
