"""Conflicts and notes: their codes, the facts that they name, and their remedies."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import pytest
from builders import (
    FLEET,
    GENERATIONS,
    HOST1,
    HOST2,
    HOST3,
    WIDE,
    SectionOutput,
    facts,
    fleet,
    host,
    recording,
    section_text,
)
from hypothesis import given
from hypothesis import strategies as st
from strategies import fleets

from dockmesh.core.facts.docker import Container, DockerFacts, DockerNetwork
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute, PeerRoute, PeerRoutes
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.conflicts.network import conflicts, notes, pending_change, removal_conflicts
from dockmesh.core.planning.findings import Conflict, ConflictCode, NoteCode
from dockmesh.core.state.resources import DockerNetworking, HostState

FRESH = "trixie_fresh"
ROUTES = {ConflictCode.FOREIGN_ROUTE_WINS, ConflictCode.INSIDE_FOREIGN_NETWORK}
LAN = "2: eth0    inet 192.168.18.129/20 scope global eth0"


def found_conflicts(changes: dict[str, SectionOutput], *, me: Host = HOST2, among: Fleet = FLEET) -> list[Conflict]:
    return list(conflicts(among, me, facts(FRESH, changes, of=me), WIDE))


def fresh_text(name: str) -> str:
    """The text of a section of the fresh host, to append lines to it."""
    text = recording(FRESH).split(f"\n@{name} 0\n")[1].split("\n@")[0]
    return "\n".join(line[1:] for line in text.split("\n"))


def with_lines(name: str, *lines: str) -> dict[str, SectionOutput]:
    return {name: "\n".join((fresh_text(name), *lines))}


def daemon_json(text: str) -> dict[str, SectionOutput]:
    return {"daemon.json": f"644\n{b64encode(text.encode()).decode()}"}


def network(name: str, subnet: str) -> dict[str, SectionOutput]:
    return with_lines("docker_networks", json.dumps([name, "bridge", {}, [{"Subnet": subnet}], "abcdef0123456789"]))


@pytest.mark.parametrize("name", [f"{each}_{state}" for each in GENERATIONS for state in ("fresh", "joined")])
def test_hosts_of_the_lab_have_no_conflict(name: str) -> None:
    me = FLEET.host(GENERATIONS[name.split("_", maxsplit=1)[0]])
    found = facts(name)
    assert list(conflicts(FLEET, me, found, WIDE)) == []
    assert found.pending is None


@given(fleets(), st.booleans())
def test_a_clean_fleet_has_no_conflict(drawn: Fleet, moved: bool) -> None:
    for me in drawn.hosts:
        docker = DockerFacts(
            "28.5.2",
            "iptables",
            live_restore=False,
            rootless=False,
            swarm=False,
            fragment="",
            arguments=("-H", "fd://", "--iptables=true"),
            networks=(DockerNetwork("bridge", "bridge", "docker0", ()),),
            containers=(Container("1", "web", auto_remove=False, address=None),),
        )
        bridge = (("docker0", me.bridge),) if me.bridge and moved else ()
        found = HostFacts(
            host=me.name,
            basis="",
            tools=frozenset({"nft"}),
            ip_forward=True,
            addresses=(("lo", host("lo", "1.1.1.1", bridge="127.0.0.1/8").bridge), ("eth0", _lan(me)), *bridge),
            foreign_routes=(),
            peer_routes=PeerRoutes(
                [(peer.underlay, PeerRoute("eth0", None, local=False)) for peer in drawn.hosts if peer != me]
            ),
            links={},
            docker=docker if me.docker else None,
            previous=None,
            pending=None,
            docker_user=frozenset([4]),
            actual=HostState((DockerNetworking(None),)),
        )
        assert list(conflicts(drawn, me, found, WIDE)) == []


def _lan(me: Host) -> object:
    return host("lan", "1.1.1.1", bridge=f"{me.underlay}/16").bridge


# The change of the host, then code and key, and the parts of message and remedy.
CONFLICTS: dict[str, tuple[dict[str, SectionOutput], str, str, list[str], list[str]]] = {
    "underlay on no interface": (
        {"addresses": "2: eth0    inet 192.168.18.29/20 scope global eth0"},
        "underlay-missing",
        "192.168.18.129",
        [],
        ["underlay "],
    ),
    "no path to a peer": (
        {"peer_routes": "192.168.18.130 dev eth0 src 192.168.18.129 uid 0"},
        "no-path-to-peer",
        "192.168.18.128",
        ["host1"],
        [],
    ),
    "own address as a peer's underlay": (
        with_lines("peer_routes", "local 192.168.18.128 dev lo src 192.168.18.128 uid 0"),
        "underlay-is-own-address",
        "192.168.18.128",
        ["host1"],
        ["host1"],
    ),
    "off-link next hop": (
        with_lines("peer_routes", "192.168.18.128 via 192.168.16.1 dev eth0 src 192.168.18.129 uid 0"),
        "next-hop-off-link",
        "192.168.18.128",
        ["host1", "192.168.16.1", "eth0"],
        ["10.128.0.0/20", "192.168.16.1"],
    ),
    "another LAN inside a peer's prefix": (
        with_lines("addresses", "3: eth1    inet 10.128.3.7/24 scope global eth1"),
        "prefix-overlap",
        "10.128.0.0/20",
        ["host1", "10.128.3.0/24", "eth1"],
        [],
    ),
    "a VPN around a peer's prefix, by address": (
        with_lines("addresses", "5: wg0    inet 10.128.40.9/19 scope global wg0"),
        "prefix-overlap",
        "10.128.32.0/20",
        ["host3", "10.128.32.0/19", "wg0"],
        [],
    ),
    "a Docker network inside a peer's prefix": (
        network("app", "10.128.4.0/24"),
        "docker-network-overlap",
        "10.128.0.0/20",
        ["host1", "app", "10.128.4.0/24"],
        [],
    ),
    "a Docker network that overlaps docker0": (
        network("app", "10.128.16.0/24"),
        "bridge-overlap",
        "10.128.16.0/24",
        ["docker0", "app", "10.128.16.0/24"],
        [],
    ),
    "a LAN inside the own prefix": (
        with_lines("addresses", "3: eth1    inet 10.128.17.7/24 scope global eth1"),
        "own-prefix-overlap",
        "10.128.16.0/20",
        ["10.128.17.0/24", "eth1"],
        [],
    ),
    "a foreign route to the same prefix with a lower metric": (
        with_lines("routes", "10.128.0.0/20 via 192.168.16.9 dev eth0 proto static metric 100 "),
        "foreign-route-wins",
        "10.128.0.0/20",
        ["10.128.0.0/20 via 192.168.16.9 dev eth0, proto static, metric 100", "host1"],
        ["ip route del 10.128.0.0/20 metric 100"],
    ),
    "a more specific foreign route, whatever its metric": (
        with_lines("routes", "10.128.1.0/24 dev tun0 metric 9999 "),
        "foreign-route-wins",
        "10.128.0.0/20",
        ["10.128.1.0/24 dev tun0, proto boot, metric 9999", "host1"],
        ["ip route del 10.128.1.0/24 metric 9999"],
    ),
    "a discarding route inside a peer's prefix": (
        with_lines("routes", "blackhole 10.128.1.0/24 "),
        "foreign-route-wins",
        "10.128.0.0/20",
        ["10.128.1.0/24, proto boot, metric 0", "host1"],
        ["ip route del 10.128.1.0/24 metric 0"],
    ),
    "an unknown firewall backend": (
        {
            "docker_info": (
                0,
                fresh_text("docker_info").replace(
                    '"SecurityOptions"', '"FirewallBackend":{"Driver":"ebpf"},"SecurityOptions"'
                ),
            )
        },
        "firewall-backend-unknown",
        "docker",
        ["ebpf"],
        ["firewall-backend"],
    ),
    "a swarm": (
        {
            "docker_info": (
                0,
                fresh_text("docker_info").replace('"LocalNodeState":"inactive"', '"LocalNodeState":"active"'),
            )
        },
        "docker-swarm",
        "docker",
        [],
        ["docker swarm leave", "docker: false"],
    ),
    "rootless": (
        {"docker_info": (0, fresh_text("docker_info").replace("name=cgroupns", "name=rootless"))},
        "docker-rootless",
        "docker",
        [],
        [],
    ),
    "bip as a flag": (
        with_lines("daemon_arguments", "--bip=10.1.0.1/24"),
        "docker-flag",
        "docker",
        ["--bip=10.1.0.1/24", "daemon.json"],
        ["docker.service"],
    ),
    "bip as a flag in two words": (
        with_lines("daemon_arguments", "--bip", "10.1.0.1/24"),
        "docker-flag",
        "docker",
        ["--bip"],
        ["docker.service"],
    ),
    "bridge as a flag": (
        with_lines("daemon_arguments", "-b", "br0"),
        "docker-flag",
        "docker",
        [" -b,"],
        ["docker.service"],
    ),
    "iptables off as a flag": (
        with_lines("daemon_arguments", "--iptables=false"),
        "docker-flag",
        "docker",
        ["--iptables=false"],
        ["docker.service"],
    ),
    "another configuration file": (
        with_lines("daemon_arguments", "--config-file", "/etc/d.json"),
        "docker-config-file",
        "docker",
        ["/etc/d.json"],
        ["--config-file", "/etc/docker/daemon.json"],
    ),
    "bridge as a key": (
        daemon_json('{"bridge": "none"}'),
        "daemon-json-bridge",
        "/etc/docker/daemon.json",
        ["'none'", "bip"],
        [],
    ),
    "iptables off as a key": (
        daemon_json('{"iptables": false}'),
        "daemon-json-iptables",
        "/etc/docker/daemon.json",
        ["iptables", "false"],
        [],
    ),
    "broken daemon.json": (
        daemon_json('{"debug": tru'),
        "daemon-json-invalid",
        "/etc/docker/daemon.json",
        ["JSON", "line 1 column 11"],
        [],
    ),
}


@pytest.mark.parametrize("kind", CONFLICTS)
def test_a_conflict_names_both_sides_and_the_remedy(kind: str) -> None:
    changes, code, key, named, remedies = CONFLICTS[kind]
    (found,) = found_conflicts(changes)
    assert (found.code, found.key) == (code, key)
    assert [part for part in named if part not in found.message] == []
    assert [part for part in remedies if part not in found.remedy] == []
    assert found.remedy
    assert str(found) == f"{found.key}: {found.message}. Fix: {found.remedy}"


@pytest.mark.parametrize(
    "route", ["10.0.0.0/8 dev tun0 scope link", "10.128.0.0/16 dev wg0 proto static scope link metric 50"]
)
def test_a_foreign_network_around_peers_is_one_conflict(route: str) -> None:
    prefix, _dev, device, *_ = route.split()
    (found,) = found_conflicts(with_lines("routes", route))
    assert (found.code, found.key) == ("inside-foreign-network", prefix)
    assert all(part in found.message for part in ("host1", "host3", f"({prefix} dev {device}, "))
    assert found.remedy


@pytest.mark.parametrize(
    "route",
    [
        "default via 192.168.16.1 dev eth0",
        "default dev ppp0 scope link",
        "0.0.0.0/1 dev tun0 scope link",
        "10.0.0.0/8 via 192.168.16.1 dev eth0 proto static",
        "blackhole 10.0.0.0/8",
        "10.128.0.0/20 via 192.168.16.9 dev eth0 metric 5000",
        "10.129.0.0/16 dev tun0 scope link",
        "10.0.0.0/8 \\\tnexthop via 192.168.16.1 dev eth0 weight 1 \\\tnexthop via 192.168.16.2 dev eth0",
    ],
)
def test_a_foreign_route_that_loses_is_no_conflict(route: str) -> None:
    assert found_conflicts(with_lines("routes", route)) == []


@pytest.mark.parametrize(
    "changes",
    [
        network("app", "10.128.20.0/24"),
        network("six", "fd00::/64"),
        with_lines("daemon_arguments", "--iptables=true", "--config-file=/etc/docker/daemon.json"),
        daemon_json('{"bip": "10.200.0.1/24", "iptables": true}'),
        with_lines("addresses", "5: tun0    inet 10.200.0.1/32 scope global tun0"),
    ],
)
def test_a_harmless_network_or_key_is_no_conflict(changes: dict[str, SectionOutput]) -> None:
    assert found_conflicts(changes) == []


def test_the_number_of_conflicts_does_not_grow_with_the_number_of_routes() -> None:
    """10,000 routes, each around the prefixes of 99 peers or inside the prefix of one."""
    hosts = (host(f"h{at}", f"192.168.16.{at + 1}", f"10.{at}.0.0/16", docker=False) for at in range(100))
    among = fleet(*hosts)
    me = among.hosts[0]
    recorded = replace(facts(FRESH, of=HOST2), docker=None)
    around = [KernelRoute(ip_network("10.0.0.0/8"), None, "tun0", "static", metric) for metric in range(5000)]
    inside = [KernelRoute(ip_network(f"10.9.{at // 256}.{at % 256}"), None, "tun0", "bird", 0) for at in range(5000)]
    found = replace(recorded, host=me.name, foreign_routes=(*around, *inside))
    routes = [each for each in conflicts(among, me, found, WIDE) if each.code in ROUTES]
    assert [(each.code, each.key) for each in routes] == [
        (ConflictCode.INSIDE_FOREIGN_NETWORK, "10.0.0.0/8"),
        (ConflictCode.FOREIGN_ROUTE_WINS, "10.9.0.0/16"),
    ]
    assert all("5000" in each.message and len(str(each)) < 1000 for each in routes)
    assert "96 more" in routes[0].message


def test_more_than_100_conflicts_of_a_kind_are_counted() -> None:
    networks = [json.dumps([f"n{at}", "bridge", {}, [{"Subnet": "10.128.0.0/24"}], "0" * 12]) for at in range(300)]
    many = with_lines("docker_networks", *networks)
    (found,) = (each for each in found_conflicts(many) if each.code == ConflictCode.DOCKER_NETWORK_OVERLAP)
    assert "297 more" in found.message
    outside = [each.key for each in notes(HOST2, facts(FRESH, many, of=HOST2), WIDE)]
    assert (len(outside), outside[-1]) == (101, "200 more")


def test_all_conflicts_are_reported_in_a_stable_order() -> None:
    changes = (
        with_lines("routes", "10.128.1.0/24 dev tun0", "10.128.2.0/24 dev tun0")
        | network("app", "10.128.0.0/12")
        | daemon_json('{"bridge": "br0", "iptables": false}')
    )
    found = found_conflicts(changes)
    assert [(each.code, each.key) for each in found] == [
        ("docker-network-overlap", "10.128.0.0/12"),
        ("bridge-overlap", "10.128.16.0/24"),
        ("foreign-route-wins", "10.128.0.0/20"),
        ("daemon-json-bridge", "/etc/docker/daemon.json"),
        ("daemon-json-iptables", "/etc/docker/daemon.json"),
    ]
    assert found == found_conflicts(changes)


def test_a_pending_change_is_a_conflict() -> None:
    pending = facts(FRESH, {"pending": "run ann@desk since noon"}).pending
    assert pending
    found = pending_change(HOST2, pending)
    assert (found.code, found.key) == ("change-pending", "/etc/dockmesh/pending")
    assert "ann@desk since noon" in found.message
    assert found.remedy


@pytest.mark.parametrize(
    ("prefix", "changes", "expected"),
    [
        (None, {}, None),
        (None, {"ip_forward": "0"}, None),
        ("10.9.0.0/24", {}, None),
        ("10.9.0.0/24", {"ip_forward": "0"}, ("ip-forward-off", "ip_forward")),
        ("10.9.0.0/24", {"addresses": f"{LAN}\n3: virbr0    inet 10.9.0.1/24 scope global virbr0"}, None),
        (
            "10.9.0.0/24",
            {"addresses": f"{LAN}\n3: eth1    inet 10.9.0.1/16 scope global eth1"},
            ("own-prefix-overlap", "10.9.0.0/24"),
        ),
        (
            None,
            {"addresses": f"{LAN}\n3: virbr0    inet 10.128.1.1/24 scope global virbr0"},
            ("prefix-overlap", "10.128.0.0/20"),
        ),
        (
            None,
            {"addresses": f"{LAN}\n3: docker0    inet 10.128.1.1/24 scope global docker0"},
            ("prefix-overlap", "10.128.0.0/20"),
        ),
        (
            None,
            {"peer_routes": "192.168.18.128 via 192.168.16.1 dev eth0\n192.168.18.130 dev eth0"},
            ("next-hop-off-link", "192.168.18.128"),
        ),
    ],
)
def test_a_host_without_docker_has_the_conflicts_of_its_networks(
    prefix: str | None, changes: dict[str, SectionOutput], expected: tuple[str, str] | None
) -> None:
    me = host("host2", "192.168.18.129", prefix, docker=False)
    found = conflicts(fleet(HOST1, me, HOST3), me, facts("no_docker", changes, of=me), WIDE)
    assert [(each.code, each.key) for each in found] == ([expected] if expected else [])


def test_the_remedy_for_missing_forwarding_enables_it() -> None:
    me = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    (found,) = conflicts(fleet(HOST1, me, HOST3), me, facts("no_docker", {"ip_forward": "0"}, of=me), WIDE)
    assert "10.9.0.0/24" in found.message
    assert found.remedy == "sysctl -w net.ipv4.ip_forward=1"


def test_a_peer_without_prefix_may_be_off_link() -> None:
    bare = host("db", "192.168.18.128", docker=False)
    found = facts(FRESH, with_lines("peer_routes", "192.168.18.128 via 192.168.16.1 dev eth0"))
    assert found.peer_routes[bare.underlay].next_hop == IPv4Address("192.168.16.1")
    assert list(conflicts(fleet(bare, HOST2, HOST3), HOST2, found, WIDE)) == []


def test_a_pool_flag_is_a_conflict() -> None:
    said = {"daemon_arguments": "/usr/sbin/dockerd\n--default-address-pool=base=10.0.0.0/8,size=24"}
    (conflict,) = found_conflicts(said)
    assert (conflict.code, conflict.key) == ("docker-flag", "docker")
    assert "--default-address-pool=base=10.0.0.0/8,size=24" in conflict.message
    assert "docker.service" in conflict.remedy


def test_flushed_rules_of_docker_are_a_conflict() -> None:
    (conflict,) = found_conflicts({"filter": ":FORWARD ACCEPT [0:0]"})
    assert (conflict.code, conflict.key, conflict.remedy) == (
        "docker-user-missing",
        "DOCKER-USER",
        "systemctl restart docker",
    )


def test_only_a_network_outside_the_prefix_gets_a_note() -> None:
    (note,) = notes(HOST2, facts(FRESH, network("app", "172.19.0.0/16")), WIDE)
    assert (note.code, note.key) == ("network-outside-prefix", "network app")
    assert "172.19.0.0/16" in note.message
    assert "10.128.16.0/20" in note.message
    assert note.remedy
    assert list(notes(HOST2, facts(FRESH, network("app", "10.128.17.0/24")), WIDE)) == []


def test_the_note_names_the_ports_that_dockmesh_opens_outside_the_prefix() -> None:
    texts = [
        str(note)
        for name, me in (("nftables_joined", FLEET.host("host3")), ("trixie_joined", HOST2))
        for note in notes(me, facts(name, network("app", "172.19.0.0/16")), WIDE)
    ]
    assert ["allow-direct-routing opens its published ports" in text for text in texts] == [True, False]


def test_the_remedy_differs_if_docker0_uses_the_whole_prefix() -> None:
    full = host("host2", "192.168.18.129", "172.20.0.0/16", "172.20.0.1/16")
    (note,) = notes(full, facts(FRESH, network("app", "172.19.0.0/16"), of=full), WIDE)
    (roomy,) = notes(HOST2, facts(FRESH, network("app", "172.19.0.0/16")), WIDE)
    assert (note.code, note.key) == (roomy.code, roomy.key)
    assert "docker0" in note.remedy
    assert "docker0" not in roomy.remedy


def test_a_foreign_chain_that_drops_is_a_conflict_without_iptables() -> None:
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    dropping = "table inet mine {\n\tchain f {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}"
    sections: dict[str, SectionOutput] = {"tools": "/usr/sbin/nft", "foreign_nft": dropping, "ip_forward": "1"}
    (found,) = conflicts(fleet(kvm), kvm, facts("no_docker", sections, of=kvm), WIDE)
    assert (found.code, found.key) == ("foreign-chain-drops", "nft")
    assert "meta mark & 0x1000 == 0x1000 accept" in found.remedy
    # As nft lists the rule of the remedy.
    accepting = dropping.replace("drop;\n", "drop;\n\t\tmeta mark & 0x00001000 == 0x00001000 accept\n")
    assert (
        list(conflicts(fleet(kvm), kvm, facts("no_docker", sections | {"foreign_nft": accepting}, of=kvm), WIDE)) == []
    )
    other = sections | {"foreign_nft": accepting.replace("0x00001000", "0x00002000")}
    assert list(conflicts(fleet(kvm), kvm, facts("no_docker", other, of=kvm), WIDE)) == [found]
    assert list(conflicts(fleet(kvm), kvm, facts("no_docker", sections | {"foreign_nft": ""}, of=kvm), WIDE)) == []


def test_a_joined_host_leaves_only_with_nft() -> None:
    def found(name: str, nft: str) -> list[str]:
        tools = section_text(name, "tools").replace("/usr/sbin/nft", nft)
        return [each.code for each in removal_conflicts(facts(name, {"tools": tools}))]

    assert found("trixie_joined", "") == ["nft-missing"]
    assert found("trixie_joined", "/usr/sbin/nft") == found(FRESH, "") == []


def test_a_host_with_a_prefix_needs_nft() -> None:
    without: dict[str, SectionOutput] = {"tools": section_text(FRESH, "tools").replace("nft", "no")}
    (found,) = conflicts(FLEET, HOST2, facts(FRESH, without), WIDE)
    assert (found.code, found.remedy[:24]) == ("nft-missing", "apt-get install nftables")
    bare = host("host2", "192.168.18.129", docker=False)
    assert list(conflicts(fleet(bare), bare, facts("no_docker", {"tools": "/usr/sbin/ip"}, of=bare), WIDE)) == []


@pytest.mark.parametrize(
    ("rule", "used"),
    [
        ("-A FORWARD -m mark --mark 0x1000/0x1000 -j DROP", True),
        ("-A FORWARD -m mark --mark 0x1001 -j DROP", True),
        ("-A FORWARD -m mark --mark 0xca6c -j DROP", False),
        # iptables-save prints no such mark, but a comment may contain it.
        ("-A FORWARD -m mark --mark 010 -j DROP", False),
        ("-A PREROUTING -j MARK --set-xmark 0x1000/0x1000", True),
        ("-A PREROUTING -m mark --mark 0x1/0xff -j MARK --set-xmark 0x1000/0xffffffff", True),
        ("-A PREROUTING -p tcp -j TPROXY --on-port 1 --on-ip 0.0.0.0 --tproxy-mark 0x1000/0x1000", True),
        ("-A FORWARD -m mark --mark 0x40000/0xff0000 -j ACCEPT", False),
        ("-A PREROUTING -p udp -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", False),
        ("-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff", False),
        ("-A FORWARD -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT", False),
    ],
)
def test_other_users_of_the_mark_are_a_note(rule: str, used: bool) -> None:
    found = notes(HOST2, facts(FRESH, {"iptables_rules": f"*filter\n{rule}"}), WIDE)
    assert [(each.code, each.key) for each in found] == [("mark-in-use", "mark")] * used


@pytest.mark.parametrize(("mark", "used"), [("0x1000/0x1000", True), ("0x2000/0xf000", True), ("0xca6c", False)])
def test_a_routing_rule_may_use_the_mark(mark: str, used: bool) -> None:
    found = notes(HOST2, facts(FRESH, {"ip_rules": f"100:\tfrom all fwmark {mark} lookup 100"}), WIDE)
    assert [(each.code, each.key) for each in found] == [("mark-in-use", "mark")] * used


def test_codes_have_hyphens_and_are_unique() -> None:
    for kind in (ConflictCode, NoteCode):
        assert [each for each in kind if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", each)] == []
        assert len(kind) == len(kind.__members__), "no member is another name of an earlier one"
    assert {*ConflictCode}.isdisjoint(NoteCode)


def test_a_conflict_without_remedy_prints_none() -> None:
    assert str(Conflict(ConflictCode.DOCKER_SWARM, "docker", "it is so", "")) == "docker: it is so"
