"""Predicted reachability of recorded hosts with one change each. Lab tests compare predictions with real probes."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from builders import FLEET, GENERATIONS, HOST2, HOST3, fleet, host, plan_of, said_in
from host_models import Changes, Question, between, grounds, kept, missed, read, swapped, told
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
ALL3 = between([*INTO3, *FROM3], "bcx") | between(OWN3, "c")


def test_the_forecast_has_the_probes_of_a_status() -> None:
    asked = {(each.source, each.target, each.kind) for each in plan_probes(FLEET, FLEET.hosts)}
    assert told(grounds("fresh")).keys() == told(grounds("joined")).keys() == asked


def test_in_a_joined_mesh_all_probes_succeed() -> None:
    assert missed(grounds("joined")) == {}


def test_fresh_hosts_reach_only_their_own_containers() -> None:
    pairs = [(a.name, b.name) for a in FLEET.hosts for b in FLEET.hosts if a != b]
    assert missed(grounds("fresh")).keys() == between(pairs, "bcx")


def test_after_the_join_plan_all_probes_succeed() -> None:
    fresh = read("fresh")
    after = [build_model(host, fresh[host.name], plan_of(fresh[host.name], host).changes) for host in FLEET.hosts]
    assert missed(after) == {}
    half = missed([after[0], *grounds("fresh")[1:]])
    assert kept(half["host1", "host2", "host-bridge"], "bridge-address-wrong", "host2", "10.128.16.1")


def dropping(rule: str, table: str = "filter", chain: str = "FORWARD") -> Changes:
    """A foreign rule before all others on host3."""
    text = said_in("forky_joined", "rules")
    head = f"*{table}\n"
    assert head in text
    return {"rules": text.replace(head, f"{head}-A {chain} {rule}\n")}


def without(section: str, *lines: str, name: str = "forky_joined") -> Changes:
    kept = [line for line in said_in(name, section).splitlines() if line.strip() not in lines]
    assert len(kept) == len(said_in(name, section).splitlines()) - len(lines)
    return {section: "\n".join(kept)}


TO1 = "10.128.0.0/20 via 192.168.18.128 dev eth0 proto 201 metric 4201"
LAN3 = "2: eth0    inet 192.168.18.130/20 scope global eth0"
ROUTES = said_in("forky_joined", "routes")
TWO_HOMED = {
    "addresses": said_in("forky_joined", "addresses").replace(
        LAN3, f"{LAN3}\n9: eth1    inet 192.168.19.130/20 scope global eth1"
    ),
    "links": said_in("forky_joined", "links")
    + "\n9: eth1@if9: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP",
    "routes": ROUTES.replace(TO1, TO1.replace("eth0", "eth1")),
    "switches": said_in("forky_joined", "switches") + "\neth1 0 1",
}

# By change of host3: the probes that fail, and for one of them its code and the names in its reason. A code that
# starts with `?` means that the failure is uncertain.
CASES: Mapping[str, tuple[Changes, set[Question], tuple[str, ...]]] = {
    "no route": (without("routes", TO1), between(BACK, "bcx") | between(ONLY, "x"), ("no-route", "host3")),
    "route to another host": (
        swapped("forky_joined", "routes", "via 192.168.18.128", "via 192.168.18.129"),
        between(BACK, "bcx") | between(ONLY, "x"),
        ("?other-route", "host3", "10.128.0.0/20 via 192.168.18.129"),
    ),
    "foreign route to a router": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 via 192.168.16.1 dev eth0 metric 5"},
        between(BACK, "bcx") | between(ONLY, "x"),
        ("?other-route", "host3", "10.128.0.0/24 via 192.168.16.1"),
    ),
    "foreign route that discards": (
        {"routes": f"{ROUTES}\nunreachable 10.128.0.0/20 metric 5"},
        between(BACK, "bcx") | between(ONLY, "x"),
        ("other-route", "host3", "10.128.0.0/20 unreachable"),
    ),
    "foreign route with a worse metric": (
        {"routes": f"{ROUTES}\n10.128.0.0/20 via 192.168.16.1 dev eth0 metric 9999"},
        set(),
        (),
    ),
    "foreign connected route: only bridges reply to ARP": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 dev eth0 scope link"},
        between(BACK, "cx") | between(ONLY, "x"),
        ("other-route", "host3", "10.128.0.0/24 dev eth0"),
    ),
    "foreign multipath route": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 proto static nexthop via 192.168.16.1 dev eth0"},
        between(BACK, "bcx") | between(ONLY, "x"),
        ("?other-route", "host3", "10.128.0.0/24 multipath"),
    ),
    "routing rule": (
        {"policy": "90:\tfrom 10.128.32.0/20 lookup 77"},
        ALL3,
        ("?unpredictable", "host3", "90: from 10.128.32.0/20 lookup 77"),
    ),
    "DOCKER-USER flushed": (
        without("rules", "-A DOCKER-USER -j DOCKMESH-FORWARD"),
        between(INTO3, "cx"),
        ("firewall-drop", "host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
    ),
    "raw accepts missing": (
        without("rules", "-A PREROUTING -j DOCKMESH-RAW"),
        between(INTO3, "cx") | between(FROM3, "x"),
        ("firewall-drop", "host3", "iptables -t raw -A PREROUTING -d 10.128.32.2/32 ! -i docker0 -j DROP"),
    ),
    "no accept for a peer": (
        swapped("forky_joined", "filter", "-A DOCKMESH-FORWARD -s 10.128.0.0/20 -i eth0 -j ACCEPT\n", ""),
        between(ONLY, "x"),
        ("firewall-drop", "host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
    ),
    "ip_forward off": (
        {"switches": "all 0 0\ndefault 0 0\ndocker0 0 0\neth0 0 0\nlo 0 0"},
        between([*INTO3, *FROM3], "x") | between(INTO3, "c"),
        ("ip-forward-off", "host3", "eth0"),
    ),
    "forwarding off on the uplink alone": (
        swapped("forky_joined", "switches", "eth0 0 1", "eth0 0 0"),
        between([*INTO3, *FROM3], "x") | between(INTO3, "c"),
        ("ip-forward-off", "host3", "eth0"),
    ),
    "strict rp_filter": (swapped("forky_joined", "switches", "eth0 0 1", "eth0 1 1"), set(), ()),
    "two uplinks": (TWO_HOMED, between(BACK, "bc"), ("?other-source", "host3", "192.168.19.130")),
    "strict rp_filter with two uplinks": (
        TWO_HOMED | {"switches": TWO_HOMED["switches"].replace("eth0 0 1", "eth0 1 1")},
        between([*ONLY, *BACK], "x") | between(BACK, "bc"),
        ("rp-filter", "host3", "eth1", "rp_filter"),
    ),
    "docker0 down": (
        swapped("forky_joined", "links", "docker0: <BROADCAST,MULTICAST,UP,LOWER_UP>", "docker0: <BROADCAST>"),
        between([*INTO3, *FROM3], "x") | between([*INTO3, *OWN3], "c"),
        ("no-container", "host3", "docker0"),
    ),
    "docker0 has another address": (
        swapped("forky_joined", "addresses", "10.128.32.1/24", "10.200.0.1/24")
        | swapped("forky_joined", "routes", "10.128.32.0/24 dev docker0", "10.200.0.0/24 dev docker0"),
        between(INTO3, "b") | between([*INTO3, *FROM3], "x") | between([*INTO3, *OWN3], "c"),
        ("bridge-address-wrong", "host3", "10.128.32.1"),
    ),
    "docker0 in the network of a peer": (
        swapped("forky_joined", "addresses", "10.128.32.1/24", "10.128.0.1/24")
        | swapped("forky_joined", "routes", "10.128.32.0/24 dev docker0", "10.128.0.0/24 dev docker0"),
        between(INTO3, "b") | between([*INTO3, *FROM3], "x") | between([*INTO3, *OWN3], "c") | between(BACK, "bc"),
        ("address-taken", "host3"),
    ),
    "connected route to a peer's network on docker0": (
        {"routes": f"{ROUTES}\n10.128.0.0/24 dev docker0 scope link"},
        between(BACK, "bcx") | between(ONLY, "x"),
        ("inside-bridge", "host3", "docker0"),
    ),
    "uncertain masquerade": (
        swapped(
            "forky_joined", "rules", "10.128.32.0/24 ! -o docker0 -j MASQ", "10.128.32.0/24 -m mark --mark 1 -j MASQ"
        )
        | {"nft": (1, "")},
        between(FROM3, "x"),
        ("?masqueraded", "host3"),
    ),
    "no carrier": (
        swapped("forky_joined", "links", "eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP>", "eth0@if5: <BROADCAST>"),
        between([*INTO3, *FROM3], "bcx"),
        ("link-down", "eth0", "host3"),
    ),
    "underlay address missing": (
        swapped("forky_joined", "addresses", "192.168.18.130/20", "192.168.18.99/20"),
        between(INTO3, "bcx") | between(FROM3, "bcx"),
        ("underlay-missing", "host3", "192.168.18.130"),
    ),
    "drop in FORWARD": (
        dropping("-s 10.128.0.0/20 -j DROP"),
        between([*ONLY, *BACK], "x"),
        ("firewall-drop", "host3", "iptables -A FORWARD -s 10.128.0.0/20 -j DROP"),
    ),
    "drop of outgoing packets": (
        dropping("-o eth0 -p icmp -j REJECT --reject-with icmp-port-unreachable", chain="DOCKER-USER"),
        between([*INTO3, *FROM3], "x") | between(INTO3, "c"),
        (
            "firewall-drop",
            "host3",
            "iptables -A DOCKER-USER -o eth0 -p icmp -j REJECT --reject-with icmp-port-unreachable",
        ),
    ),
    "drop in raw": (
        dropping("-s 192.168.18.128/32 -d 10.128.32.0/20 -j DROP", "raw", "PREROUTING"),
        between(ONLY, "bc"),
        ("firewall-drop", "host3", "iptables -t raw -A PREROUTING -s 192.168.18.128/32 -d 10.128.32.0/20 -j DROP"),
    ),
    "drop of echo requests to the host": (
        dropping("-p icmp -m icmp --icmp-type 8 -j DROP", chain="INPUT"),
        between(INTO3, "b"),
        ("firewall-drop", "host3", "iptables -A INPUT -p icmp -m icmp --icmp-type 8 -j DROP"),
    ),
    "drop of other protocols": (dropping("-p tcp -m tcp --dport 22 -j DROP", chain="INPUT"), set(), ()),
    "rule with an unknown match": (
        dropping("-s 10.128.0.0/20 -m set --match-set bad src -j DROP"),
        between([*ONLY, *BACK], "x"),
        ("?firewall-drop", "host3", "iptables -A FORWARD -s 10.128.0.0/20 -m set --match-set bad src -j DROP"),
    ),
    "rule with an unknown match about other addresses": (
        dropping("-s 10.9.0.0/20 -m set --match-set bad src -j DROP"),
        set(),
        (),
    ),
    "nft rule about a peer": (
        {"tables": "table inet fw {\n\tchain f {\n\t\tip saddr 10.128.0.0/20 drop\n\t}\n}"},
        between([*ONLY, *BACK], "bcx"),
        ("?nft-rule", "host3", "ip saddr 10.128.0.0/20 drop"),
    ),
    "nft rule about the host itself": (
        {"tables": "\t\tip daddr 10.128.32.0/20 counter reject"},
        ALL3,
        ("?nft-rule", "host3", "ip daddr 10.128.32.0/20 counter reject"),
    ),
    "nft policy": (
        {"tables": "\t\ttype filter hook input priority 10; policy drop;"},
        ALL3,
        ("?nft-rule", "host3", "type filter hook input priority 10; policy drop;"),
    ),
    "nft rules about other packets": (
        {"tables": "\t\tip saddr 203.0.113.9 drop\n\t\ttcp dport 22 drop\n\t\tip saddr 10.128.0.0/20 accept"},
        set(),
        (),
    ),
    "rules of iptables-legacy": (
        {"tables": "iptables-legacy filter"},
        ALL3,
        ("?nft-rule", "host3", "iptables-legacy filter"),
    ),
    "more rules than the reading limit": (
        {"rules": said_in("forky_joined", "rules") + "\n# more"},
        ALL3,
        ("?unpredictable", "host3"),
    ),
    "masqueraded": ({"nft": (1, "no such table")}, set(), ()),
    "uncertain source translation": (
        dropping("-s 10.128.0.0/16 -m mark --mark 1 -j SNAT --to-source 192.168.18.7", "nat", "POSTROUTING")
        | {"nft": (1, "")},
        set(),
        (),
    ),
    "destination translation": (
        dropping("-s 10.128.0.0/20 -j DNAT --to-destination 192.168.18.7", "nat", "PREROUTING"),
        between(ONLY, "x"),
        (
            "?translated",
            "host3",
            "iptables -t nat -A PREROUTING -s 10.128.0.0/20 -j DNAT --to-destination 192.168.18.7",
        ),
    ),
    "no container but a namespace": ({"containers": ""}, set(), ()),
    "container outside the docker0 network": (
        swapped("forky_joined", "containers", '"IPAddress":"10.128.32.2"', '"IPAddress":"10.128.40.2"'),
        between([*INTO3, *FROM3], "x") | between([*INTO3, *OWN3], "c"),
        ("container-route-wrong", "host3", "10.128.40.2", "docker0"),
    ),
}


@pytest.mark.parametrize(("changes", "questions", "why"), CASES.values(), ids=CASES)
def test_a_change_of_one_host_fails_the_expected_probes(
    changes: Changes, questions: set[Question], why: tuple[str, ...]
) -> None:
    found = missed(grounds("joined", host3=changes))
    assert found.keys() == questions
    assert not why or any(kept(what, *why) for what in found.values())


def test_docker_28_drops_in_raw_only_for_containers() -> None:
    bare = without("rules", "-A PREROUTING -j DOCKMESH-RAW", "-A PREROUTING -d 10.128.32.2/32 ! -i docker0 -j DROP")
    assert missed(grounds("joined", host3=bare | {"containers": ""})) == {}


def test_older_dockers_drop_nothing_in_raw() -> None:
    bare = without("rules", "-A PREROUTING -j DOCKMESH-RAW", name="trixie_joined")
    assert missed(grounds("joined", host2=bare)) == {}


def test_the_first_fault_on_the_path_is_the_reason() -> None:
    off = swapped("forky_joined", "switches", "eth0 0 1", "eth0 0 0")
    mute = swapped("bookworm_joined", "switches", "docker0 0 1", "docker0 0 0")
    found = missed(grounds("joined", host1=mute, host3=off))
    assert kept(found["host1", "host3", "container-container"], "ip-forward-off", "host1", "docker0")
    assert kept(found["host2", "host3", "container-container"], "ip-forward-off", "host3", "eth0")


def test_masqueraded_probes_need_no_route_back_to_the_prefix() -> None:
    plain = [replace(each, source_nat=None) for each in grounds("joined")]
    roads = tuple(each for each in plain[2].routes if each.route.protocol != "201")
    assert missed([*plain[:2], replace(plain[2], routes=roads)]).keys() == between(FROM3, "bcx")
    assert missed(plain) == {}


def test_a_peer_without_exemption_sees_the_masqueraded_host() -> None:
    at = grounds("joined")
    hidden = replace(at[0], source_nat=SourceNat(IPv4Network("10.128.0.0/20"), (IPv4Network("10.128.16.0/20"),)))
    roads = tuple(each for each in at[2].routes if str(each.route.prefix) != "10.128.0.0/20")
    assert missed([hidden, at[1], replace(at[2], routes=roads)]).keys() == between(BACK, "bcx")


def test_unread_hosts_are_unknown_unless_the_source_fails_first() -> None:
    at = grounds("joined")
    found = missed([at[0], at[1], unknown_host(HOST3, "it was not read")])
    assert found.keys() == ALL3
    assert all(kept(what, "?not-read", "host3") for what in found.values())
    fresh = missed([grounds("fresh")[0], unknown_host(HOST2, "it was not read"), at[2]])
    assert kept(fresh["host1", "host2", "host-bridge"], "no-route", "host1")


def test_a_host_without_docker_is_probed_at_its_prefix_address() -> None:
    plain = host("host2", "192.168.18.129", "10.128.16.0/20", docker=False)
    at, found = grounds("joined"), replace(read("joined")["host2"], docker=None)
    other = build_model(plain, found)
    assert missed([at[0], other, at[2]]) == {}
    bare = build_model(host("host2", "192.168.18.129", docker=False), found)
    assert not any(key[1] == "host2" for key in told([at[0], bare, at[2]]))
    moved = build_model(
        plain, replace(found, addresses=tuple(each for each in found.addresses if each[0] != "docker0"))
    )
    assert missed([at[0], moved, at[2]]).keys() == between([("host1", "host2"), ("host3", "host2")], "b")


def many(count: int) -> list[HostModel]:
    """A joined mesh of hosts like the recorded host3, each with its own addresses."""
    base = IPv4Address("192.168.18.1")
    hosts = [host(f"h{n}", str(base + n), f"10.{n}.0.0/20", f"10.{n}.0.1/24") for n in range(count)]
    found = []
    for one in hosts:
        said = {
            name: said_in("forky_fresh", name).replace("192.168.18.130", str(one.underlay))
            for name in ("addresses", "routes")
        }
        ways = "\n".join(f"{each.underlay} dev eth0 src {one.underlay} uid 0" for each in hosts if each != one)
        at = read("fresh", host3=said | {"ways": ways})["host3"]
        found.append(build_model(one, at, plan_of(at, one, fleet(*hosts)).changes))
    return found


def test_a_fault_of_one_of_many_hosts_fails_only_its_probes() -> None:
    mesh = many(9)
    assert missed(mesh) == {}
    off = replace(mesh[4], sysctls={name: replace(each, forwarding=False) for name, each in mesh[4].sysctls.items()})
    roads = tuple(each for each in mesh[7].routes if not str(each.route.prefix).startswith("10.2."))
    found = missed([*mesh[:4], off, *mesh[5:7], replace(mesh[7], routes=roads), mesh[8]])
    others = [f"h{n}" for n in range(9) if n != 4]
    forwarded = between([(each, "h4") for each in others], "cx") | between([("h4", each) for each in others], "x")
    assert found.keys() == forwarded | between([("h7", "h2")], "bcx") | between([("h2", "h7")], "x")


@given(st.permutations(range(3)), st.sampled_from(sorted(CASES)))
def test_the_order_of_the_inventory_does_not_matter(order: list[int], name: str) -> None:
    at = grounds("joined", host3=CASES[name][0])
    assert told([at[place] for place in order]) == told(at)


@given(st.sampled_from(sorted(CASES)))
def test_an_unclear_host_never_turns_a_failure_into_success(name: str) -> None:
    alone = missed(grounds("joined", host3=CASES[name][0]))
    unclear = {"policy": "9:\tfrom all ipproto icmp unreachable"}
    assert alone.keys() <= missed(grounds("joined", host3=CASES[name][0], host1=unclear)).keys()


def rules_of(at: HostModel) -> dict[tuple[str, str], tuple[str, ...]]:
    return {place: rules for place, rules in at.iptables.chains.items() if rules}


def policies_of(at: HostModel) -> dict[tuple[str, str], str]:
    """The policies other than ACCEPT. A new table has policies of ACCEPT, which decide nothing."""
    return {place: policy for place, policy in at.iptables.policies.items() if policy != "ACCEPT"}


def made(found: HostFacts, changes: tuple[Change, ...]) -> HostModel:
    return build_model(FLEET.host(found.host), found, changes)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_predicted_model_after_a_join_equals_the_recorded_one(generation: str) -> None:
    name = GENERATIONS[generation]
    fresh, came = read("fresh")[name], grounds("joined")[list(GENERATIONS).index(generation)]
    foreseen = made(fresh, plan_of(fresh, FLEET.host(name)).changes)
    assert rules_of(foreseen) == rules_of(came)
    assert policies_of(foreseen) == policies_of(came)
    # A plan does not predict the `src` of a connected route.
    routes = [{replace(each.route, source=None) for each in at.routes} for at in (foreseen, came)]
    assert routes[0] == routes[1]
    for what in ("addresses", "container", "bridge", "source_nat", "sysctls"):
        assert getattr(foreseen, what) == getattr(came, what)
