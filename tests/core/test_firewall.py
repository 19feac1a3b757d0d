"""What a host lets in."""

from builders import FLEET, HOST1, HOST2, HOST3, facts, host

from dockmesh.core.firewall import chains
from dockmesh.core.routing import peers

ACCEPTS = (
    "! -d 10.128.0.0/20 -j RETURN",
    "-s 192.168.18.129/32 -i eth0 -j ACCEPT",
    "-s 10.128.16.0/20 -i eth0 -j ACCEPT",
    "-s 192.168.18.130/32 -i eth0 -j ACCEPT",
    "-s 10.128.32.0/20 -i eth0 -j ACCEPT",
)


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
    assert chains(HOST1, [db], facts("bookworm_fresh"))[0].rules == ACCEPTS[:2]


def test_a_peer_nobody_knows_the_way_to_is_not_let_in() -> None:
    stranger = host("x", "192.168.99.1", "10.9.0.0/24")
    assert chains(HOST1, [stranger], facts("bookworm_fresh"))[0].rules == ACCEPTS[:1]


def test_a_host_without_docker_lets_its_peers_in_by_forward_alone() -> None:
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    (chain,) = chains(kvm, [HOST1], facts("no_docker", of=kvm))
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
    assert chains(bare, [HOST1], facts("no_docker", of=bare)) == ()
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    assert chains(kvm, [HOST1], facts("no_docker", {"tools": "/usr/sbin/ip"}, of=kvm)) == ()
    assert chains(HOST2, [], facts("trixie_fresh"))[0].rules == ("! -d 10.128.16.0/20 -j RETURN",)
