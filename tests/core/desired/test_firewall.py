"""The firewall of a host."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from builders import FLEET, HOST1, HOST2, HOST3, facts, fleet, host, nft_listing

from dockmesh.core.addresses import FAMILIES, IPV4, IPV6
from dockmesh.core.desired.firewall import FirewallOptions, accept_rules, nft_table
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.owned import parse_nft_table
from dockmesh.core.host_output import Section
from dockmesh.core.model import Allow, Fleet, Host
from dockmesh.core.peers import peers
from dockmesh.core.state.nft_table import table_text
from dockmesh.core.state.resources import AcceptRules, NftTable, PeerSet

MARK = "meta mark set meta mark | 0x00001000"
ACCEPT = "-m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
PLAIN = FirewallOptions(0x1000, own_source=True, closed=False, outbound=False)


def table_of(me: Host, among: Fleet, found: HostFacts, options: FirewallOptions = PLAIN) -> NftTable:
    table = nft_table(me, peers(among, me), found, IPV4, options)
    assert table is not None
    return table


def chain(table: NftTable, name: str) -> tuple[str, ...]:
    """The rules of a chain."""
    begin = table.chains.index(f"chain {name} {{") + 1
    return table.chains[begin : table.chains.index("}", begin)]


def test_a_docker_host_accepts_the_mark_before_docker_drops() -> None:
    rules = (f"-d 10.128.0.0/20 {ACCEPT}",)
    assert accept_rules(HOST1, facts("bookworm_fresh"), IPV4, PLAIN) == (
        AcceptRules("filter", "DOCKER-USER", rules),
        AcceptRules("raw", "PREROUTING", rules),
    )


def test_desired_firewall_equals_what_hosts_list() -> None:
    joined, found = facts("forky_joined").actual.by_key(), facts("forky_fresh")
    for each in (table_of(HOST3, FLEET, found), *accept_rules(HOST3, found, IPV4, PLAIN)):
        assert each in joined.values()


def test_the_set_has_the_underlay_address_and_the_prefix_of_each_peer() -> None:
    db = host("db", "192.168.18.129", docker=False)
    (peer_set,) = table_of(HOST1, fleet(HOST1, db, HOST3), facts("bookworm_fresh")).sets
    assert peer_set == PeerSet(
        "peers", tuple(map(IPv4Network, ("10.128.32.0/20", "192.168.18.129/32", "192.168.18.130/32")))
    )


def test_a_peer_without_route_is_not_in_the_set() -> None:
    stranger = host("x", "192.168.99.1", "10.9.0.0/24")
    (peer_set,) = table_of(HOST1, fleet(HOST1, HOST2, stranger), facts("bookworm_fresh")).sets
    assert peer_set.networks == tuple(map(IPv4Network, ("10.128.16.0/20", "192.168.18.129/32")))
    assert nft_table(HOST1, peers(fleet(HOST1, stranger), HOST1), facts("bookworm_fresh"), IPV4, PLAIN) is None


def test_the_mark_is_cleared_first_and_set_for_peers_on_their_uplink() -> None:
    table = table_of(HOST1, FLEET, facts("bookworm_fresh"))
    assert chain(table, "inbound") == (
        "type filter hook prerouting priority -310; policy accept;",
        "meta mark set meta mark & 0xffffefff",
        f'ip daddr 10.128.0.0/20 iifname "eth0" ip saddr @peers {MARK}',
    )
    assert chain(table, "forward") == (
        "type filter hook forward priority -1; policy accept;",
        "meta mark set meta mark & 0xffffefff",
        "ip daddr != 10.128.0.0/20 accept",
        "ct status dnat accept",
        f'iifname "eth0" ip saddr @peers {MARK} accept',
    )


def test_the_number_of_rules_does_not_depend_on_the_number_of_peers() -> None:
    few, many = (
        table_of(HOST1, fleet(HOST1, *(host(f"h{n}", f"192.168.18.{n}") for n in range(count))), everything())
        for count in (3, 100)
    )
    assert few.chains == many.chains
    assert [len(each.sets[0].networks) for each in (few, many)] == [3, 100]


def everything() -> HostFacts:
    """Facts with a route to every address of the LAN."""
    routes = "\n".join(f"192.168.18.{n} dev eth0 uid 0" for n in range(100))
    return facts("bookworm_fresh", {"peer_routes": routes})


def test_each_uplink_has_a_set_and_rules_of_its_own() -> None:
    routes = "192.168.18.129 dev eth1 uid 0\n192.168.18.130 dev eth0 uid 0"
    table = table_of(HOST1, FLEET, facts("bookworm_fresh", {"peer_routes": routes}))
    assert [(each.name, str(each.networks[0])) for each in table.sets] == [
        ("peers1", "10.128.32.0/20"),
        ("peers2", "10.128.16.0/20"),
    ]
    assert chain(table, "inbound")[2:] == (
        f'ip daddr 10.128.0.0/20 iifname "eth0" ip saddr @peers1 {MARK}',
        f'ip daddr 10.128.0.0/20 iifname "eth1" ip saddr @peers2 {MARK}',
    )
    assert len(chain(table, "source")) == 3


def test_a_host_without_docker_also_accepts_what_leaves_its_prefix() -> None:
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    found, options = facts("no_docker", of=kvm), replace(PLAIN, outbound=True)
    assert accept_rules(kvm, found, IPV4, options) == (
        AcceptRules("filter", "FORWARD", (f"-s 10.9.0.0/24 {ACCEPT}", f"-d 10.9.0.0/24 {ACCEPT}")),
    )
    rules = chain(table_of(kvm, fleet(kvm, HOST1), found, options), "forward")
    assert rules[2] == f'ip saddr 10.9.0.0/24 oifname "eth0" ip daddr @peers {MARK}'


def test_no_prefix_means_no_firewall_and_no_iptables_means_no_rule() -> None:
    bare = host("host2", "192.168.18.129", docker=False)
    for family in FAMILIES:
        assert accept_rules(bare, facts("no_docker", of=bare), family, PLAIN) == ()
        assert nft_table(bare, peers(fleet(bare, HOST1), bare), facts("no_docker", of=bare), family, PLAIN) is None
    kvm = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    without = facts("no_docker", {"tools": "/usr/sbin/nft"}, of=kvm)
    assert accept_rules(kvm, without, IPV4, PLAIN) == ()
    assert table_of(kvm, fleet(kvm, HOST1), without)
    assert accept_rules(HOST1, facts("bookworm_fresh"), IPV6, PLAIN) == ()


def test_allow_limits_peers_to_some_ports_and_published_ports() -> None:
    narrow = replace(HOST1, allow=(Allow("tcp", 80, 80), Allow("tcp", 8000, 8099), Allow("udp")))
    table = table_of(narrow, fleet(narrow, HOST2), facts("bookworm_fresh"))
    assert chain(table, "forward")[-2:] == ("ct status dnat accept", 'iifname "eth0" ip saddr @peers goto allowed')
    assert chain(table, "allowed") == (
        f"meta l4proto icmp {MARK} accept",
        f"ct state established,related {MARK} accept",
        f"tcp dport 80 {MARK} accept",
        f"tcp dport 8000-8099 {MARK} accept",
        f"meta l4proto udp {MARK} accept",
        "counter drop",
    )


def test_an_empty_allow_accepts_only_icmp_and_replies() -> None:
    narrow = replace(HOST1, allow=())
    assert len(chain(table_of(narrow, fleet(narrow, HOST2), facts("bookworm_fresh")), "allowed")) == 3


def test_a_closed_prefix_accepts_only_peers_replies_and_the_prefix() -> None:
    table = table_of(HOST1, FLEET, facts("bookworm_fresh"), replace(PLAIN, closed=True))
    assert chain(table, "forward")[-4:] == (
        f'iifname "eth0" ip saddr @peers {MARK} accept',
        "ct state established,related accept",
        'iifname "eth0" counter drop',
        "ip saddr != 10.128.0.0/20 counter drop",
    )


def test_a_closed_prefix_is_closed_without_any_peer() -> None:
    table = table_of(HOST1, fleet(HOST1), facts("bookworm_fresh"), replace(PLAIN, closed=True))
    assert table.sets == ()
    assert chain(table, "forward")[-1] == "ip saddr != 10.128.0.0/20 counter drop"
    assert "chain source {" not in table.chains


def test_containers_keep_their_addresses_towards_peers() -> None:
    table = table_of(HOST1, FLEET, facts("bookworm_fresh"))
    assert chain(table, "source")[1:] == ("ip saddr 10.128.0.0/20 ip daddr @peers snat to ip saddr",)
    masked = table_of(HOST1, FLEET, facts("bookworm_fresh"), replace(PLAIN, own_source=False))
    assert "chain source {" not in masked.chains


def test_another_mark_changes_only_its_bit() -> None:
    table = table_of(HOST1, FLEET, facts("bookworm_fresh"), replace(PLAIN, mark=0x80000000))
    assert chain(table, "inbound")[1] == "meta mark set meta mark & 0x7fffffff"
    (rule,) = accept_rules(HOST1, facts("bookworm_fresh"), IPV4, replace(PLAIN, mark=0x80000000))[0].rules
    assert "--mark 0x80000000/0x80000000 " in rule


TABLES = (
    table_of(HOST1, FLEET, facts("bookworm_fresh")),
    table_of(HOST1, FLEET, facts("bookworm_fresh"), FirewallOptions(1, own_source=False, closed=True, outbound=True)),
    NftTable((PeerSet("peers1", (IPv4Network("10.1.0.0/16"),)),)),
    NftTable(),
)


@pytest.mark.parametrize("table", TABLES)
def test_the_parsed_table_equals_the_written_one(table: NftTable) -> None:
    for text in (table_text(table), nft_listing(table)):
        assert parse_nft_table(Section(0, text)) == table


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("filter - 1", "filter + 1"),
        ("policy accept", "policy drop"),
        ("chain forward", "chain backward"),
        ("ip daddr !=", "drop\n\t\tip daddr !="),
        ("snat to ip saddr", "accept"),
        ("flags interval", "flags interval,timeout"),
        ("elements = {", "elements = { 10.7.0.0/16,"),
        ("elements = {", "elements = { 10.7.0.5-10.7.0.9,"),
        ("elements = {", 'elements = { 10.7.0.0/16 comment "site, b",'),
        ("table ip dockmesh {", "table ip dockmesh {\n\tflags dormant"),
        ("type ipv4_addr", "type ipv4_addr . inet_service"),
    ],
)
def test_a_modified_table_differs(old: str, new: str) -> None:
    text = nft_listing(TABLES[0])
    assert old in text
    assert parse_nft_table(Section(0, text.replace(old, new))) != TABLES[0]
