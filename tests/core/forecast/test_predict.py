"""Predicted reachability of recorded hosts with one change each. Lab tests compare predictions with real probes."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from builders import FLEET, GENERATIONS, HOST2, HOST3, fleet, host, plan_of, section_text
from host_models import (
    Changes,
    Question,
    build_models,
    failing_probes,
    fails_with,
    probe_results,
    probes_between,
    read_hosts,
    with_replacement,
)
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.build_model import build_model, unknown_host
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import AcceptRules, NftTable

INTO3 = (("host1", "host3"), ("host2", "host3"))
FROM3 = (("host3", "host1"), ("host3", "host2"))
ONLY = (("host1", "host3"),)
BACK = (("host3", "host1"),)
OWN3 = (("host3", "host3"),)
ALL3 = probes_between([*INTO3, *FROM3], "bcx") | probes_between(OWN3, "c")


def test_the_forecast_has_the_probes_of_a_status() -> None:
    asked = {(each.source, each.target, each.kind) for each in plan_probes(FLEET, FLEET.hosts)}
    assert probe_results(build_models("fresh")).keys() == probe_results(build_models("joined")).keys() == asked


def test_in_a_joined_mesh_all_probes_succeed() -> None:
    assert failing_probes(build_models("joined")) == {}


def test_fresh_hosts_reach_only_their_own_containers() -> None:
    pairs = [(a.name, b.name) for a in FLEET.hosts for b in FLEET.hosts if a != b]
    assert failing_probes(build_models("fresh")).keys() == probes_between(pairs, "bcx")


def test_after_the_join_plan_all_probes_succeed() -> None:
    fresh = read_hosts("fresh")
    after = [build_model(host, fresh[host.name], plan_of(fresh[host.name], host).changes) for host in FLEET.hosts]
    assert failing_probes(after) == {}
    half = failing_probes([after[0], *build_models("fresh")[1:]])
    assert fails_with(half["host1", "host2", "host-bridge"], "bridge-address-wrong", "host2", "10.128.16.1")


def with_drop_rule(rule: str, table: str = "filter", chain: str = "FORWARD") -> Changes:
    """A foreign rule before all others on host3."""
    text = section_text("forky_joined", "iptables_rules")
    head = f"*{table}\n"
    assert head in text
    return {"iptables_rules": text.replace(head, f"{head}-A {chain} {rule}\n")}


def without_lines(section: str, *lines: str, name: str = "forky_joined") -> Changes:
    kept = [line for line in section_text(name, section).splitlines() if line.strip() not in lines]
    assert len(kept) == len(section_text(name, section).splitlines()) - len(lines)
    return {section: "\n".join(kept)}


def with_own_table(*replacements: tuple[str, str], name: str = "forky_joined") -> Changes:
    """The recorded own nft table with parts of its text replaced."""
    text = section_text(name, "own_nft")
    for old, new in replacements:
        assert old in text, text
        text = text.replace(old, new)
    return {"own_nft": text}


ACCEPTED = "-d 10.128.32.0/20 -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
RAW_DROP = "-A PREROUTING -d 10.128.32.2/32 ! -i docker0 -j DROP"
SET_MARK = "meta mark set meta mark | 0x00001000"
MARKED_AGAIN = f'iifname "eth0" ip saddr @peers {SET_MARK} accept'
# Without its identity source NAT, the table still marks packets.
NO_SOURCE = with_own_table(("ip saddr 10.128.32.0/20 ip daddr @peers snat to ip saddr", ""))
ALLOWED = f"""
\tchain allowed {{
\t\tmeta l4proto icmp {SET_MARK} accept
\t\tct state established,related {SET_MARK} accept
\t\ttcp dport 80 {SET_MARK} accept
\t\tcounter drop
\t}}
\tchain source"""
WITH_ALLOW = (MARKED_AGAIN, 'iifname "eth0" ip saddr @peers goto allowed'), ("\n\tchain source", ALLOWED)
CLOSED = (
    MARKED_AGAIN,
    f"{MARKED_AGAIN}\n\t\tct state established,related accept\n\t\tip saddr != 10.128.32.0/20 counter drop",
)
# host1 is behind eth1, but its packets arrive on eth0.
SECOND_SET = """\
\tset peers2 {
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = { 10.128.0.0/20, 192.168.18.128 }
\t}
\tchain inbound"""


def for_both_uplinks(rule: str) -> tuple[str, str]:
    """The replacement of a rule with the set of one uplink by a rule for each of two."""
    of_eth1 = rule.replace("@peers", "@peers2").replace("eth0", "eth1")
    return rule, f"{rule.replace('@peers', '@peers1')}\n\t\t{of_eth1}"


TWO_SETS = with_own_table(
    ("set peers {", "set peers1 {"),
    ("10.128.0.0/20, 10.128.16.0/20,\n", "10.128.16.0/20,\n"),
    ("192.168.18.128, 192.168.18.129 }", "192.168.18.129 }"),
    ("\tchain inbound", SECOND_SET),
    for_both_uplinks(f'ip daddr 10.128.32.0/20 iifname "eth0" ip saddr @peers {SET_MARK}'),
    for_both_uplinks(MARKED_AGAIN),
    for_both_uplinks("ip saddr 10.128.32.0/20 ip daddr @peers snat to ip saddr"),
)

TO1 = "10.128.0.0/20 via 192.168.18.128 dev eth0 proto 201 metric 4201"
LAN3 = "2: eth0    inet 192.168.18.130/20 scope global eth0"
ROUTES = section_text("forky_joined", "routes")
TWO_HOMED = {
    "addresses": section_text("forky_joined", "addresses").replace(
        LAN3, f"{LAN3}\n9: eth1    inet 192.168.19.130/20 scope global eth1"
    ),
    "links": section_text("forky_joined", "links")
    + "\n9: eth1@if9: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP",
    "routes": ROUTES.replace(TO1, TO1.replace("eth0", "eth1")),
    "sysctls": section_text("forky_joined", "sysctls") + "\neth1 0 1",
}

# By change of host3: the probes that fail, and for one of them its code and the names in its reason. A code that
# starts with `?` means that the failure is uncertain.
CASES: Mapping[str, tuple[Changes, set[Question], tuple[str, ...]]] = {
    "no route": (
        without_lines("routes", TO1),
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("no-route", "host3"),
    ),
    "route to another host": (
        with_replacement("forky_joined", "routes", "via 192.168.18.128", "via 192.168.18.129"),
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("?other-route", "host3", "10.128.0.0/20 via 192.168.18.129"),
    ),
    "foreign route to a router": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 via 192.168.16.1 dev eth0 metric 5"},
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("?other-route", "host3", "10.128.0.0/24 via 192.168.16.1"),
    ),
    "foreign route that discards": (
        {"routes": f"{ROUTES}\nunreachable 10.128.0.0/20 metric 5"},
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("other-route", "host3", "10.128.0.0/20 unreachable"),
    ),
    "foreign route with a worse metric": (
        {"routes": f"{ROUTES}\n10.128.0.0/20 via 192.168.16.1 dev eth0 metric 9999"},
        set(),
        (),
    ),
    "foreign connected route: only bridges reply to ARP": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 dev eth0 scope link"},
        probes_between(BACK, "cx") | probes_between(ONLY, "x"),
        ("other-route", "host3", "10.128.0.0/24 dev eth0"),
    ),
    "foreign multipath route": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 proto static nexthop via 192.168.16.1 dev eth0"},
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("?other-route", "host3", "10.128.0.0/24 multipath"),
    ),
    "routing rule": (
        {"ip_rules": "90:\tfrom 10.128.32.0/20 lookup 77"},
        ALL3,
        ("?unpredictable", "host3", "90: from 10.128.32.0/20 lookup 77"),
    ),
    "DOCKER-USER flushed": (
        without_lines("iptables_rules", f"-A DOCKER-USER {ACCEPTED}"),
        probes_between(INTO3, "cx"),
        ("firewall-drop", "host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
    ),
    "raw accept missing": (
        without_lines("iptables_rules", f"-A PREROUTING {ACCEPTED}"),
        probes_between(INTO3, "cx") | probes_between(FROM3, "x"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "raw accept after the drop of Docker": (
        with_replacement(
            "forky_joined",
            "iptables_rules",
            f"-A PREROUTING {ACCEPTED}\n{RAW_DROP}",
            f"{RAW_DROP}\n-A PREROUTING {ACCEPTED}",
        ),
        probes_between(INTO3, "cx") | probes_between(FROM3, "x"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "prefix of a peer missing from the set": (
        with_own_table(("10.128.0.0/20, ", "")),
        probes_between(ONLY, "x"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "prefix of a peer missing from the set, closed": (
        with_own_table(("10.128.0.0/20, ", ""), CLOSED) | without_lines("iptables_rules", RAW_DROP),
        probes_between(ONLY, "x"),
        ("firewall-drop", "host3", "nft ip dockmesh forward: ip saddr != 10.128.32.0/20 counter drop"),
    ),
    "underlay address of a peer missing from the set": (
        with_own_table(("192.168.18.128, ", "")),
        probes_between(ONLY, "c"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "peer missing from the set, with a new connection only dropped by Docker's filter": (
        with_own_table(("10.128.0.0/20, ", "")) | without_lines("iptables_rules", RAW_DROP),
        probes_between(ONLY, "x"),
        ("firewall-drop", "host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
    ),
    "own table missing: containers masquerade": (
        {"own_nft": (1, "no such table")},
        probes_between(INTO3, "cx"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "own table sets another mark than the rules accept": (
        with_own_table(("| 0x00001000", "| 0x00002000")),
        probes_between(INTO3, "cx") | probes_between(FROM3, "x"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "forward does not mark again": (
        with_own_table((MARKED_AGAIN, "")),
        probes_between(INTO3, "cx"),
        ("firewall-drop", "host3"),
    ),
    "inbound clears the mark after it sets it": (
        with_own_table(
            (
                "priority raw - 10; policy accept;\n\t\tmeta mark set meta mark & 0xffffefff\n",
                "priority raw - 10; policy accept;\n",
            ),
            ("\n\t}\n\tchain forward", "\n\t\tmeta mark set meta mark & 0xffffefff\n\t}\n\tchain forward"),
        ),
        probes_between(INTO3, "cx") | probes_between(FROM3, "x"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "unknown rule in the own table": (
        with_own_table((MARKED_AGAIN, f"meta cgroup 7 drop\n\t\t{MARKED_AGAIN}")),
        probes_between([*INTO3, *FROM3], "x") | probes_between(INTO3, "c"),
        ("?firewall-drop", "host3", "nft ip dockmesh forward: meta cgroup 7 drop"),
    ),
    "allow": (with_own_table(*WITH_ALLOW), set(), ()),
    "allow without ICMP": (
        with_own_table(*WITH_ALLOW, (f"\t\tmeta l4proto icmp {SET_MARK} accept\n", "")),
        probes_between(INTO3, "cx"),
        ("firewall-drop", "host3", "nft ip dockmesh allowed: counter drop"),
    ),
    "closed": (with_own_table(CLOSED), set(), ()),
    "peer behind another uplink": (
        TWO_SETS,
        probes_between(ONLY, "cx") | probes_between(BACK, "x"),
        ("firewall-drop", "host3", f"iptables -t raw {RAW_DROP}"),
    ),
    "drop of packets with the mark": (
        with_drop_rule("-m mark --mark 0x1000/0x1000 -j DROP"),
        probes_between(INTO3, "cx") | probes_between(FROM3, "x"),
        ("firewall-drop", "host3", "iptables -A FORWARD -m mark --mark 0x1000/0x1000 -j DROP"),
    ),
    "drop of packets to containers without the mark": (
        with_drop_rule("-o docker0 -m mark ! --mark 0x1000/0x1000 -j DROP"),
        set(),
        (),
    ),
    "drop of packets with another mark": (
        with_drop_rule("-i eth0 -m mark --mark 0x4000/0x4000 -j DROP"),
        probes_between([*INTO3, *FROM3], "x") | probes_between(INTO3, "c"),
        ("?firewall-drop", "host3", "iptables -A FORWARD -i eth0 -m mark --mark 0x4000/0x4000 -j DROP"),
    ),
    "drop of packets whose whole mark is another": (
        with_drop_rule("-i eth0 -m mark --mark 0x4000 -j DROP"),
        set(),
        (),
    ),
    "mark cleared between the two hooks": (
        {
            "iptables_rules": section_text("forky_joined", "iptables_rules")
            + "\n*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff"
        },
        set(),
        (),
    ),
    "ip_forward off": (
        {"sysctls": "all 0 0\ndefault 0 0\ndocker0 0 0\neth0 0 0\nlo 0 0"},
        probes_between([*INTO3, *FROM3], "x") | probes_between(INTO3, "c"),
        ("ip-forward-off", "host3", "eth0"),
    ),
    "forwarding off on the uplink alone": (
        with_replacement("forky_joined", "sysctls", "eth0 0 1", "eth0 0 0"),
        probes_between([*INTO3, *FROM3], "x") | probes_between(INTO3, "c"),
        ("ip-forward-off", "host3", "eth0"),
    ),
    "strict rp_filter": (with_replacement("forky_joined", "sysctls", "eth0 0 1", "eth0 1 1"), set(), ()),
    "two uplinks": (TWO_HOMED, probes_between(BACK, "bc"), ("?other-source", "host3", "192.168.19.130")),
    "strict rp_filter with two uplinks": (
        TWO_HOMED | {"sysctls": TWO_HOMED["sysctls"].replace("eth0 0 1", "eth0 1 1")},
        probes_between([*ONLY, *BACK], "x") | probes_between(BACK, "bc"),
        ("rp-filter", "host3", "eth1", "rp_filter"),
    ),
    "docker0 down": (
        with_replacement("forky_joined", "links", "docker0: <BROADCAST,MULTICAST,UP,LOWER_UP>", "docker0: <BROADCAST>"),
        probes_between([*INTO3, *FROM3], "x") | probes_between([*INTO3, *OWN3], "c"),
        ("no-container", "host3", "docker0"),
    ),
    "docker0 has another address": (
        with_replacement("forky_joined", "addresses", "10.128.32.1/24", "10.200.0.1/24")
        | with_replacement("forky_joined", "routes", "10.128.32.0/24 dev docker0", "10.200.0.0/24 dev docker0"),
        probes_between(INTO3, "b") | probes_between([*INTO3, *FROM3], "x") | probes_between([*INTO3, *OWN3], "c"),
        ("bridge-address-wrong", "host3", "10.128.32.1"),
    ),
    "docker0 in the network of a peer": (
        with_replacement("forky_joined", "addresses", "10.128.32.1/24", "10.128.0.1/24")
        | with_replacement("forky_joined", "routes", "10.128.32.0/24 dev docker0", "10.128.0.0/24 dev docker0"),
        probes_between(INTO3, "b")
        | probes_between([*INTO3, *FROM3], "x")
        | probes_between([*INTO3, *OWN3], "c")
        | probes_between(BACK, "bc"),
        ("address-taken", "host3"),
    ),
    "connected route to a peer's network on docker0": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 dev docker0 scope link"},
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("inside-bridge", "host3", "docker0"),
    ),
    "uncertain masquerade": (
        with_replacement(
            "forky_joined",
            "iptables_rules",
            "10.128.32.0/24 ! -o docker0 -j MASQ",
            "10.128.32.0/24 -m mark --mark 1 -j MASQ",
        )
        | NO_SOURCE,
        probes_between(FROM3, "x"),
        ("?masqueraded", "host3"),
    ),
    "no carrier": (
        with_replacement(
            "forky_joined", "links", "eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP>", "eth0@if5: <BROADCAST>"
        ),
        probes_between([*INTO3, *FROM3], "bcx"),
        ("link-down", "eth0", "host3"),
    ),
    "underlay address missing": (
        with_replacement("forky_joined", "addresses", "192.168.18.130/20", "192.168.18.99/20"),
        probes_between(INTO3, "bcx") | probes_between(FROM3, "bcx"),
        ("underlay-missing", "host3", "192.168.18.130"),
    ),
    "drop in FORWARD": (
        with_drop_rule("-s 10.128.0.0/20 -j DROP"),
        probes_between([*ONLY, *BACK], "x"),
        ("firewall-drop", "host3", "iptables -A FORWARD -s 10.128.0.0/20 -j DROP"),
    ),
    "drop of outgoing packets": (
        with_drop_rule("-o eth0 -p icmp -j REJECT --reject-with icmp-port-unreachable", chain="DOCKER-USER"),
        probes_between([*INTO3, *FROM3], "x") | probes_between(INTO3, "c"),
        (
            "firewall-drop",
            "host3",
            "iptables -A DOCKER-USER -o eth0 -p icmp -j REJECT --reject-with icmp-port-unreachable",
        ),
    ),
    "drop in raw": (
        with_drop_rule("-s 192.168.18.128/32 -d 10.128.32.0/20 -j DROP", "raw", "PREROUTING"),
        probes_between(ONLY, "bc"),
        ("firewall-drop", "host3", "iptables -t raw -A PREROUTING -s 192.168.18.128/32 -d 10.128.32.0/20 -j DROP"),
    ),
    "drop of echo requests to the host": (
        with_drop_rule("-p icmp -m icmp --icmp-type 8 -j DROP", chain="INPUT"),
        probes_between(INTO3, "b"),
        ("firewall-drop", "host3", "iptables -A INPUT -p icmp -m icmp --icmp-type 8 -j DROP"),
    ),
    "drop of other protocols": (with_drop_rule("-p tcp -m tcp --dport 22 -j DROP", chain="INPUT"), set(), ()),
    "rule with an unknown match": (
        with_drop_rule("-s 10.128.0.0/20 -m set --match-set bad src -j DROP"),
        probes_between([*ONLY, *BACK], "x"),
        ("?firewall-drop", "host3", "iptables -A FORWARD -s 10.128.0.0/20 -m set --match-set bad src -j DROP"),
    ),
    "rule with an unknown match about other addresses": (
        with_drop_rule("-s 10.9.0.0/20 -m set --match-set bad src -j DROP"),
        set(),
        (),
    ),
    "nft rule about a peer": (
        {"foreign_nft": "table inet fw {\n\tchain f {\n\t\tip saddr 10.128.0.0/20 drop\n\t}\n}"},
        probes_between([*ONLY, *BACK], "bcx"),
        ("?nft-rule", "host3", "ip saddr 10.128.0.0/20 drop"),
    ),
    "nft rule about the host itself": (
        {"foreign_nft": "\t\tip daddr 10.128.32.0/20 counter reject"},
        ALL3,
        ("?nft-rule", "host3", "ip daddr 10.128.32.0/20 counter reject"),
    ),
    "nft policy": (
        {"foreign_nft": "\t\ttype filter hook input priority 10; policy drop;"},
        ALL3,
        ("?nft-rule", "host3", "type filter hook input priority 10; policy drop;"),
    ),
    "nft rules about other packets": (
        {"foreign_nft": "\t\tip saddr 203.0.113.9 drop\n\t\ttcp dport 22 drop\n\t\tip saddr 10.128.0.0/20 accept"},
        set(),
        (),
    ),
    "rules of iptables-legacy": (
        {"foreign_nft": "iptables-legacy filter"},
        ALL3,
        ("?nft-rule", "host3", "iptables-legacy filter"),
    ),
    "more rules than the reading limit": (
        {"iptables_rules": section_text("forky_joined", "iptables_rules") + "\n# more"},
        ALL3,
        ("?unpredictable", "host3"),
    ),
    "masqueraded": (NO_SOURCE, set(), ()),
    "uncertain source translation": (
        with_drop_rule("-s 10.128.0.0/16 -m mark --mark 1 -j SNAT --to-source 192.168.18.7", "nat", "POSTROUTING")
        | NO_SOURCE,
        set(),
        (),
    ),
    "destination translation": (
        with_drop_rule("-s 10.128.0.0/20 -j DNAT --to-destination 192.168.18.7", "nat", "PREROUTING"),
        probes_between(ONLY, "x"),
        (
            "?translated",
            "host3",
            "iptables -t nat -A PREROUTING -s 10.128.0.0/20 -j DNAT --to-destination 192.168.18.7",
        ),
    ),
    "no container but a namespace": ({"docker_containers": ""}, set(), ()),
    "container outside the docker0 network": (
        with_replacement("forky_joined", "docker_containers", '"IPAddress":"10.128.32.2"', '"IPAddress":"10.128.40.2"'),
        probes_between([*INTO3, *FROM3], "x") | probes_between([*INTO3, *OWN3], "c"),
        ("container-route-wrong", "host3", "10.128.40.2", "docker0"),
    ),
}


@pytest.mark.parametrize(("changes", "questions", "why"), CASES.values(), ids=CASES)
def test_a_change_of_one_host_fails_the_expected_probes(
    changes: Changes, questions: set[Question], why: tuple[str, ...]
) -> None:
    found = failing_probes(build_models("joined", host3=changes))
    assert found.keys() == questions
    assert not why or any(fails_with(what, *why) for what in found.values())


def test_docker_28_drops_in_raw_only_for_containers() -> None:
    bare = without_lines("iptables_rules", f"-A PREROUTING {ACCEPTED}", RAW_DROP)
    assert failing_probes(build_models("joined", host3=bare | {"docker_containers": ""})) == {}


def test_older_dockers_drop_nothing_in_raw() -> None:
    accepted = ACCEPTED.replace("10.128.32", "10.128.16")
    bare = without_lines("iptables_rules", f"-A PREROUTING {accepted}", name="trixie_joined")
    assert failing_probes(build_models("joined", host2=bare)) == {}


def test_the_first_fault_on_the_path_is_the_reason() -> None:
    off = with_replacement("forky_joined", "sysctls", "eth0 0 1", "eth0 0 0")
    mute = with_replacement("bookworm_joined", "sysctls", "docker0 0 1", "docker0 0 0")
    found = failing_probes(build_models("joined", host1=mute, host3=off))
    assert fails_with(found["host1", "host3", "container-container"], "ip-forward-off", "host1", "docker0")
    assert fails_with(found["host2", "host3", "container-container"], "ip-forward-off", "host3", "eth0")


def with_source_rules(model: HostModel, *rules: str) -> HostModel:
    """The model with other rules in the chain `source` of its nft table."""
    assert model.table
    chains = model.table.chains
    begin = chains.index("chain source {") + 2
    return replace(model, table=replace(model.table, chains=(*chains[:begin], *rules, "}")))


def test_masqueraded_probes_need_no_route_back_to_the_prefix() -> None:
    plain = list(map(with_source_rules, build_models("joined")))
    roads = tuple(each for each in plain[2].routes if each.route.protocol != "201")
    assert failing_probes([*plain[:2], replace(plain[2], routes=roads)]).keys() == probes_between(FROM3, "bcx")
    assert failing_probes(plain) == {}


def test_a_peer_without_exemption_sees_the_masqueraded_host() -> None:
    at = build_models("joined")
    hidden = with_source_rules(at[0], "ip saddr 10.128.0.0/20 ip daddr 10.128.16.0/20 snat to ip saddr")
    roads = tuple(each for each in at[2].routes if str(each.route.prefix) != "10.128.0.0/20")
    assert failing_probes([hidden, at[1], replace(at[2], routes=roads)]).keys() == probes_between(BACK, "bcx")


def test_an_exemption_that_is_not_understood_is_uncertain() -> None:
    at = build_models("joined")
    unclear = with_source_rules(at[0], "meta cgroup 7 ip daddr @peers snat to ip saddr")
    found = failing_probes([unclear, *at[1:]])
    assert found.keys() == probes_between([("host1", "host2"), ("host1", "host3")], "x")
    assert all(fails_with(what, "?masqueraded", "host1") for what in found.values())


def test_unread_hosts_are_unknown_unless_the_source_fails_first() -> None:
    at = build_models("joined")
    found = failing_probes([at[0], at[1], unknown_host(HOST3, "it was not read")])
    assert found.keys() == ALL3
    assert all(fails_with(what, "?not-read", "host3") for what in found.values())
    fresh = failing_probes([build_models("fresh")[0], unknown_host(HOST2, "it was not read"), at[2]])
    assert fails_with(fresh["host1", "host2", "host-bridge"], "no-route", "host1")


def test_a_host_without_docker_is_probed_at_its_prefix_address() -> None:
    plain = host("host2", "192.168.18.129", "10.128.16.0/20", docker=False)
    at, found = build_models("joined"), replace(read_hosts("joined")["host2"], docker=None)
    other = build_model(plain, found)
    assert failing_probes([at[0], other, at[2]]) == {}
    bare = build_model(host("host2", "192.168.18.129", docker=False), found)
    assert not any(key[1] == "host2" for key in probe_results([at[0], bare, at[2]]))
    moved = build_model(
        plain, replace(found, addresses=tuple(each for each in found.addresses if each[0] != "docker0"))
    )
    assert failing_probes([at[0], moved, at[2]]).keys() == probes_between([("host1", "host2"), ("host3", "host2")], "b")


def large_mesh(count: int) -> list[HostModel]:
    """A joined mesh of hosts like the recorded host3, each with its own addresses."""
    base = IPv4Address("192.168.18.1")
    hosts = [host(f"h{n}", str(base + n), f"10.{n}.0.0/20", f"10.{n}.0.1/24") for n in range(count)]
    found = []
    for one in hosts:
        said = {
            name: section_text("forky_fresh", name).replace("192.168.18.130", str(one.underlay))
            for name in ("addresses", "routes")
        }
        ways = "\n".join(f"{each.underlay} dev eth0 src {one.underlay} uid 0" for each in hosts if each != one)
        at = read_hosts("fresh", host3=said | {"peer_routes": ways})["host3"]
        found.append(build_model(one, at, plan_of(at, one, fleet(*hosts)).changes))
    return found


def test_a_fault_of_one_of_many_hosts_fails_only_its_probes() -> None:
    mesh = large_mesh(9)
    assert failing_probes(mesh) == {}
    off = replace(mesh[4], sysctls={name: replace(each, forwarding=False) for name, each in mesh[4].sysctls.items()})
    roads = tuple(each for each in mesh[7].routes if not str(each.route.prefix).startswith("10.2."))
    found = failing_probes([*mesh[:4], off, *mesh[5:7], replace(mesh[7], routes=roads), mesh[8]])
    others = [f"h{n}" for n in range(9) if n != 4]
    forwarded = probes_between([(each, "h4") for each in others], "cx") | probes_between(
        [("h4", each) for each in others], "x"
    )
    assert found.keys() == forwarded | probes_between([("h7", "h2")], "bcx") | probes_between([("h2", "h7")], "x")


@given(st.permutations(range(3)), st.sampled_from(sorted(CASES)))
def test_the_order_of_the_inventory_does_not_matter(order: list[int], name: str) -> None:
    at = build_models("joined", host3=CASES[name][0])
    assert probe_results([at[place] for place in order]) == probe_results(at)


@given(st.sampled_from(sorted(CASES)))
def test_an_unclear_host_never_turns_a_failure_into_success(name: str) -> None:
    alone = failing_probes(build_models("joined", host3=CASES[name][0]))
    unclear = {"ip_rules": "9:\tfrom all ipproto icmp unreachable"}
    assert alone.keys() <= failing_probes(build_models("joined", host3=CASES[name][0], host1=unclear)).keys()


def rules_of(at: HostModel) -> dict[tuple[str, str], tuple[str, ...]]:
    return {place: rules for place, rules in at.iptables.chains.items() if rules}


def policies_of(at: HostModel) -> dict[tuple[str, str], str]:
    """The policies other than ACCEPT. A new table has policies of ACCEPT, which decide nothing."""
    return {place: policy for place, policy in at.iptables.policies.items() if policy != "ACCEPT"}


def model_after(found: HostFacts, changes: tuple[Change, ...]) -> HostModel:
    return build_model(FLEET.host(found.host), found, changes)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_predicted_model_after_a_join_equals_the_recorded_one(generation: str) -> None:
    name = GENERATIONS[generation]
    fresh, came = read_hosts("fresh")[name], build_models("joined")[list(GENERATIONS).index(generation)]
    foreseen = model_after(fresh, plan_of(fresh, FLEET.host(name)).changes)
    assert rules_of(foreseen) == rules_of(came)
    assert policies_of(foreseen) == policies_of(came)
    # A plan does not predict the `src` of a connected route.
    routes = [{replace(each.route, source=None) for each in at.routes} for at in (foreseen, came)]
    assert routes[0] == routes[1]
    for what in ("addresses", "container", "bridge", "table", "mark", "sysctls"):
        assert getattr(foreseen, what) == getattr(came, what)


def test_planned_rules_come_before_others() -> None:
    found = read_hosts("joined")["host3"]
    (rules,) = (each for each in found.actual.of(AcceptRules) if each.chain == "PREROUTING")
    moved = with_replacement(
        "forky_joined",
        "iptables_rules",
        f"-A PREROUTING {ACCEPTED}\n{RAW_DROP}",
        f"{RAW_DROP}\n-A PREROUTING {ACCEPTED}",
    )
    behind = read_hosts("joined", host3=moved)["host3"]
    other = replace(rules, rules=(ACCEPTED.replace("0x1000", "0x2000"),))
    drop, place = RAW_DROP.removeprefix("-A PREROUTING "), ("raw", "PREROUTING")
    assert model_after(behind, (Change(rules, rules),)).iptables.chains[place] == (ACCEPTED, drop)
    assert model_after(behind, (Change(rules, other),)).iptables.chains[place] == (*other.rules, drop)
    assert model_after(behind, (Change(rules, None),)).iptables.chains[place] == (drop,)


def test_a_plan_that_changes_the_mark_is_predicted_to_work() -> None:
    at, found = build_models("joined"), read_hosts("joined")["host3"]
    table = next(each for each in found.actual.of(NftTable) if each.family == 4)
    lines = (line.replace("0xffffefff", "0xffffdfff").replace("0x00001000", "0x00002000") for line in table.chains)
    rules = [
        Change(each, replace(each, rules=tuple(rule.replace("0x1000", "0x2000") for rule in each.rules)))
        for each in found.actual.of(AcceptRules)
    ]
    after = model_after(found, (Change(table, replace(table, chains=tuple(lines))), *rules))
    assert after.mark == 0x2000
    assert failing_probes([*at[:2], after]) == {}
