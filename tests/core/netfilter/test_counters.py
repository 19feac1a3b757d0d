"""Firewall rules that drop a packet of the probe, by their counters."""

from collections import Counter
from ipaddress import IPv4Address

import pytest

from dockmesh.core.host_output import Section
from dockmesh.core.netfilter.counters import Packet, counted, refusing
from dockmesh.core.netfilter.nft_ruleset import foreign_drops
from dockmesh.core.netfilter.nft_trace import ProbeTrace, TracedRule
from dockmesh.errors import HostError

FORWARDED = Packet(IPv4Address("10.128.0.2"), IPv4Address("10.128.32.2"), "eth0", "docker0")
REPLY = Packet(IPv4Address("10.128.0.2"), IPv4Address("10.128.32.2"), "eth0", "docker0", reply=True)
OWN = Packet(IPv4Address("10.128.0.2"), IPv4Address("192.168.18.131"), "eth0", None)


def is_dropped(rule: str, packet: Packet = FORWARDED) -> bool:
    return bool(dropping(f"*filter\n:FORWARD ACCEPT [0:0]\n[3:252] {rule}\nCOMMIT", packet))


def dropping(after: str, packet: Packet = FORWARDED, *, before: str = "") -> dict[str, bool]:
    """The rules that may have dropped three probes, each with whether it is certain."""
    found = counted(Section(0, before), Section(0, after))
    return {str(rule): sure for rule, sure in refusing(found, packet, 3)}


@pytest.mark.parametrize(
    ("rule", "drops"),
    [
        ("-A FORWARD -j DROP", True),
        ("-A FORWARD -j REJECT --reject-with icmp-port-unreachable", True),
        ("-A FORWARD -j ACCEPT", False),
        ("-A FORWARD -s 10.128.0.0/20 -d 10.128.32.2/32 -i eth0 -o docker0 -p icmp -j DROP", True),
        ("-A FORWARD -s 10.128.0.0/20 -d 10.128.33.0/24 -j DROP", False),
        ("-A FORWARD ! -s 10.128.0.0/20 -j DROP", False),
        ("-A FORWARD ! -s 10.9.0.0/20 -j DROP", True),
        ("-A FORWARD -i docker0 -j DROP", False),
        ("-A FORWARD -i eth+ -j DROP", True),
        ("-A FORWARD ! -i docker0 -o docker0 -j DROP", True),
        ("-A FORWARD -p tcp -m tcp --dport 22 -j DROP", False),
        ('-A FORWARD -m comment --comment "-s 10.9.0.0/20 x" -j DROP', True),
    ],
)
def test_a_rule_matches_by_address_interface_and_protocol(rule: str, drops: bool) -> None:
    assert is_dropped(rule) is drops


def test_a_policy_counts_only_in_the_packets_hook() -> None:
    after = "*filter\n:INPUT DROP [3:252]\n:FORWARD DROP [4:336]\nCOMMIT"
    before = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [4:336]\nCOMMIT"
    assert dropping(after, OWN, before=before) == {"-P INPUT DROP": True}
    assert dropping(after, FORWARDED, before=before) == {}


def test_raw_comes_first_and_equal_rules_are_added_up() -> None:
    filtered = "*filter\n:FORWARD ACCEPT [0:0]\n[1:84] -A FORWARD -j DROP\n[2:168] -A FORWARD -j DROP"
    raw = "*raw\n:PREROUTING ACCEPT [0:0]\n[3:252] -A PREROUTING -j DROP\n"
    found = refusing(counted(Section(0, ""), Section(0, f"{filtered}\n{raw}")), FORWARDED, 3)
    assert [(rule.table, rule.packets) for rule, _ in found] == [("raw", 3), ("filter", 3)]


@pytest.mark.parametrize(
    ("rules", "packet", "certain"),
    [
        # A rule before it decides, or may decide.
        ("-A FORWARD -s 10.128.0.0/20 -j ACCEPT\n[9:756] -A FORWARD -j DROP", FORWARDED, []),
        ("-A FORWARD -m set --match-set x src -j ACCEPT\n[9:756] -A FORWARD -j DROP", FORWARDED, [False]),
        ("[9:756] -A FORWARD -m set --match-set x src -j DROP\n[9:756] -A FORWARD -j DROP", FORWARDED, [False] * 2),
        # The packet does not reach the chain.
        (":X - [0:0]\n-A INPUT -j X\n[9:756] -A X -j DROP", FORWARDED, []),
        (":X - [0:0]\n-A FORWARD -j X\n[9:756] -A X -j DROP", FORWARDED, [True]),
        # A request begins a connection, and a reply belongs to one.
        ("[9:756] -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j DROP", FORWARDED, []),
        ("[9:756] -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j DROP", REPLY, [True]),
        ("[9:756] -A FORWARD -m conntrack --ctstate NEW -j DROP", REPLY, []),
        ("[9:756] -A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP", REPLY, []),
        # Fewer packets than probes, and matches that dockmesh does not evaluate.
        ("[2:168] -A FORWARD -j DROP", FORWARDED, []),
        ("[9:756] -A FORWARD -m length --length 84 -j DROP", FORWARDED, [False]),
        ("[9:756] -A FORWARD -m limit --limit 5/sec -j DROP", FORWARDED, [False]),
    ],
)
def test_only_a_rule_that_certainly_decides_is_certain(rules: str, packet: Packet, certain: list[bool]) -> None:
    text = f"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n{rules}\nCOMMIT"
    assert list(dropping(text, packet).values()) == certain


def test_control_codes_are_removed_and_broken_quotes_refused() -> None:
    (rule,) = counted(Section(0, ""), Section(0, '*raw\n[1:84] -A X -m comment --comment "\x1b[31mred\u202e" -j DROP'))
    assert str(rule) == '-t raw -A X -m comment --comment "red" -j DROP'
    with pytest.raises(HostError):
        counted(Section(0, ""), Section(0, '*raw\n[1:84] -A X --comment "'))


RULESET = """\
table inet fw {{ # handle 4
\tset bad {{ # handle 1
\t\ttype ipv4_addr
\t}}
\tchain gate {{ # handle 2
\t\ttype filter hook {hook} priority 10; policy {policy};
\t\t{rule} # handle 7
\t}}
}}
table ip filter {{ # handle 5
\tchain FORWARD {{ # handle 1
\t\ttype filter hook forward priority filter; policy drop;
\t\tcounter packets 9 bytes 9 drop # handle 2
\t}}
}}
"""


def drop_handles(
    rule: str,
    *,
    hook: str = "forward",
    policy: str = "accept",
    before: str | None = None,
    trace: ProbeTrace | None = None,
) -> list[int | None]:
    old, new = (Section(0, RULESET.format(hook=hook, policy=policy, rule=each)) for each in (before or rule, rule))
    return [each.handle for each in foreign_drops((old, new), FORWARDED, 3, trace)]


@pytest.mark.parametrize(
    ("rule", "hook", "handles"),
    [
        ("drop", "forward", [7]),
        ("drop", "prerouting", [7]),
        ("drop", "input", []),
        ("accept", "forward", []),
        ("ip saddr 10.128.0.0/20 reject with icmp port-unreachable", "forward", [7]),
        ("ip saddr 203.0.113.9 drop", "forward", []),
        ("ip daddr != 10.128.32.2 drop", "forward", []),
        ("ip saddr @bad drop", "forward", [7]),
        ("udp dport 7000 counter packets 900 bytes 84 drop", "forward", []),
        ("meta l4proto { tcp, udp } drop", "forward", []),
        ("ct state established,related drop", "forward", []),
        ('iifname "docker0" oifname "docker0" drop', "forward", []),
        ("icmp type echo-request limit rate 1/second drop", "forward", [7]),
    ],
)
def test_a_foreign_rule_may_drop_if_hook_and_address_match(rule: str, hook: str, handles: list[int]) -> None:
    assert drop_handles(rule, hook=hook) == handles


def test_a_counter_decides_whether_a_rule_dropped() -> None:
    rule = "counter packets {} bytes 84 drop"
    assert drop_handles(rule.format(5), before=rule.format(5)) == []
    assert drop_handles(rule.format(5), before=rule.format(2)) == [7]


@pytest.mark.parametrize(("handle", "handles"), [(7, [7]), (8, [])])
def test_a_trace_decides_whether_a_rule_dropped(handle: int, handles: list[int]) -> None:
    dropped = Counter({TracedRule(False, "inet fw", "gate", handle): 1})
    trace = ProbeTrace(dropped, dropped, frozenset({False}), frozenset())
    for rule in ("drop", "counter packets 999 bytes 84 drop"):
        assert drop_handles(rule, before="drop", trace=trace) == handles


def test_a_policy_of_drop_may_drop_the_packet() -> None:
    assert drop_handles("accept", policy="drop") == [None]
