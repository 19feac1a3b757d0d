"""What a host lets in."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from builders import FLEET, HOST1, HOST2, HOST3, facts, fleet, host, nft_listing

from dockmesh.core.desired.firewall import chains, source_nat
from dockmesh.core.model import Allow, Host
from dockmesh.core.peers import Peers, peers
from dockmesh.core.state.resources import Chain, SourceNat

ACCEPTS = (
    "! -d 10.128.0.0/20 -j RETURN",
    "-s 192.168.18.129/32 -i eth0 -j ACCEPT",
    "-s 10.128.16.0/20 -i eth0 -j ACCEPT",
    "-s 192.168.18.130/32 -i eth0 -j ACCEPT",
    "-s 10.128.32.0/20 -i eth0 -j ACCEPT",
)


def others(me: Host, *them: Host) -> Peers:
    return peers(fleet(me, *them), me)


def test_a_docker_host_lets_its_peers_in_before_docker_drops_them_and_nobody_else() -> None:
    found = chains(HOST1, peers(FLEET, HOST1), facts("bookworm_fresh"))
    assert [(chain.table, chain.name, chain.hook) for chain in found] == [
        ("filter", "DOCKMESH-FORWARD", "DOCKER-USER"),
        ("raw", "DOCKMESH-RAW", "PREROUTING"),
    ]
    assert {chain.rules for chain in found} == {ACCEPTS}


def test_the_rules_wanted_are_the_rules_iptables_prints_back() -> None:
    joined = facts("forky_joined").actual.by_key()
    for chain in chains(HOST3, peers(FLEET, HOST3), facts("forky_fresh")):
        assert joined["firewall", f"{chain.table}/{chain.name}"] == chain


def test_a_peer_without_prefix_is_let_in_by_its_own_address() -> None:
    db = host("db", "192.168.18.129", docker=False)
    assert chains(HOST1, others(HOST1, db), facts("bookworm_fresh"))[0].rules == ACCEPTS[:2]


def test_a_peer_nobody_knows_the_way_to_is_not_let_in() -> None:
    stranger = host("x", "192.168.99.1", "10.9.0.0/24")
    assert chains(HOST1, others(HOST1, stranger), facts("bookworm_fresh"))[0].rules == ACCEPTS[:1]


def test_a_host_without_docker_lets_its_peers_in_by_forward_alone() -> None:
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    (chain,) = chains(kvm, others(kvm, HOST1), facts("no_docker", of=kvm))
    assert (chain.table, chain.hook) == ("filter", "FORWARD")
    assert chain.rules == (
        "-s 10.9.0.0/24 -d 192.168.18.128/32 -o eth0 -j ACCEPT",
        "-s 10.9.0.0/24 -d 10.128.0.0/20 -o eth0 -j ACCEPT",
        "! -d 10.9.0.0/24 -j RETURN",
        "-s 192.168.18.128/32 -i eth0 -j ACCEPT",
        "-s 10.128.0.0/20 -i eth0 -j ACCEPT",
    )


def test_a_host_without_prefix_or_without_iptables_gets_no_chain() -> None:
    bare = host("host2", "192.168.18.129", docker=False)
    assert chains(bare, others(bare, HOST1), facts("no_docker", of=bare)) == ()
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    assert chains(kvm, others(kvm, HOST1), facts("no_docker", {"tools": "/usr/sbin/ip"}, of=kvm)) == ()
    assert chains(HOST2, others(HOST2), facts("trixie_fresh"))[0].rules == ("! -d 10.128.16.0/20 -j RETURN",)


def test_peers_may_be_let_in_to_some_ports_only_and_docker_decides_on_published_ones() -> None:
    narrow = replace(HOST1, allow=(Allow("tcp", 80, 80), Allow("tcp", 8000, 8099), Allow("udp")))
    into, raw = chains(narrow, others(narrow, host("db", "192.168.18.129", docker=False)), facts("bookworm_fresh"))
    assert into.rules == (
        "! -d 10.128.0.0/20 -j RETURN",
        "-s 192.168.18.129/32 -i eth0 -p icmp -j ACCEPT",
        "-s 192.168.18.129/32 -i eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-s 192.168.18.129/32 -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT",
        "-s 192.168.18.129/32 -i eth0 -p tcp -m tcp --dport 8000:8099 -j ACCEPT",
        "-s 192.168.18.129/32 -i eth0 -p udp -j ACCEPT",
        "-s 192.168.18.129/32 -i eth0 -m conntrack ! --ctstate DNAT -j DROP",
    )
    assert raw.rules == ACCEPTS[:2], "raw comes before connections are tracked"


def test_where_nothing_is_allowed_only_icmp_and_replies_come_in() -> None:
    into, _raw = chains(replace(HOST1, allow=()), others(HOST1, HOST2), facts("bookworm_fresh"))
    assert [rule.split(" -i eth0 ")[1] for rule in into.rules[1:4]] == [
        "-p icmp -j ACCEPT",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-m conntrack ! --ctstate DNAT -j DROP",
    ]


def test_towards_peers_the_containers_keep_their_addresses() -> None:
    db = host("db", "192.168.18.140", docker=False)
    (nat,) = source_nat(HOST1, others(HOST1, HOST2, db), facts("bookworm_fresh"))
    assert nat == SourceNat(
        HOST1.prefix, tuple(map(IPv4Network, ("10.128.16.0/20", "192.168.18.129/32", "192.168.18.140/32")))
    )
    assert source_nat(HOST1, others(HOST1), facts("bookworm_fresh")) == ()
    assert source_nat(db, others(db, HOST1), facts("bookworm_fresh")) == ()


def test_without_nft_a_chain_in_nat_does_it_and_without_either_nothing() -> None:
    (chain,) = source_nat(HOST1, others(HOST1, HOST2), facts("bookworm_fresh", {"tools": "/usr/sbin/iptables"}))
    assert chain == Chain(
        "nat",
        "DOCKMESH-NAT",
        "POSTROUTING",
        ("-s 10.128.0.0/20 -d 192.168.18.129/32 -j ACCEPT", "-s 10.128.0.0/20 -d 10.128.16.0/20 -j ACCEPT"),
    )
    assert source_nat(HOST1, others(HOST1, HOST2), facts("bookworm_fresh", {"tools": "/usr/sbin/ip"})) == ()


@pytest.mark.parametrize(
    "damage",
    [("snat to ip saddr", "accept"), ("elements", "# elements"), ("policy accept;", "policy accept;\n\t\tdrop")],
)
def test_a_table_that_is_not_as_dockmesh_writes_it_is_put_anew(damage: tuple[str, str]) -> None:
    nat = SourceNat(HOST1.prefix, (IPv4Network("10.128.16.0/20"), IPv4Network("192.168.18.129/32")))
    read = facts("bookworm_fresh", {"own_nft": nft_listing(nat)}).actual.by_key()["nat", "ip dockmesh"]
    damaged = facts("bookworm_fresh", {"own_nft": nft_listing(nat).replace(*damage)}).actual.by_key()[
        "nat", "ip dockmesh"
    ]
    assert (read, damaged) == (nat, SourceNat())
