"""IPv6 beside IPv4: what hosts of three generations answered in a dual-stack lab, and what is made of it."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, IPv6Network

import pytest
from builders import FLEET, GENERATIONS, WIDE, SectionOutput, facts, fleet, host, plan_of, section_text, with_ipv6

from dockmesh.core.addresses import Address
from dockmesh.core.desired.firewall import chains, source_nat
from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.desired.routing import mesh_routes, underlays
from dockmesh.core.facts.docker import DockerNetwork
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON, REASSERT_SCRIPT
from dockmesh.core.peers import peers
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.findings import Conflict
from dockmesh.core.probes.join_state import JoinState, not_joined_reason
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import difference
from dockmesh.core.state.resources import (
    Chain,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    Pool,
    Route,
    SourceNat,
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
    """Addresses of the LAN, which the fresh hosts were recorded without."""
    me = DUAL.host(GENERATIONS[generation])
    assert me.ipv6
    ways = "\n".join(f"{each} from :: dev eth0 proto kernel src {me.ipv6.underlay} metric 256" for each in _others(me))
    tools = section_text(f"{generation}_dual", "tools")
    return {"addresses6": f"2: eth0    inet6 {me.ipv6.underlay}/64", "peer_routes6": ways, "tools": tools}


def _others(me: Host) -> list[Address]:
    return [each.ipv6.underlay for each in DUAL.hosts if each != me and each.ipv6]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_host_that_has_joined_in_both_families_is_as_the_inventory_wants_it(generation: str) -> None:
    found = joined(generation)
    me = DUAL.host(found.host)
    # The recorded host has the script of its day.
    assert {key_of(change.resource) for change in plan_of(found, me, DUAL).changes} <= {("file", REASSERT_SCRIPT)}
    assert list(conflicts(DUAL, me, found, WIDE)) == []
    assert list(notes(me, found, WIDE)) == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_all_of_ipv6_is_read(generation: str) -> None:
    found = joined(generation)
    me = DUAL.host(found.host)
    assert me.ipv6
    assert found.actual.docker
    assert found.actual.docker.address6 == me.ipv6.bridge
    assert found.actual.docker.startup_json is None
    assert found.actual.of(Forwarding) == (Forwarding(6, on=True),)
    assert {each.prefix for each in found.actual.of(SourceNat)} == {me.prefix, me.ipv6.prefix}
    assert len(found.actual.of(Chain)) == 4
    assert len(found.actual.of(Route)) == 4
    assert found.docker_user == ({4} if generation in BEFORE_27 else {4, 6})


@pytest.mark.parametrize("generation", BEFORE_27)
def test_where_docker_has_no_rules_for_ipv6_the_prefix_is_closed_to_all_but_peers(generation: str) -> None:
    found = joined(generation)
    me = DUAL.host(found.host)
    (chain,) = (each for each in chains(me, peers(DUAL, me), found) if each.family == 6 and each.table == "filter")
    assert me.ipv6
    assert chain.hook == "FORWARD"
    assert chain.rules[-1] == f"! -s {me.ipv6.prefix} -j DROP"
    assert f"! -d {me.ipv6.prefix} -j RETURN" in chain.rules
    (plan,) = (each for each in difference(HostState(), HostState((chain,))))
    assert plan.action == "add"


def test_where_docker_has_them_nothing_is_closed_that_it_decides_on() -> None:
    found = joined("forky")
    (chain,) = (
        each for each in chains(HOST3, peers(DUAL, HOST3), found) if each.family == 6 and each.table == "filter"
    )
    assert chain.hook == "DOCKER-USER"
    assert not any(rule.endswith("DROP") for rule in chain.rules)


def test_narrowed_icmp_stays_open_by_the_name_that_it_has_in_ipv6() -> None:
    narrow = replace(HOST3, allow=())
    (chain, *_) = (each for each in chains(narrow, peers(DUAL, narrow), joined("forky")) if each.family == 6)
    assert any(" -p ipv6-icmp -j ACCEPT" in rule for rule in chain.rules)
    assert not any(" -p icmp " in rule for rule in chain.rules)


def test_without_nft_and_ip6tables_nothing_is_said_of_ipv6() -> None:
    bare = replace(joined("forky"), tools=frozenset({"iptables"}))
    assert {each.family for each in chains(HOST3, peers(DUAL, HOST3), bare)} == {4}
    assert {each.family for each in source_nat(HOST3, peers(DUAL, HOST3), bare)} == {4}


def test_a_host_without_a_part_in_ipv6_has_nothing_of_it_and_peers_none_of_its() -> None:
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
def test_a_host_that_leaves_ipv6_is_given_back_what_it_had_of_it(generation: str) -> None:
    found = joined(generation)
    wanted = desired(FLEET, FLEET.host(found.host), found, WIDE, TEMPLATES)
    assert set(keys(wanted)) == {"bip", "default-address-pools"}
    assert wanted.docker
    assert wanted.docker.address6 is None
    assert not any(isinstance(each.base, IPv6Network) for each in wanted.docker.pools)
    assert wanted.of(Forwarding) == (Forwarding(6, on=False),)
    assert {each.family for each in wanted.of(Chain)} == {4}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_destroy_and_rollback_switch_forwarding_off_with_the_policy_that_was(generation: str) -> None:
    found = joined(generation)
    for state in (original_state(found), rollback_state(found)):
        (switch,) = state.of(Forwarding)
        assert not switch.on
        assert switch.policy in {"ACCEPT", None}
        assert state.docker
        assert state.docker.address6 is None


def test_forwarding_that_was_not_switched_on_for_the_mesh_stays() -> None:
    found = facts("trixie_joined", {"ipv6_forwarding": "1"})
    assert original_state(found).of(Forwarding) == (Forwarding(6, on=True),)
    assert rollback_state(found).of(Forwarding) == (Forwarding(6, on=True),)


def test_ipv6_of_an_admins_own_stays_where_the_inventory_says_nothing_of_it() -> None:
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


def test_an_address_that_docker_left_on_docker0_is_not_its_own() -> None:
    found = facts("trixie_fresh", {"addresses6": "7: docker0    inet6 fd00:77::1/64"})
    assert found.actual.docker == DockerNetworking(IPv4Interface("172.17.0.1/16"))


def test_pools_of_ipv6_are_what_is_left_of_the_prefix_and_no_more_than_old_dockers_can_list() -> None:
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
def test_nothing_speaks_against_ipv6_on_a_fresh_host(generation: str) -> None:
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
def test_what_speaks_against_ipv6_is_named_with_its_remedy(
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
def test_a_default_route_that_stays_when_docker_forwards_is_no_conflict(value: str) -> None:
    default = "default via fe80::1 dev eth0 proto ra metric 1024 pref medium"
    assert found_conflicts({"routes6": default, "accept_ra": value}) == []


def test_another_address_of_docker0_takes_docker_28() -> None:
    def odd(number: int) -> Host:
        me = DUAL.hosts[number]
        assert me.ipv6
        return replace(me, ipv6=replace(me.ipv6, bridge=IPv6Interface(f"fd00:10:128:{number * 256:x}::7/64")))

    assert found_conflicts({}, of=odd(2)) == []
    (told,) = found_conflicts({}, generation="trixie", of=odd(1))
    assert (told.code, told.key) == ("bridge6-not-first", "fd00:10:128:100::7/64")
    assert "28" in told.message
    assert "bridge6 to fd00:10:128:100::1/64" in told.remedy


def test_a_host_without_docker_must_forward_what_it_is_routed() -> None:
    kvm = with_ipv6(host("kvm", "192.168.18.129", docker=False), "fd00:18::c0a8:1281", "fd00:9::/64")
    found = facts("no_docker", {"addresses6": "2: eth0    inet6 fd00:18::c0a8:1281/64"}, of=kvm)
    (told,) = conflicts(fleet(kvm), kvm, found, WIDE)
    assert (told.code, told.key) == ("ipv6-forwarding-off", "net.ipv6.conf.all.forwarding")
    assert "fd00:9::/64" in told.message
    assert told.remedy == "sysctl -w net.ipv6.conf.all.forwarding=1"


@pytest.mark.parametrize(("forwarding6", "missing"), [("", True), ("0", False)])
def test_nftables_forwarding_of_ipv4_does_not_hide_a_missing_ipv6(forwarding6: str, missing: bool) -> None:
    me = DUAL.host("host3")
    assert me.ipv6
    said: dict[str, SectionOutput] = {
        "addresses6": f"2: eth0    inet6 {me.ipv6.underlay}/64",
        "ipv6_forwarding": forwarding6,
    }
    found = facts("nftables_fresh", said, of=me)
    assert found.actual.forwarding(4)
    told = {(each.code, each.key) for each in conflicts(DUAL, me, found, WIDE)}
    assert (("ipv6-missing", "ipv6") in told) is missing
    assert ("ipv6-with-nftables", "docker") in told


def test_a_network_outside_the_prefix_of_its_family_is_named() -> None:
    found = joined("forky")
    assert found.docker
    odd = DockerNetwork("old", "bridge", "br-old", (IPv6Network("fd00:77::/64"),))
    crowded = replace(found, docker=replace(found.docker, networks=(*found.docker.networks, odd)))
    (note,) = notes(HOST3, crowded, WIDE)
    assert (note.code, note.key) == ("network-outside-prefix", "network old")
    assert "fd00:77::/64" in note.message
    assert "fd00:10:128:200::/56" in note.message


def test_a_host_that_joined_without_ipv6_is_told_so() -> None:
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


def test_next_hops_of_ipv6_are_its_underlay_addresses() -> None:
    routes = mesh_routes(DUAL, HOST1, joined("bookworm").peer_routes)
    assert {str(each.next_hop) for each in routes if each.prefix.version == 6} == {
        str(IPv6Address("fd00:18::c0a8:1281")),
        str(IPv6Address("fd00:18::c0a8:1282")),
    }
