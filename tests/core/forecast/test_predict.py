"""Who is foreseen to reach whom: recorded hosts, changed one thing at a time. The lab shows that it comes so."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

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
from dockmesh.core.state.resources import SourceNat

INTO3 = (("host1", "host3"), ("host2", "host3"))
FROM3 = (("host3", "host1"), ("host3", "host2"))
ONLY = (("host1", "host3"),)
BACK = (("host3", "host1"),)
OWN3 = (("host3", "host3"),)
ALL3 = probes_between([*INTO3, *FROM3], "bcx") | probes_between(OWN3, "c")


def test_the_probes_of_a_status_are_foreseen_and_no_others() -> None:
    asked = {(each.source, each.target, each.kind) for each in plan_probes(FLEET, FLEET.hosts)}
    assert probe_results(build_models("fresh")).keys() == probe_results(build_models("joined")).keys() == asked


def test_in_a_mesh_that_stands_everyone_reaches_everyone() -> None:
    assert failing_probes(build_models("joined")) == {}


def test_hosts_that_have_not_joined_reach_nobody_but_their_own_containers() -> None:
    pairs = [(a.name, b.name) for a in FLEET.hosts for b in FLEET.hosts if a != b]
    assert failing_probes(build_models("fresh")).keys() == probes_between(pairs, "bcx")


def test_the_plan_that_joins_them_lets_everyone_reach_everyone() -> None:
    fresh = read_hosts("fresh")
    after = [build_model(host, fresh[host.name], plan_of(fresh[host.name], host).changes) for host in FLEET.hosts]
    assert failing_probes(after) == {}
    half = failing_probes([after[0], *build_models("fresh")[1:]])
    assert fails_with(half["host1", "host2", "host-bridge"], "bridge-address-wrong", "host2", "10.128.16.1")


def with_drop_rule(rule: str, table: str = "filter", chain: str = "FORWARD") -> Changes:
    """A rule of somebody else's, in front of all others on host3."""
    text = section_text("forky_joined", "iptables_rules")
    head = f"*{table}\n"
    assert head in text
    return {"iptables_rules": text.replace(head, f"{head}-A {chain} {rule}\n")}


def without_lines(section: str, *lines: str, name: str = "forky_joined") -> Changes:
    kept = [line for line in section_text(name, section).splitlines() if line.strip() not in lines]
    assert len(kept) == len(section_text(name, section).splitlines()) - len(lines)
    return {section: "\n".join(kept)}


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

# By what host3 is: the probes that fail, or may where the code begins with `?`; and of one of them that code, and what
# its reason names.
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
    "foreign route that loses": (
        {"routes": f"{ROUTES}\n10.128.0.0/20 via 192.168.16.1 dev eth0 metric 9999"},
        set(),
        (),
    ),
    "foreign route on the LAN, where a bridge answers and a container does not": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 dev eth0 scope link"},
        probes_between(BACK, "cx") | probes_between(ONLY, "x"),
        ("other-route", "host3", "10.128.0.0/24 dev eth0"),
    ),
    "foreign route with several next hops": (
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
        without_lines("iptables_rules", "-A DOCKER-USER -j DOCKMESH-FORWARD"),
        probes_between(INTO3, "cx"),
        ("firewall-drop", "host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
    ),
    "raw accepts missing": (
        without_lines("iptables_rules", "-A PREROUTING -j DOCKMESH-RAW"),
        probes_between(INTO3, "cx") | probes_between(FROM3, "x"),
        ("firewall-drop", "host3", "iptables -t raw -A PREROUTING -d 10.128.32.2/32 ! -i docker0 -j DROP"),
    ),
    "peer unknown": (
        with_replacement("forky_joined", "filter", "-A DOCKMESH-FORWARD -s 10.128.0.0/20 -i eth0 -j ACCEPT\n", ""),
        probes_between(ONLY, "x"),
        ("firewall-drop", "host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
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
    "rp_filter that is strict": (with_replacement("forky_joined", "sysctls", "eth0 0 1", "eth0 1 1"), set(), ()),
    "a host with two cards": (TWO_HOMED, probes_between(BACK, "bc"), ("?other-source", "host3", "192.168.19.130")),
    "rp_filter on a host with two cards": (
        TWO_HOMED | {"sysctls": TWO_HOMED["sysctls"].replace("eth0 0 1", "eth0 1 1")},
        probes_between([*ONLY, *BACK], "x") | probes_between(BACK, "bc"),
        ("rp-filter", "host3", "eth1", "rp_filter"),
    ),
    "docker0 down": (
        with_replacement("forky_joined", "links", "docker0: <BROADCAST,MULTICAST,UP,LOWER_UP>", "docker0: <BROADCAST>"),
        probes_between([*INTO3, *FROM3], "x") | probes_between([*INTO3, *OWN3], "c"),
        ("no-container", "host3", "docker0"),
    ),
    "docker0 on another address": (
        with_replacement("forky_joined", "addresses", "10.128.32.1/24", "10.200.0.1/24")
        | with_replacement("forky_joined", "routes", "10.128.32.0/24 dev docker0", "10.200.0.0/24 dev docker0"),
        probes_between(INTO3, "b") | probes_between([*INTO3, *FROM3], "x") | probes_between([*INTO3, *OWN3], "c"),
        ("bridge-address-wrong", "host3", "10.128.32.1"),
    ),
    "docker0 in the network of another host": (
        with_replacement("forky_joined", "addresses", "10.128.32.1/24", "10.128.0.1/24")
        | with_replacement("forky_joined", "routes", "10.128.32.0/24 dev docker0", "10.128.0.0/24 dev docker0"),
        probes_between(INTO3, "b")
        | probes_between([*INTO3, *FROM3], "x")
        | probes_between([*INTO3, *OWN3], "c")
        | probes_between(BACK, "bc"),
        ("address-taken", "host3"),
    ),
    "a container in the network of another host": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 dev docker0 scope link"},
        probes_between(BACK, "bcx") | probes_between(ONLY, "x"),
        ("inside-bridge", "host3", "docker0"),
    ),
    "perhaps masqueraded": (
        with_replacement(
            "forky_joined",
            "iptables_rules",
            "10.128.32.0/24 ! -o docker0 -j MASQ",
            "10.128.32.0/24 -m mark --mark 1 -j MASQ",
        )
        | {"own_nft": (1, "")},
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
    "a drop in FORWARD": (
        with_drop_rule("-s 10.128.0.0/20 -j DROP"),
        probes_between([*ONLY, *BACK], "x"),
        ("firewall-drop", "host3", "iptables -A FORWARD -s 10.128.0.0/20 -j DROP"),
    ),
    "a drop of what leaves": (
        with_drop_rule("-o eth0 -p icmp -j REJECT --reject-with icmp-port-unreachable", chain="DOCKER-USER"),
        probes_between([*INTO3, *FROM3], "x") | probes_between(INTO3, "c"),
        (
            "firewall-drop",
            "host3",
            "iptables -A DOCKER-USER -o eth0 -p icmp -j REJECT --reject-with icmp-port-unreachable",
        ),
    ),
    "a drop in raw": (
        with_drop_rule("-s 192.168.18.128/32 -d 10.128.32.0/20 -j DROP", "raw", "PREROUTING"),
        probes_between(ONLY, "bc"),
        ("firewall-drop", "host3", "iptables -t raw -A PREROUTING -s 192.168.18.128/32 -d 10.128.32.0/20 -j DROP"),
    ),
    "a drop of requests to the host": (
        with_drop_rule("-p icmp -m icmp --icmp-type 8 -j DROP", chain="INPUT"),
        probes_between(INTO3, "b"),
        ("firewall-drop", "host3", "iptables -A INPUT -p icmp -m icmp --icmp-type 8 -j DROP"),
    ),
    "a drop of other things": (with_drop_rule("-p tcp -m tcp --dport 22 -j DROP", chain="INPUT"), set(), ()),
    "a rule that cannot be judged": (
        with_drop_rule("-s 10.128.0.0/20 -m set --match-set bad src -j DROP"),
        probes_between([*ONLY, *BACK], "x"),
        ("?firewall-drop", "host3", "iptables -A FORWARD -s 10.128.0.0/20 -m set --match-set bad src -j DROP"),
    ),
    "a rule that cannot be judged, of others": (
        with_drop_rule("-s 10.9.0.0/20 -m set --match-set bad src -j DROP"),
        set(),
        (),
    ),
    "a table of nft": (
        {"foreign_nft": "table inet fw {\n\tchain f {\n\t\tip saddr 10.128.0.0/20 drop\n\t}\n}"},
        probes_between([*ONLY, *BACK], "bcx"),
        ("?nft-rule", "host3", "ip saddr 10.128.0.0/20 drop"),
    ),
    "a table of nft about the host itself": (
        {"foreign_nft": "\t\tip daddr 10.128.32.0/20 counter reject"},
        ALL3,
        ("?nft-rule", "host3", "ip daddr 10.128.32.0/20 counter reject"),
    ),
    "a table of nft about anything": (
        {"foreign_nft": "\t\ttype filter hook input priority 10; policy drop;"},
        ALL3,
        ("?nft-rule", "host3", "type filter hook input priority 10; policy drop;"),
    ),
    "a table of nft about other things": (
        {"foreign_nft": "\t\tip saddr 203.0.113.9 drop\n\t\ttcp dport 22 drop\n\t\tip saddr 10.128.0.0/20 accept"},
        set(),
        (),
    ),
    "iptables of the other kind": (
        {"foreign_nft": "iptables-legacy filter"},
        ALL3,
        ("?nft-rule", "host3", "iptables-legacy filter"),
    ),
    "more rules than are read": (
        {"iptables_rules": section_text("forky_joined", "iptables_rules") + "\n# more"},
        ALL3,
        ("?unpredictable", "host3"),
    ),
    "masqueraded": ({"own_nft": (1, "no such table")}, set(), ()),
    "translated to nobody knows what": (
        with_drop_rule("-s 10.128.0.0/16 -m mark --mark 1 -j SNAT --to-source 192.168.18.7", "nat", "POSTROUTING")
        | {"own_nft": (1, "")},
        set(),
        (),
    ),
    "sent on to somewhere": (
        with_drop_rule("-s 10.128.0.0/20 -j DNAT --to-destination 192.168.18.7", "nat", "PREROUTING"),
        probes_between(ONLY, "x"),
        (
            "?translated",
            "host3",
            "iptables -t nat -A PREROUTING -s 10.128.0.0/20 -j DNAT --to-destination 192.168.18.7",
        ),
    ),
    "no container, for which a namespace stands": ({"docker_containers": ""}, set(), ()),
    "a container that is elsewhere": (
        with_replacement("forky_joined", "docker_containers", '"IPAddress":"10.128.32.2"', '"IPAddress":"10.128.40.2"'),
        probes_between([*INTO3, *FROM3], "x") | probes_between([*INTO3, *OWN3], "c"),
        ("container-route-wrong", "host3", "10.128.40.2", "docker0"),
    ),
}


@pytest.mark.parametrize(("changes", "questions", "why"), CASES.values(), ids=CASES)
def test_what_one_host_is_decides_about_the_probes_that_come_by_it(
    changes: Changes, questions: set[Question], why: tuple[str, ...]
) -> None:
    found = failing_probes(build_models("joined", host3=changes))
    assert found.keys() == questions
    assert not why or any(fails_with(what, *why) for what in found.values())


def test_without_the_raw_accepts_of_docker_28_a_namespace_is_reached_where_a_container_is_not() -> None:
    bare = without_lines(
        "iptables_rules", "-A PREROUTING -j DOCKMESH-RAW", "-A PREROUTING -d 10.128.32.2/32 ! -i docker0 -j DROP"
    )
    assert failing_probes(build_models("joined", host3=bare | {"docker_containers": ""})) == {}


def test_of_older_dockers_nothing_is_dropped_in_raw() -> None:
    bare = without_lines("iptables_rules", "-A PREROUTING -j DOCKMESH-RAW", name="trixie_joined")
    assert failing_probes(build_models("joined", host2=bare)) == {}


def test_the_first_thing_on_the_way_is_to_blame() -> None:
    off = with_replacement("forky_joined", "sysctls", "eth0 0 1", "eth0 0 0")
    mute = with_replacement("bookworm_joined", "sysctls", "docker0 0 1", "docker0 0 0")
    found = failing_probes(build_models("joined", host1=mute, host3=off))
    assert fails_with(found["host1", "host3", "container-container"], "ip-forward-off", "host1", "docker0")
    assert fails_with(found["host2", "host3", "container-container"], "ip-forward-off", "host3", "eth0")


def test_what_is_masqueraded_needs_no_way_back_to_the_prefix() -> None:
    plain = [replace(each, source_nat=None) for each in build_models("joined")]
    roads = tuple(each for each in plain[2].routes if each.route.protocol != "201")
    assert failing_probes([*plain[:2], replace(plain[2], routes=roads)]).keys() == probes_between(FROM3, "bcx")
    assert failing_probes(plain) == {}


def test_a_peer_that_the_table_of_sources_does_not_name_sees_the_host() -> None:
    at = build_models("joined")
    hidden = replace(at[0], source_nat=SourceNat(IPv4Network("10.128.0.0/20"), (IPv4Network("10.128.16.0/20"),)))
    roads = tuple(each for each in at[2].routes if str(each.route.prefix) != "10.128.0.0/20")
    assert failing_probes([hidden, at[1], replace(at[2], routes=roads)]).keys() == probes_between(BACK, "bcx")


def test_of_hosts_that_were_not_read_nothing_is_known_but_what_fails_before_them() -> None:
    at = build_models("joined")
    found = failing_probes([at[0], at[1], unknown_host(HOST3, "it was not read")])
    assert found.keys() == ALL3
    assert all(fails_with(what, "?not-read", "host3") for what in found.values())
    fresh = failing_probes([build_models("fresh")[0], unknown_host(HOST2, "it was not read"), at[2]])
    assert fails_with(fresh["host1", "host2", "host-bridge"], "no-route", "host1")


def test_hosts_without_docker_are_reached_at_the_address_they_have_in_their_prefix() -> None:
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
    """A mesh of hosts that all have what the recorded host3 has, each its own, after the plans that join them."""
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


def test_what_one_of_many_hosts_lacks_keeps_its_own_probes_and_no_others() -> None:
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
def test_the_order_of_the_inventory_decides_nothing(order: list[int], name: str) -> None:
    at = build_models("joined", host3=CASES[name][0])
    assert probe_results([at[place] for place in order]) == probe_results(at)


@given(st.sampled_from(sorted(CASES)))
def test_what_fails_is_not_foreseen_to_be_reached_for_what_is_not_known_of_others(name: str) -> None:
    alone = failing_probes(build_models("joined", host3=CASES[name][0]))
    unclear = {"ip_rules": "9:\tfrom all ipproto icmp unreachable"}
    assert alone.keys() <= failing_probes(build_models("joined", host3=CASES[name][0], host1=unclear)).keys()


def rules_of(at: HostModel) -> dict[tuple[str, str], tuple[str, ...]]:
    return {place: rules for place, rules in at.iptables.chains.items() if rules}


def policies_of(at: HostModel) -> dict[tuple[str, str], str]:
    """Those that matter: a table that is made anew has some that accept."""
    return {place: policy for place, policy in at.iptables.policies.items() if policy != "ACCEPT"}


def model_after(found: HostFacts, changes: tuple[Change, ...]) -> HostModel:
    return build_model(FLEET.host(found.host), found, changes)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_plan_that_joins_a_host_makes_of_it_what_it_came_to_in_the_lab(generation: str) -> None:
    name = GENERATIONS[generation]
    fresh, came = read_hosts("fresh")[name], build_models("joined")[list(GENERATIONS).index(generation)]
    foreseen = model_after(fresh, plan_of(fresh, FLEET.host(name)).changes)
    assert rules_of(foreseen) == rules_of(came)
    assert policies_of(foreseen) == policies_of(came)
    # Which source a connected route names is not for a plan to say.
    routes = [{replace(each.route, source=None) for each in at.routes} for at in (foreseen, came)]
    assert routes[0] == routes[1]
    for what in ("addresses", "container", "bridge", "source_nat", "sysctls"):
        assert getattr(foreseen, what) == getattr(came, what)
