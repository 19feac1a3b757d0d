"""The pairs that decide about a change: those that it affects, between hosts that are in the mesh."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from builders import FLEET, host, with_ipv6

from dockmesh.core.model import Fleet, Settings
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.probes.join_state import JoinState
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.rollout.affected import affected_peers, followed_hosts, network_owners
from dockmesh.core.rollout.selection import Membership, affected_pairs, canaries, selected
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import AcceptRules, DockerNetworking, File, NftTable, PeerSet, Route, Unit

OWNERS = network_owners(FLEET)
NAMES = frozenset(FLEET.positions)


def route(name: str, **changed: object) -> Route:
    peer = FLEET.host(name)
    assert peer.prefix
    return replace(Route(peer.prefix, peer.underlay, "eth0"), **changed)


def table(*names: str, chains: tuple[str, ...] = ("chain inbound {", "}")) -> NftTable:
    peers = [FLEET.host(name) for name in names]
    networks = [network for peer in peers for network in (IPv4Network(peer.underlay), peer.prefix) if network]
    return NftTable((PeerSet("peers", tuple(networks)),), chains)


def affected(*changes: Change) -> object:
    return affected_peers(HostPlan("host1", changes), OWNERS)


def test_a_route_and_a_set_element_affect_their_peer() -> None:
    assert affected(Change(None, route("host2"))) == {"host2"}
    assert affected(Change(table("host2"), table("host2", "host3"))) == {"host3"}


def test_files_and_units_affect_no_pair() -> None:
    assert affected(Change(None, File("/etc/x", "")), Change(None, Unit("dockmesh.timer", ""))) == set()


@pytest.mark.parametrize(
    "change",
    [
        Change(None, AcceptRules("raw", "PREROUTING", ("-j ACCEPT",))),
        Change(DockerNetworking(None), DockerNetworking(None, mtu=1400)),
        Change(None, table("host2")),
        Change(table("host2"), table("host2", chains=("chain forward {", "}"))),
    ],
)
def test_other_changes_affect_all_pairs_of_the_host(change: Change) -> None:
    assert affected(Change(None, route("host2")), change) is None


def test_a_route_that_replaces_another_follows_the_host_that_moved() -> None:
    old_prefix, old_hop = IPv4Network("10.200.0.0/20"), IPv4Address("192.168.18.250")
    moved_prefix = (Change(route("host2", prefix=old_prefix), None), Change(None, route("host2")))
    moved_underlay = (Change(route("host3", next_hop=old_hop), route("host3")),)
    assert followed_hosts(HostPlan("host1", moved_prefix), OWNERS) == {"host2"}
    assert followed_hosts(HostPlan("host1", moved_underlay), OWNERS) == {"host3"}


def test_a_new_route_and_the_route_of_a_host_that_left_follow_no_host() -> None:
    gone = route("host2", prefix=IPv4Network("10.200.0.0/20"), next_hop=IPv4Address("192.168.18.250"))
    assert not followed_hosts(HostPlan("host1", (Change(gone, None), Change(None, route("host2")))), OWNERS)


def joined(name: str, *peers: str) -> JoinState:
    """The state of a host that has the routes to some peers."""
    bridge = FLEET.host(name).bridge
    assert bridge
    return JoinState(frozenset({bridge}), frozenset(route(peer).prefix for peer in peers))


def test_hosts_in_their_final_state_are_all_peers() -> None:
    assert Membership(FLEET, NAMES).peers_of("host1") == NAMES


def test_a_joined_host_is_a_peer_if_it_has_the_route() -> None:
    others = {"host2": joined("host2", "host1"), "host3": joined("host3", "host2")}
    membership = Membership(FLEET, frozenset({"host1"}), others)
    assert membership.peers_of("host1") == {"host1", "host2"}
    assert membership.know_each_other("host1", "host2")
    assert not membership.know_each_other("host2", "host3")


def test_a_host_with_another_docker0_is_no_peer() -> None:
    others = {"host2": replace(joined("host2", "host1"), docker0=frozenset())}
    assert Membership(FLEET, frozenset({"host1"}), others).peers_of("host1") == {"host1"}


def test_a_moved_host_has_the_peers_with_a_route_to_its_old_prefix() -> None:
    old = IPv4Network("10.200.0.0/20")
    others = {"host2": replace(joined("host2"), routes=frozenset({old})), "host3": joined("host3")}
    membership = Membership(FLEET, frozenset({"host1"}), others, moved=frozenset({"host1"}))
    assert membership.peers_of("host1") == {"host1", "host2"}


def test_a_new_host_affects_its_own_pairs_only() -> None:
    changes = {"host1": {"host3"}, "host2": {"host3"}, "host3": None}
    assert affected_pairs(Membership(FLEET, NAMES), changes) == {
        "host1": {"host1", "host3"},
        "host2": {"host2", "host3"},
        "host3": {"host1", "host2", "host3"},
    }


def test_canaries_are_repeatable_and_not_in_the_selection() -> None:
    many = Fleet(Settings(), tuple(host(f"host{n}", f"10.0.0.{n}", f"10.{n}.0.0/24") for n in range(1, 60)))
    membership = Membership(many, frozenset(many.positions))
    names = sorted(many.positions)
    selection = affected_pairs(membership, {name: {"host7"} for name in names})
    drawn = canaries(membership, selection, names, seed=5)
    assert drawn == canaries(membership, selection, names, seed=5)
    assert drawn != canaries(membership, selection, names, seed=6)
    assert len(set(drawn)) == 16
    assert not any(target in selection[source] or source == target for source, target in drawn)


def test_a_small_mesh_has_no_canaries() -> None:
    membership = Membership(FLEET, NAMES)
    assert canaries(membership, affected_pairs(membership, dict.fromkeys(NAMES)), sorted(NAMES), seed=1) == ()


def test_a_condition_leaves_out_pairs_and_empty_sources() -> None:
    selection = {"host1": {"host2", "host3"}, "host2": {"host1"}}
    assert selected(selection, lambda source, target: (source, target) == ("host1", "host3")) == {"host1": {"host3"}}


def dual_stack() -> Fleet:
    """FLEET, in which host1 and host2 have IPv6 as well."""
    six = {"host1": ("fd00::1", "fd00:1::/64"), "host2": ("fd00::2", "fd00:2::/64")}
    return replace(
        FLEET, hosts=tuple(with_ipv6(each, *six[each.name]) if each.name in six else each for each in FLEET.hosts)
    )


def test_a_peer_counts_in_the_families_of_its_routes() -> None:
    others = {"host2": joined("host2", "host1"), "host3": joined("host3", "host1")}
    membership = Membership(dual_stack(), frozenset({"host1"}), others)
    assert membership.peers_of("host1") == {"host1", "host2", "host3"}
    probes = [*plan_probes(dual_stack(), dual_stack().hosts, {"host1": {"host2", "host3"}})]
    deciding = {(probe.target, probe.family) for probe in probes if membership.decides(probe)}
    assert {(probe.target, probe.family) for probe in probes} - deciding == {("host2", 6)}
    assert deciding == {("host2", 4), ("host3", 4)}
