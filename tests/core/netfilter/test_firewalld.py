"""The effect of firewalld's table on pings, from recordings of lab hosts."""

import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from builders import FLEET, GENERATIONS, WIDE, facts
from explanations import explanation
from host_models import Changes, build_models, failing_probes, fails_with, probes_between

from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.netfilter.firewalld import firewalld_lines, parse_ruleset, rejections
from dockmesh.core.netfilter.flow import AddressBits, Flow
from dockmesh.core.netfilter.nft_matcher import Hook
from dockmesh.core.planning.conflicts.network import conflicts

DATA = Path(__file__).parents[2] / "data" / "firewalld"
# Docker 26.1 with firewalld 2.3: as installed, with the policy of newer versions, with a policy for the peers of host1
# (not for host1 itself), and started before firewalld; then Docker 28.5 with firewalld 2.5.
TABLES = {
    name: (DATA / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")
    for name in ("docker26", "docker26-open", "docker26-peers", "docker-first", "docker28")
}
INTO, OUT = ("eth0", "docker0"), ("docker0", "eth0")
POLICY = "--policy dockmesh --add-egress-zone docker"


SENDER, CONTAINER = IPv4Address("10.128.0.2"), IPv4Address("10.128.32.2")


def rejecting_chains(
    text: str, hook: Hook, came_in: str | None, goes_out: str | None, *, reply: bool = False
) -> list[str]:
    """The chains that reject a ping from a peer; `?` marks those that may."""
    flow = Flow(AddressBits({0: int(SENDER)}), int(CONTAINER), True, came_in, goes_out, reply)
    found = rejections(parse_ruleset(text.splitlines()), hook, flow, 1)
    return [f"{'' if each.sure else '?'}{each.chain}" for each in found]


def first_rejection(table: str, hook: Hook, came_in: str | None, goes_out: str | None, *, reply: bool = False) -> str:
    return " ".join(rejecting_chains(TABLES[table], hook, came_in, goes_out, reply=reply)[:1])


@pytest.mark.parametrize(
    ("table", "into", "out"),
    [
        ("docker26", "filter_FORWARD_POLICIES", ""),
        ("docker26-open", "", ""),
        ("docker26-peers", "filter_FORWARD_POLICIES", ""),
        ("docker28", "", ""),
        ("docker-first", "filter_FORWARD_POLICIES", ""),
    ],
)
def test_packets_to_containers_pass_only_with_a_policy(table: str, into: str, out: str) -> None:
    assert (first_rejection(table, "FORWARD", *INTO), first_rejection(table, "FORWARD", *OUT)) == (into, out)
    assert (
        first_rejection(table, "FORWARD", *INTO, reply=True)
        == first_rejection(table, "FORWARD", *OUT, reply=True)
        == ""
    )


@pytest.mark.parametrize("table", TABLES)
def test_pings_from_and_to_the_host_itself_pass(table: str) -> None:
    assert first_rejection(table, "INPUT", "eth0", None) == first_rejection(table, "OUTPUT", None, "eth0") == ""
    assert first_rejection(table, "PREROUTING", "eth0", None) == "", "its rule there matches only IPv6"


TABLE = """\
table ip other {{
\tchain in {{
\t\ttype filter hook input priority 5; policy drop;
\t}}
}}
table inet firewalld {{ # progname firewalld # handle 3
\tflags owner,persist

\tset known {{ # handle 9
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = {{ 10.128.0.0/20, 192.168.18.128,
\t\t\t     192.168.18.129 }}
\t}}

\tset none {{
\t\ttype ipv4_addr
\t}}

\tset odd {{
\t\ttype ipv4_addr
\t\telements = {{ 10.128.0.1-10.128.0.9 }}
\t}}

\tchain hook {{ # handle 1
\t\ttype filter hook forward priority filter + 10; policy accept; # handle 2
\t\t{rule} # handle 7
\t\tip saddr 192.0.2.0/24 goto away
\t\tjump back
\t\tiifname "eth1" drop
\t\tjump hook
\t}}
\tchain away {{
\t\tiifname "eth0" accept
\t}}
\tchain back {{
\t\tiifname != {{ "eth1", "wl*" }} return
\t\treject
\t}}
}}
"""


@pytest.mark.parametrize(
    ("rule", "chain"),
    [
        ("counter packets 3 bytes 9", None),
        ("drop", "hook"),
        ("meta l4proto { icmp, ipv6-icmp } drop", "hook"),
        ('iifname "eth*" counter packets 1 bytes 84 reject with icmpx admin-prohibited', "hook"),
        ("ip saddr { 10.128.0.0/20, 192.168.18.128 } drop", "hook"),
        ("ip saddr != 10.128.0.0/20 drop", None),
        ("ip saddr @known drop", "hook"),
        ("ip saddr != @known drop", None),
        ("ip daddr @known drop", None),
        ("ip saddr @none drop", None),
        ("ip saddr @odd drop", "?hook"),
        ("ip daddr @trusted accept", None),
        ("ip daddr @bad drop", "?hook"),
        ("fib saddr oif missing drop", "?hook"),
        ("icmp type echo-request drop", "hook"),
        ("icmp type { echo-reply, redirect } drop", None),
        ("ip protocol tcp drop", None),
        ("tcp dport { 22, 80 } reject", None),
        ("meta nfproto ipv6 fib saddr oif missing drop", None),
        ('ct state new log prefix "jump it" accept', None),
        ("goto away", None),
    ],
)
def test_a_rule_matches_a_ping_or_not_or_may_match(rule: str, chain: str | None) -> None:
    found = rejecting_chains(TABLE.format(rule=rule), "FORWARD", "eth0", "docker0")
    assert found == ([] if chain is None else [chain])


def test_a_loop_ends_and_a_missing_hook_rejects_nothing() -> None:
    text = TABLE.format(rule="ip saddr 10.128.16.0/20 accept")
    assert rejecting_chains(text, "FORWARD", "eth1", "docker0") == ["back"]
    assert rejecting_chains(text, "INPUT", "eth1", None) == []


def test_exponential_chains_are_uncertain_after_a_limit() -> None:
    chains = "\n".join(f"chain c{n} {{\njump c{n + 1}\njump c{n + 1}\n}}" for n in range(40))
    hook = "chain hook {\ntype filter hook forward priority 10; policy accept;\njump c0\ndrop\n}"
    assert rejecting_chains(f"table inet firewalld {{\n{hook}\n{chains}\n}}", "FORWARD", "eth0", "docker0")[
        0
    ].startswith("?")


def test_firewalld_lines_separates_foreign_tables() -> None:
    lines = TABLE.format(rule="drop").splitlines()
    assert [line for line in firewalld_lines(lines, others=True) if "policy" in line] == [
        "type filter hook input priority 5; policy drop;"
    ]
    assert len([*firewalld_lines(lines), *firewalld_lines(lines, others=True)]) == len(lines)


# --- conflicts, forecast and explain ----------------------------------------------------------------------------------


def firewalld(table: str) -> Changes:
    return {"foreign_nft": TABLES[table]}


@pytest.mark.parametrize(
    ("table", "remedy"),
    [("docker26", POLICY), ("docker-first", "systemctl restart docker"), ("docker26-open", ""), ("docker28", "")],
)
@pytest.mark.parametrize("state", ["fresh", "joined"])
def test_a_certain_rejection_is_a_conflict_with_remedy(table: str, remedy: str, state: str) -> None:
    me = FLEET.host(GENERATIONS["trixie"])
    found = list(conflicts(FLEET, me, facts(f"trixie_{state}", firewalld(table)), WIDE))
    assert [(each.code, each.key) for each in found] == [("firewalld-rejects", "firewalld")] * bool(remedy)
    assert all(remedy in each.remedy for each in found)
    assert all("eth0" in each.message for each in found)


def test_the_remedy_adds_only_the_peers_without_policy() -> None:
    host1, me = FLEET.host("host1"), FLEET.host(GENERATIONS["trixie"])
    (conflict,) = conflicts(FLEET, me, facts("trixie_joined", firewalld("docker26-peers")), WIDE)
    entries = re.findall(r"--add-entry (\S+?);? ", conflict.remedy)
    assert entries == [str(host1.underlay), str(host1.prefix)]
    found = failing_probes(build_models("joined", host2=firewalld("docker26-peers")))
    assert found.keys() == probes_between([("host1", "host2")], "cx")


def test_the_forecast_includes_rejections_of_firewalld() -> None:
    into = [("host1", "host2"), ("host3", "host2")]
    assert failing_probes(build_models("joined", host2=firewalld("docker26-open"))) == {}
    found = failing_probes(build_models("joined", host2=firewalld("docker26")))
    assert found.keys() == probes_between(into, "cx")
    (what,) = set(found.values())
    rule = 'iifname "eth0" oifname "docker0" reject with icmpx admin-prohibited'
    assert fails_with(what, "firewalld-refuses", "host2", rule)


def test_explain_names_the_rejecting_rule_and_its_remedy() -> None:
    ruled = {"after.nft_ruleset": TABLES["docker26"]}
    found = explanation({"host3-snapshot": ruled})
    assert found.fault
    assert (found.fault.code, POLICY in found.fault.remedy) == (FaultCode.FIREWALLD_REFUSES, True)
    assert all(name in found.fault.cause for name in ("host3", "inet firewalld filter_FORWARD_POLICIES"))
    # On the sending host, requests and replies pass.
    assert explanation({"host1-snapshot": ruled}, lost=False).fault is None
    first = explanation({"host3-snapshot": {"after.nft_ruleset": TABLES["docker-first"]}})
    assert first.fault
    assert first.fault.remedy == "on host3: systemctl restart docker"


def test_blocked_pings_affect_only_the_host_itself() -> None:
    blocking = TABLES["docker28"].replace("meta l4proto { icmp, ipv6-icmp } accept", "icmp type echo-request drop")
    found = failing_probes(build_models("joined", host3={"foreign_nft": blocking}))
    assert found.keys() == probes_between([("host1", "host3"), ("host2", "host3")], "b")
