"""The summary of a plan: nothing that differs between two hosts is missing from it."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from builders import FLEET

from dockmesh.core.addresses import Family
from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.planning.summary import Changed, HostSummary, PeerNames, summarize
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import AcceptRules, DockerNetworking, File, NftTable, PeerSet, Pool, Route

HOST1, HOST2, HOST3 = FLEET.hosts


def summary(*changes: Change) -> HostSummary:
    return summarize(HostPlan("host1", changes), PeerNames(FLEET))


def table(*networks: object, allow: str | None = None, source: bool = True, family: Family = 4) -> NftTable:
    """A table with these peers; `allow` is the match of an accepted port."""
    verdict = "meta mark set meta mark | 0x00001000 accept"
    chains = ["chain forward {", "ip daddr != 10.128.0.0/20 accept", "}"]
    if allow is not None:
        chains += ["chain allowed {", f"meta l4proto icmp {verdict}", f"{allow} {verdict}", "counter drop", "}"]
    if source:
        chains += ["chain source {", "ip saddr 10.128.0.0/20 ip daddr @peers snat to ip saddr", "}"]
    return NftTable((PeerSet("peers", tuple(IPv4Network(str(each)) for each in networks)),), tuple(chains), family)


def rule(prefix: object) -> AcceptRules:
    return AcceptRules("filter", "DOCKER-USER", (f"-d {prefix} -m comment --comment dockmesh -j ACCEPT",))


def test_a_new_peer_is_accepted() -> None:
    found = summary(Change(table(HOST2.prefix), table(HOST2.prefix, HOST3.prefix, f"{HOST3.underlay}/32")))
    assert found.accepted == Changed(added=("host3",))
    assert found.limits == ("everything", "everything")
    assert found.source_nat == ()


def test_a_peer_with_another_prefix_is_changed() -> None:
    networks = (f"{HOST2.underlay}/32", f"{HOST3.underlay}/32")
    found = summary(Change(table(*networks), table(*networks, HOST2.prefix)))
    assert found.accepted == Changed(changed=("host2",))


def test_other_rules_for_the_same_peers_are_a_change() -> None:
    found = summary(Change(table(HOST2.prefix, allow="tcp dport 443"), table(HOST2.prefix)))
    assert found.accepted == Changed(changed=("rules",))
    assert found.limits == ("icmp, tcp/443", "everything")
    assert summary(Change(None, rule(HOST1.prefix))).accepted == Changed(changed=("rules",))


@pytest.mark.parametrize(
    ("match", "limit"),
    [("udp dport 53-60", "icmp, udp/53-60"), ("meta l4proto tcp", "icmp, tcp"), ("ct state established", "icmp")],
)
def test_a_limit_names_protocols_and_ports(match: str, limit: str) -> None:
    assert summary(Change(None, table(HOST2.prefix, allow=match))).limits == ("", limit)


def test_hosts_with_different_rules_have_different_details() -> None:
    found = [summary(Change(None, table(HOST2.prefix, allow=f"tcp dport {port}"))).details for port in (1, 2)]
    assert found[0] != found[1]


def test_hosts_with_other_prefixes_and_peers_have_equal_details() -> None:
    found = [summary(Change(None, rule(each.prefix)), Change(None, table(each.prefix))) for each in (HOST2, HOST3)]
    assert found[0].details == found[1].details


def test_the_new_path_of_a_changed_route_is_shown() -> None:
    old, new = (Route(IPv4Network(HOST3.prefix), IPv4Address("192.0.2.1"), device) for device in ("eth0", "tun0"))
    assert summary(Change(old, new)).new_paths == ("via 192.0.2.1 dev tun0",)


def test_values_of_daemon_json_are_shown_unless_another_line_has_them() -> None:
    found = summary(Change(File(DAEMON_JSON, '{"mtu": 1}'), File(DAEMON_JSON, '{"bip": "10.0.0.1/24", "mtu": 9000}')))
    assert found.keys == Changed(added=("bip",), changed=("mtu 1 → 9000",))


def test_an_invalid_daemon_json_is_a_changed_file() -> None:
    found = summary(Change(File(DAEMON_JSON, "{"), File(DAEMON_JSON, "{}")))
    assert (found.keys, found.files) == (Changed(), Changed(changed=(DAEMON_JSON,)))


def test_a_key_cannot_forge_a_line() -> None:
    (key,) = summary(Change(None, File(DAEMON_JSON, '{"a\\nNothing to do": "\\u001b[2J"}'))).keys.added
    assert key.isprintable()


def test_foreign_pools_are_details() -> None:
    address = IPv4Interface("10.128.0.1/24")
    old = DockerNetworking(address)
    new = (DockerNetworking(address, (Pool(IPv4Network(base), 24),)) for base in ("192.168.0.0/16", "10.0.0.0/8"))
    first, second = (summary(Change(old, each)).details for each in new)
    assert first != second


def test_a_network_of_no_host_is_named() -> None:
    old = table(HOST2.prefix, HOST3.prefix, "10.99.0.0/16")
    assert summary(Change(old, None)).accepted.removed == ("host2", "host3", "10.99.0.0/16")


def test_each_family_of_source_nat_has_its_action() -> None:
    found = summary(
        Change(table(HOST2.prefix, source=False), table(HOST2.prefix)), Change(table(HOST2.prefix, family=6), None)
    )
    assert found.source_nat == ("add", "remove")
