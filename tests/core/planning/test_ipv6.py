"""IPv6 plans and conflicts, from recordings of three Docker generations in a dual-stack lab."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, IPv6Network

import pytest
from builders import FLEET, GENERATIONS, WIDE, SectionOutput, facts, fleet, host, plan_of, section_text, with_ipv6

from dockmesh.core.addresses import Address
from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.desired.routing import mesh_routes, underlays
from dockmesh.core.facts.docker import DockerNetwork
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON, REASSERT_SCRIPT
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.findings import Conflict
from dockmesh.core.probes.join_state import JoinState, not_joined_reason
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    NftTable,
    Pool,
    Route,
    key_of,
)
from dockmesh.pipeline import TEMPLATES

DUAL = fleet(
    *(
        with_ipv6(
            each, f"fd00:18::c0a8:{0x1280 + at:x}", f"fd00:10:128:{at * 256:x}::/56", f"fd00:10:128:{at * 256:x}::1/64"
        )
        for at, each in enumerate(FLEET.hosts)
    )
)
HOST1, HOST2, HOST3 = DUAL.hosts
BEFORE_27 = ("bookworm", "trixie")


def joined(generation: str, changes: Mapping[str, SectionOutput] | None = None) -> HostFacts:
    return facts(f"{generation}_dual", changes, of=DUAL.host(GENERATIONS[generation]))


def with_lines(name: str, section: str, *lines: str) -> dict[str, SectionOutput]:
    return {section: "\n".join((section_text(name, section), *lines))}


def file(text: str) -> str:
    return f"644\n{b64encode(text.encode()).decode()}"


def keys(state: HostState) -> dict[str, object]:
    found = state.by_key().get(("file", DAEMON_JSON))
    return daemon_json.load(found.text) if isinstance(found, File) else {}


def found_conflicts(
    changes: Mapping[str, SectionOutput], *, generation: str = "forky", of: Host | None = None
) -> list[Conflict]:
    me = of or DUAL.host(GENERATIONS[generation])
    found = facts(f"{generation}_fresh", _lan(generation) | dict(changes), of=me)
    return list(conflicts(DUAL, me, found, WIDE))


def _lan(generation: str) -> dict[str, SectionOutput]:
    """IPv6 facts of the LAN, which the recordings of fresh hosts lack."""
    me = DUAL.host(GENERATIONS[generation])
    assert me.ipv6
    ways = "\n".join(f"{each} from :: dev eth0 proto kernel src {me.ipv6.underlay} metric 256" for each in _others(me))
    tools = section_text(f"{generation}_dual", "tools")
    return {"addresses6": f"2: eth0    inet6 {me.ipv6.underlay}/64", "peer_routes6": ways, "tools": tools}


def _others(me: Host) -> list[Address]:
    return [each.ipv6.underlay for each in DUAL.hosts if each != me and each.ipv6]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_joined_dual_stack_host_is_in_its_desired_state(generation: str) -> None:
    found = joined(generation)
    me = DUAL.host(found.host)
    # The recordings have the script of their time.
    assert {key_of(change.resource) for change in plan_of(found, me, DUAL).changes} <= {("file", REASSERT_SCRIPT)}
    assert list(conflicts(DUAL, me, found, WIDE)) == []
    assert list(notes(me, found, WIDE)) == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_ipv6_resources_are_read(generation: str) -> None:
    found = joined(generation)
    me = DUAL.host(found.host)
    assert me.ipv6
    assert found.actual.docker
    assert found.actual.docker.address6 == me.ipv6.bridge
    assert found.actual.docker.startup_json is None
    assert found.actual.of(Forwarding) == (Forwarding(6, on=True),)
    assert [each.family for each in found.actual.of(NftTable)] == [4, 6]
    assert len(found.actual.of(AcceptRules)) == 4
    assert len(found.actual.of(Route)) == 4
    assert found.docker_user == ({4} if generation in BEFORE_27 else {4, 6})


def ipv6_firewall(me: Host, found: HostFacts) -> tuple[NftTable, AcceptRules]:
    """The table and the rule in filter."""
    wanted = desired(fleet(*(me if each.name == me.name else each for each in DUAL.hosts)), me, found, WIDE, TEMPLATES)
    (table,) = (each for each in wanted.of(NftTable) if each.family == 6)
    (rules,) = (each for each in wanted.of(AcceptRules) if each.family == 6 and each.table == "filter")
    return table, rules


@pytest.mark.parametrize("generation", BEFORE_27)
def test_without_ipv6_rules_of_docker_only_peers_are_accepted(generation: str) -> None:
    found = joined(generation)
    me = DUAL.host(found.host)
    table, rules = ipv6_firewall(me, found)
    assert me.ipv6
    assert rules.chain == "FORWARD"
    assert [rule.split(" -m ")[0] for rule in rules.rules] == [f"-s {me.ipv6.prefix}", f"-d {me.ipv6.prefix}"]
    assert f"ip6 saddr != {me.ipv6.prefix} counter drop" in table.chains


def test_with_ipv6_rules_of_docker_nothing_else_is_dropped() -> None:
    table, rules = ipv6_firewall(HOST3, joined("forky"))
    assert rules.chain == "DOCKER-USER"
    assert not any("drop" in line for line in table.chains)


def test_an_empty_allow_still_accepts_icmpv6() -> None:
    table, _rules = ipv6_firewall(replace(HOST3, allow=()), joined("forky"))
    assert any(line.startswith("meta l4proto ipv6-icmp ") for line in table.chains)
    assert not any(line.startswith("meta l4proto icmp ") for line in table.chains)


def test_a_host_outside_the_ipv6_mesh_has_no_ipv6_peers() -> None:
    apart = replace(HOST2, ipv6=None)
    among = fleet(HOST1, apart, HOST3)
    found = joined("bookworm")
    assert underlays(among, apart) == (HOST1.underlay, HOST3.underlay)
    assert {str(each) for each in underlays(among, HOST1)} == {"192.168.18.129", "192.168.18.130", "fd00:18::c0a8:1282"}
    assert [str(each.prefix) for each in mesh_routes(among, HOST1, found.peer_routes)] == [
        "10.128.16.0/20",
        "10.128.32.0/20",
        "fd00:10:128:200::/56",
    ]
    asked = {(each.source, each.target) for each in plan_probes(among, among.hosts) if each.family == 6}
    assert asked == {("host1", "host1"), ("host1", "host3"), ("host3", "host1"), ("host3", "host3")}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_host_that_leaves_the_ipv6_mesh_is_restored(generation: str) -> None:
    found = joined(generation)
    wanted = desired(FLEET, FLEET.host(found.host), found, WIDE, TEMPLATES)
    assert set(keys(wanted)) == {"bip", "default-address-pools"}
    assert wanted.docker
    assert wanted.docker.address6 is None
    assert not any(isinstance(each.base, IPv6Network) for each in wanted.docker.pools)
    assert wanted.of(Forwarding) == (Forwarding(6, on=False),)
    assert {each.family for each in (*wanted.of(AcceptRules), *wanted.of(NftTable))} == {4}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_destroy_and_rollback_restore_forwarding_and_policy(generation: str) -> None:
    found = joined(generation)
    for state in (original_state(found), rollback_state(found)):
        (switch,) = state.of(Forwarding)
        assert not switch.on
        assert switch.policy in {"ACCEPT", None}
        assert state.docker
        assert state.docker.address6 is None


def test_forwarding_not_enabled_for_the_mesh_stays() -> None:
    found = facts("trixie_joined", {"ipv6_forwarding": "1"})
    assert original_state(found).of(Forwarding) == (Forwarding(6, on=True),)
    assert rollback_state(found).of(Forwarding) == (Forwarding(6, on=True),)


def test_ipv6_of_the_operator_stays_without_an_ipv6_mesh() -> None:
    pools = [{"base": "fd00:78::/48", "size": 64}]
    text = json.dumps({"ipv6": True, "fixed-cidr-v6": "fd00:77::/64", "default-address-pools": pools})
    networks = json.loads(section_text("trixie_fresh", "docker_networks").split("\n")[0])
    networks[3].append({"Subnet": "fd00:77::/64"})
    own: dict[str, SectionOutput] = {
        "daemon.json": file(text),
        "addresses6": "7: docker0    inet6 fd00:77::1/64",
        "docker_networks": json.dumps(networks),
        "docker_info": json.dumps(
            json.loads(section_text("trixie_fresh", "docker_info").split("\n")[-1])
            | {"DefaultAddressPools": [{"Base": "fd00:78::/48", "Size": 64}]}
        ),
    }
    found = facts("trixie_fresh", own)
    wanted = desired(FLEET, FLEET.host("host2"), found, WIDE, TEMPLATES)
    assert found.actual.docker
    assert found.actual.docker.address6 == IPv6Interface("fd00:77::1/64")
    assert wanted.docker
    assert wanted.docker.address6 == IPv6Interface("fd00:77::1/64")
    assert wanted.docker.pools[-1] == Pool(IPv6Network("fd00:78::/48"), 64)
    assert keys(wanted)["fixed-cidr-v6"] == "fd00:77::/64"


def test_a_leftover_ipv6_address_of_docker0_is_ignored() -> None:
    found = facts("trixie_fresh", {"addresses6": "7: docker0    inet6 fd00:77::1/64"})
    assert found.actual.docker == DockerNetworking(IPv4Interface("172.17.0.1/16"))


def test_ipv6_pools_fill_the_prefix_up_to_a_48() -> None:
    bridge = desired(DUAL, HOST3, joined("forky"), WIDE, TEMPLATES).docker
    assert bridge
    six = [pool for pool in bridge.pools if isinstance(pool.base, IPv6Network)]
    assert [str(pool.base) for pool in six][:2] == ["fd00:10:128:201::/64", "fd00:10:128:202::/63"]
    assert {pool.size for pool in six} == {64}
    wide = with_ipv6(FLEET.hosts[2], "fd00:18::3", "fd00::/32", "fd00::1/64")
    found = desired(fleet(wide), wide, joined("forky"), WIDE, TEMPLATES).docker
    assert found
    assert all(pool.base.prefixlen >= 48 for pool in found.pools if isinstance(pool.base, IPv6Network))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_fresh_host_has_no_ipv6_conflict(generation: str) -> None:
    assert found_conflicts({}, generation=generation) == []


@pytest.mark.parametrize(
    ("changes", "code", "key", "named", "remedy"),
    [
        ({"ipv6_forwarding": ""}, "ipv6-missing", "ipv6", [], ["underlay6", "prefix6"]),
        ({"addresses6": ""}, "underlay-missing", "fd00:18::c0a8:1282", [], ["underlay6"]),
        ({"peer_routes6": ""}, "no-path-to-peer", "fd00:18::c0a8:1280", ["host1"], []),
        (
            {"peer_routes6": "fd00:18::c0a8:1280 from :: via fd00:18::1 dev eth0 src fd00:18::c0a8:1282 metric 1024"},
            "next-hop-off-link",
            "fd00:18::c0a8:1280",
            ["host1", "fd00:18::1", "eth0"],
            ["fd00:10:128::/56", "fd00:18::1"],
        ),
        (
            {"routes6": "fd00:10:128:100::/64 via fd00:18::9 dev eth0 proto static metric 1024 pref medium"},
            "foreign-route-wins",
            "fd00:10:128:100::/56",
            ["host2", "fd00:10:128:100::/64 via fd00:18::9 dev eth0"],
            ["ip -6 route del fd00:10:128:100::/64 metric 1024"],
        ),
        (
            {"routes6": "default via fe80::1 dev eth0 proto ra metric 1024 pref medium", "accept_ra": "eth0 1"},
            "accept-ra-too-low",
            "net/ipv6/conf/eth0/accept_ra",
            ["1"],
            ["sysctl -w net/ipv6/conf/eth0/accept_ra=2"],
        ),
        (
            {"tools": "/usr/sbin/ip\n/usr/sbin/iptables\n/usr/bin/docker"},
            "ip6tables-missing",
            "ip6tables",
            [],
            ["install iptables"],
        ),
        (
            {"daemon_arguments": "dockerd\n--ipv6\n--fixed-cidr-v6=fd00::/64"},
            "docker-flag",
            "docker",
            ["--ipv6"],
            ["docker.service"],
        ),
        (
            {"daemon_arguments": "dockerd\n--ipv6\n--fixed-cidr-v6=fd00::/64"},
            "docker-flag",
            "docker",
            ["--fixed-cidr-v6=fd00::/64"],
            ["docker.service"],
        ),
    ],
)
def test_an_ipv6_conflict_names_its_remedy(
    changes: Mapping[str, SectionOutput], code: str, key: str, named: list[str], remedy: list[str]
) -> None:
    found = found_conflicts(changes)
    assert any(
        (each.code, each.key) == (code, key)
        and all(part in each.message for part in named)
        and all(part in each.remedy for part in remedy)
        for each in found
    ), found


@pytest.mark.parametrize("value", ["eth0 2", "eth0 0", "eth1 1", ""])
def test_a_default_route_that_survives_forwarding_is_no_conflict(value: str) -> None:
    default = "default via fe80::1 dev eth0 proto ra metric 1024 pref medium"
    assert found_conflicts({"routes6": default, "accept_ra": value}) == []


def test_another_address_of_docker0_needs_docker_28() -> None:
    def odd(number: int) -> Host:
        me = DUAL.hosts[number]
        assert me.ipv6
        return replace(me, ipv6=replace(me.ipv6, bridge=IPv6Interface(f"fd00:10:128:{number * 256:x}::7/64")))

    assert found_conflicts({}, of=odd(2)) == []
    (conflict,) = found_conflicts({}, generation="trixie", of=odd(1))
    assert (conflict.code, conflict.key) == ("bridge6-not-first", "fd00:10:128:100::7/64")
    assert "28" in conflict.message
    assert "bridge6 to fd00:10:128:100::1/64" in conflict.remedy


def test_a_host_without_docker_must_forward_ipv6() -> None:
    kvm = with_ipv6(host("kvm", "192.168.18.129", docker=False), "fd00:18::c0a8:1281", "fd00:9::/64")
    found = facts("no_docker", {"addresses6": "2: eth0    inet6 fd00:18::c0a8:1281/64"}, of=kvm)
    (conflict,) = conflicts(fleet(kvm), kvm, found, WIDE)
    assert (conflict.code, conflict.key) == ("ipv6-forwarding-off", "net.ipv6.conf.all.forwarding")
    assert "fd00:9::/64" in conflict.message
    assert conflict.remedy == "sysctl -w net.ipv6.conf.all.forwarding=1"


@pytest.mark.parametrize(("forwarding6", "missing"), [("", True), ("0", False)])
def test_ipv4_forwarding_does_not_hide_a_missing_ipv6(forwarding6: str, missing: bool) -> None:
    me = DUAL.host("host3")
    assert me.ipv6
    said: dict[str, SectionOutput] = {
        "addresses6": f"2: eth0    inet6 {me.ipv6.underlay}/64",
        "ipv6_forwarding": forwarding6,
    }
    found = facts("nftables_fresh", said, of=me)
    assert found.actual.forwarding(4)
    kinds = {(each.code, each.key) for each in conflicts(DUAL, me, found, WIDE)}
    assert (("ipv6-missing", "ipv6") in kinds) is missing
    assert ("ipv6-with-nftables", "docker") in kinds


def test_an_ipv6_network_outside_the_prefix_gets_a_note() -> None:
    found = joined("forky")
    assert found.docker
    odd = DockerNetwork("old", "bridge", "br-old", (IPv6Network("fd00:77::/64"),))
    crowded = replace(found, docker=replace(found.docker, networks=(*found.docker.networks, odd)))
    (note,) = notes(HOST3, crowded, WIDE)
    assert (note.code, note.key) == ("network-outside-prefix", "network old")
    assert "fd00:77::/64" in note.message
    assert "fd00:10:128:200::/56" in note.message


def test_a_host_without_ipv6_on_docker0_has_not_joined() -> None:
    assert HOST1.bridge
    assert HOST1.ipv6
    assert HOST1.ipv6.bridge
    found = JoinState(frozenset([HOST1.bridge]))
    assert not_joined_reason(HOST1, found, 4) is None
    assert "host1 has not joined with IPv6: its docker0 is without address" in (
        not_joined_reason(HOST1, found, 6) or ""
    )
    assert not_joined_reason(HOST1, JoinState(frozenset([HOST1.bridge, HOST1.ipv6.bridge])), 6) is None
    assert not_joined_reason(FLEET.hosts[0], found, 6) is None


def test_ipv6_next_hops_are_ipv6_underlay_addresses() -> None:
    routes = mesh_routes(DUAL, HOST1, joined("bookworm").peer_routes)
    assert {str(each.next_hop) for each in routes if each.prefix.version == 6} == {
        str(IPv6Address("fd00:18::c0a8:1281")),
        str(IPv6Address("fd00:18::c0a8:1282")),
    }
