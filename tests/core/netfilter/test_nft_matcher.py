"""The effect of a table of nft on many pings at once: verdicts, marks and source addresses."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.addresses import IPV4
from dockmesh.core.netfilter.flow import AddressBits, Flow
from dockmesh.core.netfilter.nft_matcher import (
    Hook,
    NftDrop,
    NftRuleset,
    apply_hook,
    kept_sources,
    own_ruleset,
    table_ruleset,
)
from dockmesh.core.state.nft_table import parse_table

# Hosts 0 and 1 are peers behind eth0, host 2 is a peer behind eth1, and host 3 is a stranger.
ADDRESSES = {place: int(IPv4Address(f"10.128.{16 * place}.2")) for place in range(4)}
NEAR = int(IPv4Address("10.128.240.2"))
PREFIX = "10.128.240.0/20"
BIT = 0x1000
INWARD = Flow(AddressBits(ADDRESSES), NEAR, inbound=True, in_interface="eth0", out_interface="docker0", mark=BIT)
OUTWARD = Flow(AddressBits(ADDRESSES), NEAR, inbound=False, in_interface="docker0", out_interface="eth0", mark=BIT)
REPLY = replace(INWARD, reply=True)
ALL = INWARD.far.all
MARK = "meta mark set meta mark | 0x00001000"
CLEAR = "meta mark set meta mark & 0xffffefff"
FROM1, FROM2 = 'iifname "eth0" ip saddr @peers1', 'iifname "eth1" ip saddr @peers2'
SETS = """
\tset peers1 {
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = { 10.128.0.0/20,
\t\t\t     10.128.16.0/20, 192.168.18.128 }
\t}

\tset peers2 {
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = { 10.128.32.0/20 }
\t}
"""
ALLOWED = (f"meta l4proto icmp {MARK} accept", f"ct state established,related {MARK} accept", "counter drop")


def own_table(**chains: tuple[str, ...]) -> NftRuleset:
    """dockmesh's table with rules in the chains inbound, forward, source and others, as nft lists it."""
    heads = {
        "inbound": "type filter hook prerouting priority raw - 10; policy accept;",
        "forward": "type filter hook forward priority filter - 1; policy accept;",
        "source": "type nat hook postrouting priority srcnat - 1; policy accept;",
    }
    blocks = "".join(
        f"\n\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in (heads.get(name, ""), *rules) if line) + "\t}\n"
        for name, rules in chains.items()
    )
    return own_ruleset(parse_table(f"table ip dockmesh {{{SETS}{blocks}}}".splitlines(), IPV4))


def marks(flow: Flow) -> str:
    """For each host, whether its ping has the mark (+), lacks it (-), may have it (?), or does not pass (blank)."""
    return "".join(" -+?"[(flow.unmarked >> host & 1) + 2 * (flow.marked >> host & 1)] for host in ADDRESSES)


def passed(table: NftRuleset, hook: Hook, flow: Flow) -> tuple[str, dict[str, bool]]:
    """The marks after a hook, and the rules that drop pings, each with whether this is certain."""
    after, drops = apply_hook(table, hook, flow, ALL)
    return marks(after), {str(each): each.sure for each in drops}


INBOUND = (CLEAR, *(f"{each} ip daddr {PREFIX} {MARK}" for each in (FROM1, FROM2)))


def test_only_peers_on_their_uplink_get_the_mark() -> None:
    table = own_table(inbound=INBOUND)
    all_marked = replace(INWARD, marked=ALL, unmarked=0)
    assert passed(table, "PREROUTING", all_marked) == ("++--", {}), "a mark from elsewhere is cleared"
    assert passed(table, "PREROUTING", replace(INWARD, in_interface="eth1"))[0] == "--+-"
    assert passed(table, "PREROUTING", replace(INWARD, in_interface="docker0"))[0] == "----"
    assert passed(table, "PREROUTING", replace(INWARD, near=1))[0] == "----", "another destination"
    assert passed(table, "FORWARD", all_marked) == ("++++", {}), "a hook without chain changes nothing"


ACCEPTS = (f"ip daddr != {PREFIX} accept", "ct status dnat accept")
AGAIN = tuple(f"{each} {MARK} accept" for each in (FROM1, FROM2))
CLOSED = ("ct state established,related accept", f"ip saddr != {PREFIX} counter drop")
DROPS = {f"ip dockmesh forward: ip saddr != {PREFIX} counter drop": True}


@pytest.mark.parametrize(
    ("chains", "flow", "expected", "drops"),
    [
        ({"forward": (*ACCEPTS, *AGAIN)}, INWARD, "++--", {}),
        ({"forward": (*ACCEPTS, *AGAIN)}, OUTWARD, "----", {}),
        ({"forward": (*ACCEPTS, *AGAIN, *CLOSED)}, INWARD, "++  ", DROPS),
        ({"forward": (*ACCEPTS, *AGAIN, *CLOSED)}, REPLY, "++--", {}),
        ({"forward": (*ACCEPTS, *AGAIN, *CLOSED)}, OUTWARD, "----", {}),
        ({"forward": (*ACCEPTS, f"{FROM1} goto allowed"), "allowed": ALLOWED}, INWARD, "++--", {}),
        (
            {"forward": (*ACCEPTS, f"{FROM1} goto allowed"), "allowed": ALLOWED[1:]},
            INWARD,
            "  --",
            {"ip dockmesh allowed: counter drop": True},
        ),
        ({"forward": (*ACCEPTS, f"{FROM1} goto allowed"), "allowed": ALLOWED[1:]}, REPLY, "++--", {}),
        (
            {"forward": (f'ip saddr {PREFIX} oifname "eth0" ip daddr @peers1 {MARK}', *ACCEPTS)},
            OUTWARD,
            "++--",
            {},
        ),
    ],
)
def test_forward_marks_again_and_drops(
    chains: Mapping[str, tuple[str, ...]], flow: Flow, expected: str, drops: Mapping[str, bool]
) -> None:
    assert passed(own_table(**chains), "FORWARD", flow) == (expected, drops)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("meta mark set 0x00001001",), "++++"),
        (("meta mark set 0x00000001",), "----"),
        (("meta mark set meta mark | 0x00000001",), "++--"),
        (("meta mark set meta mark & 0x0000f000",), "++--"),
        (("meta mark set meta mark ^ 0x00001000",), "--++"),
        (("meta mark set ct mark",), "????"),
        (("meta mark set meta mark & 0x0000ffff | 0x00001000",), "????"),
        ((f"meta cgroup 7 {MARK}",), "++??"),
        ((f"ip saddr 10.128.32.0/20 {CLEAR}", f"ip saddr 10.128.48.2 {MARK} return", CLEAR), "---+"),
        (("ip saddr != @peers1 jump other", CLEAR), "----"),
        (("ip saddr != @peers1 goto other", CLEAR), "--++"),
        ((f"ip saddr @unknown {MARK} accept", CLEAR), "????"),
        (("ip saddr { 10.128.0.0/20, 10.128.32.0/20 } accept", CLEAR), "+---"),
        (('iifname { "eth1", "eth*" } accept', CLEAR), "++--"),
        (("ct state != established accept", CLEAR), "++--"),
    ],
)
def test_a_statement_sets_clears_or_keeps_the_mark(rules: tuple[str, ...], expected: str) -> None:
    table = own_table(inbound=rules, other=(MARK,))
    flow = replace(INWARD, marked=0b0011, unmarked=0b1100)
    assert passed(table, "PREROUTING", flow)[0] == expected


def test_without_a_known_bit_marks_do_not_change() -> None:
    flow = replace(INWARD, mark=0)
    assert passed(own_table(inbound=INBOUND), "PREROUTING", flow) == ("----", {})


def test_a_policy_drops_the_rest() -> None:
    table = table_ruleset(
        "inet other",
        ("chain in {", "type filter hook input priority 0; policy drop;", "ip saddr 10.128.0.0/20 accept", "}"),
    )
    _, drops = apply_hook(table, "INPUT", INWARD, ALL)
    assert drops == (NftDrop(0b1110, "inet other", "in", "type filter hook input priority 0; policy drop;", True),)


SNAT = f"ip saddr {PREFIX} ip daddr @{{}} snat to ip saddr"


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ((SNAT.format("peers1"), SNAT.format("peers2")), (0b0111, 0)),
        ((SNAT.format("peers2"),), (0b0100, 0)),
        ((SNAT.format("peers1").replace(PREFIX, "10.9.0.0/16"),), (0, 0)),
        ((f"meta cgroup 7 {SNAT.format('peers1')}",), (0, 0b0011)),
        ((), (0, 0)),
    ],
)
def test_a_source_nat_to_the_same_address_keeps_the_source(rules: tuple[str, ...], kept: tuple[int, int]) -> None:
    assert kept_sources(own_table(source=rules), replace(OUTWARD, in_interface=None), ALL) == kept


@pytest.mark.parametrize(
    ("elements", "expected"), [("10.128.0.0/20", "+---"), ("10.128.0.0/20 timeout 1h", "????"), ("", "----")]
)
def test_a_set_that_is_not_understood_is_uncertain(elements: str, expected: str) -> None:
    lines = (
        "set known {",
        "type ipv4_addr",
        "flags interval,timeout",
        *([f"elements = {{ {elements} }}"] if elements else []),
        "}",
        "chain in {",
        "type filter hook prerouting priority -310; policy accept;",
        f"ip saddr @known {MARK}",
        "}",
    )
    assert passed(table_ruleset("ip dockmesh", lines), "PREROUTING", INWARD)[0] == expected
    listed = ("table ip dockmesh {", *lines, "}")
    assert passed(own_ruleset(parse_table(listed, IPV4)), "PREROUTING", INWARD)[0] == expected


# --- laws -------------------------------------------------------------------------------------------------------------

DOUBT = "meta cgroup 7 "
_MATCHES = st.sampled_from(
    [
        "",
        "ip saddr 10.128.0.0/20 ",
        "ip saddr != @peers1 ",
        "ip saddr @peers2 ",
        'iifname "eth0" ',
        "ip daddr 10.9.0.0/16 ",
    ]
)
_MARKS = st.sampled_from(["", f"{MARK} ", f"{CLEAR} ", "meta mark set meta mark ^ 0x00001000 "])


def _rules(*, doubts: bool, below: str) -> st.SearchStrategy[tuple[str, ...]]:
    called = [f"{how} {chain}" for how in ("jump", "goto") for chain in "ab" if chain > below]
    rule = st.builds(
        lambda match, doubt, mark, verdict: f"{match}{doubt}{mark}{verdict}".strip(),
        _MATCHES,
        st.sampled_from(["", DOUBT]) if doubts else st.just(""),
        _MARKS,
        st.sampled_from(["", "accept", "drop", "return", *called]),
    )
    return st.lists(rule.filter(bool), max_size=5).map(tuple)


def chains(*, doubts: bool) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    return st.fixed_dictionaries(
        {name: _rules(doubts=doubts, below=below) for name, below in (("forward", "@"), ("a", "a"), ("b", "b"))}
    )


Chains = Mapping[str, tuple[str, ...]]


def outcomes(drawn: Chains, flow: Flow = INWARD) -> dict[int, set[str]]:
    """By host, everything that may happen to its ping: it is dropped, or passes with or without the mark."""
    after, drops = apply_hook(own_table(**drawn), "FORWARD", flow, flow.far.all)
    found: dict[int, set[str]] = {}
    for what, hosts in (
        ("marked", after.marked),
        ("unmarked", after.unmarked),
        *(("dropped", each.hosts) for each in drops),
    ):
        for host in ADDRESSES:
            if hosts >> host & 1:
                found.setdefault(host, set()).add(what)
    return found


@given(chains(doubts=True))
def test_many_pings_have_the_same_outcomes_as_each_alone(drawn: Chains) -> None:
    alone: dict[int, set[str]] = {}
    for place, address in ADDRESSES.items():
        alone |= outcomes(drawn, replace(INWARD, far=AddressBits({place: address})))
    assert outcomes(drawn) == alone


@given(chains(doubts=False))
def test_without_unknown_matches_each_ping_has_one_outcome(drawn: Chains) -> None:
    assert {len(each) for each in outcomes(drawn).values()} == {1}


@given(chains(doubts=True))
def test_outcomes_include_those_of_every_meaning_of_unknown_rules(drawn: Chains) -> None:
    doubtful = [(name, at) for name, lines in drawn.items() for at, line in enumerate(lines) if DOUBT.strip() in line]
    said = outcomes(drawn)
    for meaning in list(product((True, False), repeat=len(doubtful)))[:16]:
        about = dict(zip(doubtful, meaning, strict=True))
        meant = {
            name: tuple(
                line.replace(DOUBT, "").replace(DOUBT.strip(), "counter")
                for at, line in enumerate(lines)
                if about.get((name, at), True)
            )
            for name, lines in drawn.items()
        }
        assert all(each <= said[host] for host, each in outcomes(meant).items())


def test_all_base_chains_of_a_hook_share_the_limit_of_steps() -> None:
    """So that the time for a hostile table does not grow with the product of its base chains and their rules."""
    base = ("type filter hook forward priority 0; policy accept;",)
    doubling = {f"c{depth}": (f"jump c{depth + 1}",) * 2 for depth in range(30)}
    table = own_table(first=(*base, "jump c0"), second=(*base, "counter drop"), **doubling)
    marked, drops = passed(table, "FORWARD", INWARD)
    assert marked == "----"
    assert drops["ip dockmesh second: too many rules"] is False
    assert "ip dockmesh second: counter drop" not in drops
