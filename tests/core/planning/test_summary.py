"""The summary of a plan: nothing that differs between two hosts is missing from it."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from builders import FLEET

from dockmesh.core.names import DAEMON_JSON, FORWARD_CHAIN, RAW_CHAIN
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.planning.summary import Changed, HostSummary, PeerNames, summarize
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import Chain, DockerNetworking, File, Pool, Route, SourceNat

HOST1, HOST2, HOST3 = FLEET.hosts
PORT = " -p tcp -m tcp --dport 443"
NFT_PORT = " tcp dport 443"


def summary(*changes: Change) -> HostSummary:
    return summarize(HostPlan("host1", changes), PeerNames(FLEET))


def chain(*peers: tuple[object, str], name: str = FORWARD_CHAIN) -> Chain:
    return Chain("filter", name, "DOCKER-USER", tuple(f"-s {peer} -i eth0{match} -j ACCEPT" for peer, match in peers))


def marks(*peers: tuple[object, str]) -> SourceNat:
    rules = (f'iifname "eth0" ip saddr {peer}{match} counter meta mark set 0x1 accept' for peer, match in peers)
    return SourceNat(HOST1.prefix, (IPv4Network(HOST2.prefix),), marks=tuple(rules))


def test_a_wider_rule_of_an_old_peer_is_shown_next_to_a_new_peer() -> None:
    found = summary(Change(chain((HOST2.prefix, PORT)), chain((HOST2.prefix, ""), (HOST3.prefix, ""))))
    assert found.accepted == Changed(added=("host3",), changed=("host2",))
    assert found.limits == ("tcp/443", "everything")


def test_rules_for_marks_are_rules_for_peers() -> None:
    found = summary(Change(marks((HOST2.prefix, NFT_PORT)), marks((HOST2.prefix, ""))))
    assert found.accepted == Changed(changed=("host2",))
    assert found.limits == ("tcp/443", "everything")
    assert found.source_nat == ()


def test_marks_without_source_nat_do_not_keep_addresses() -> None:
    found = summary(Change(None, SourceNat(marks=marks((HOST2.prefix, "")).marks)))
    assert (found.accepted, found.source_nat) == (Changed(added=("host2",)), ())


def test_a_rule_for_all_others_names_no_peer() -> None:
    others = f"ip saddr != {HOST1.prefix} ct state new ct status ! dnat counter drop"
    rules = ("ip daddr != 10.128.0.0/20 accept", *marks((HOST2.prefix, "")).marks, others)
    found = summary(Change(None, SourceNat(HOST1.prefix, (), marks=rules)))
    assert (found.accepted, found.limits) == (Changed(added=("host2",)), ("", "everything"))


def test_raw_rules_do_not_hide_a_limit() -> None:
    after = (chain((HOST2.prefix, PORT)), chain((HOST2.prefix, ""), name=RAW_CHAIN))
    assert summary(*(Change(None, each) for each in after)).limits == ("", "tcp/443")


@pytest.mark.parametrize("match", [PORT, " -p udp", ""])
def test_hosts_with_different_rules_have_different_details(match: str) -> None:
    other = summary(Change(None, chain((HOST2.prefix, " -p tcp"))))
    assert summary(Change(None, chain((HOST2.prefix, match)))).details != other.details


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
    old = chain((HOST2.prefix, ""), (HOST3.prefix, ""), ("10.99.0.0/16", ""))
    assert summary(Change(old, None)).accepted.removed == ("host2", "host3", "10.99.0.0/16")


def test_each_family_of_source_nat_has_its_action() -> None:
    ipv4 = marks((HOST2.prefix, ""))
    ipv6 = SourceNat(HOST1.prefix, (), family=6)
    found = summary(Change(ipv4, SourceNat(ipv4.prefix, (), marks=ipv4.marks)), Change(ipv6, None))
    assert found.source_nat == ("change", "remove")
