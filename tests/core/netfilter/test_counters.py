"""Which rules of a firewall take a packet of the probe."""

from ipaddress import IPv4Address

import pytest

from dockmesh.core.host_output import Section
from dockmesh.core.netfilter.counters import Packet, counted, refusing
from dockmesh.core.netfilter.nft_ruleset import foreign_drops
from dockmesh.errors import HostError

FORWARDED = Packet(IPv4Address("10.128.0.2"), IPv4Address("10.128.32.2"), "eth0", "docker0")
OWN = Packet(IPv4Address("10.128.0.2"), IPv4Address("192.168.18.131"), "eth0", None)


def is_dropped(rule: str, packet: Packet = FORWARDED, *, table: str = "filter") -> bool:
    found = counted(Section(0, ""), Section(0, f"*{table}\n[3:252] {rule}\nCOMMIT"))
    return bool(list(refusing(found, packet)))


@pytest.mark.parametrize(
    ("rule", "is_it"),
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
def test_a_rule_is_about_a_packet_by_addresses_interfaces_and_protocol(rule: str, is_it: bool) -> None:
    assert is_dropped(rule) is is_it


def test_a_policy_counts_in_the_chain_that_the_packet_passes() -> None:
    taken = Section(0, "*filter\n:INPUT DROP [3:252]\n:FORWARD DROP [4:336]\nCOMMIT")
    found = counted(Section(0, "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [4:336]\nCOMMIT"), taken)
    assert [rule.chain for rule in refusing(found, OWN)] == ["INPUT"]
    assert list(refusing(found, FORWARDED)) == []


def test_the_table_raw_comes_first_and_equal_rules_are_counted_together() -> None:
    text = "*filter\n[1:84] -A FORWARD -j DROP\n[2:168] -A FORWARD -j DROP\n*raw\n[3:252] -A PREROUTING -j DROP\n"
    found = list(refusing(counted(Section(0, ""), Section(0, text)), FORWARDED))
    assert [(rule.table, rule.packets) for rule in found] == [("raw", 3), ("filter", 3)]


def test_what_does_not_print_in_a_rule_is_left_out_and_broken_quotes_are_the_hosts_error() -> None:
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
    rule: str, *, hook: str = "forward", policy: str = "accept", before: str | None = None
) -> list[int | None]:
    texts = (RULESET.format(hook=hook, policy=policy, rule=each) for each in (before or rule, rule))
    return [each.handle for each in foreign_drops(*(Section(0, text) for text in texts), FORWARDED)]


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
    ],
)
def test_tables_of_others_may_refuse_where_they_are_hooked_in_and_about_the_packet(
    rule: str, hook: str, handles: list[int]
) -> None:
    assert drop_handles(rule, hook=hook) == handles


def test_a_rule_with_a_counter_refused_something_or_nothing() -> None:
    rule = "counter packets {} bytes 84 drop"
    assert drop_handles(rule.format(5), before=rule.format(5)) == []
    assert drop_handles(rule.format(5), before=rule.format(2)) == [7]


def test_a_policy_that_drops_may_be_it_as_well() -> None:
    assert drop_handles("accept", policy="drop") == [None]
