"""A host whose Docker writes its rules with nftables: what it is given for that, and how it leaves it again."""

import json
from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

import pytest
from builders import FLEET, HOST1, HOST3, WIDE, SectionOutput, facts, fleet, nft_listing, plan_of, section_text

from dockmesh.core import fwmark
from dockmesh.core.desired import firewall
from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.owned import parse_nft_table
from dockmesh.core.host_output import Section
from dockmesh.core.model import Allow, Fleet
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT
from dockmesh.core.peers import peers
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.findings import Conflict
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.state import daemon_json
from dockmesh.core.state.codec import dump_state
from dockmesh.core.state.diff import difference
from dockmesh.core.state.nft_table import nft_table
from dockmesh.core.state.resources import (
    Chain,
    DockerNetworking,
    File,
    FirewallMark,
    Forwarding,
    HostState,
    NftAdmission,
    SourceNat,
    key_of,
)
from dockmesh.pipeline import TEMPLATES

OWN = FirewallMark(0x1000, 0x1000)
OPEN = NftAdmission(OWN, direct_routing=True)
FOUND = '{"firewall-backend": "nftables", "ip-forward": false}'
IPTABLES = {"docker_info": section_text("forky_joined", "docker_info")}
NFTABLES = {"docker_info": section_text("nftables_joined", "docker_info"), "nft_admission": "none no"}
MARKED = (
    "ip daddr != 10.128.32.0/20 accept",
    'iifname "eth0" ip saddr 192.168.18.128 counter meta mark set meta mark | 0x00001000 accept',
    'iifname "eth0" ip saddr 10.128.0.0/20 counter meta mark set meta mark | 0x00001000 accept',
    'iifname "eth0" ip saddr 192.168.18.129 counter meta mark set meta mark | 0x00001000 accept',
    'iifname "eth0" ip saddr 10.128.16.0/20 counter meta mark set meta mark | 0x00001000 accept',
    "ip saddr != 10.128.32.0/20 ct state new ct status ! dnat counter drop",
)


def file(text: str) -> SectionOutput:
    return f"644\n{b64encode(text.encode()).decode()}"


def fresh(text: str = FOUND, **changes: SectionOutput) -> HostFacts:
    return facts("nftables_fresh", {"daemon.json": file(text)} | changes)


def desired_state(found: HostFacts, among: Fleet = FLEET) -> HostState:
    return desired(among, HOST3, found, WIDE, TEMPLATES)


def after_join(found: HostFacts) -> HostFacts:
    return replace(found, actual=desired_state(found), ip_forward=True)


def keys_of(state: HostState) -> dict[str, object]:
    text = state.file(DAEMON_JSON)
    return daemon_json.load(text.text if text else None)


def kinds(plan: HostPlan) -> list[tuple[str, str, str]]:
    return [(change.action, *key_of(change.resource)) for change in plan.changes]


def table_of(state: HostState) -> SourceNat:
    found = state.by_key()["nat", "ip dockmesh"]
    assert isinstance(found, SourceNat)
    return found


def test_peers_are_let_in_by_a_mark_instead_of_chains_and_the_host_is_to_forward() -> None:
    plan = plan_of(fresh(), HOST3)
    assert [each for each in kinds(plan) if each[1] != "route"] == [
        ("add", "file", ORIGINAL_JSON),
        ("change", "file", DAEMON_JSON),
        ("add", "file", REASSERT_SCRIPT),
        ("change", "firewall", "net.ipv4.ip_forward"),
        ("restart", "service", "docker"),
        ("add", "nat", "ip dockmesh"),
        ("add", "unit", "dockmesh.service"),
        ("add", "unit", "dockmesh.timer"),
    ]
    wanted = desired_state(fresh())
    assert table_of(wanted).marks == MARKED
    assert keys_of(wanted) == json.loads(FOUND) | {
        "bip": "10.128.32.1/24",
        "default-address-pools": keys_of(wanted)["default-address-pools"],
        "bridge-accept-fwmark": "0x1000/0x1000",
        "allow-direct-routing": True,
    }
    assert wanted.docker is not None
    assert wanted.docker.admission == OPEN
    assert not any(isinstance(each, Chain) for each in wanted.resources)


def test_a_joined_host_differs_from_what_it_shall_be_in_rendered_texts_at_most() -> None:
    found = facts("nftables_joined")
    rendered = {("file", REASSERT_SCRIPT), ("unit", "dockmesh.service"), ("unit", "dockmesh.timer")}
    assert {key_of(change.resource) for change in difference(found.actual, desired_state(found))} <= rendered


def test_with_docker_masquerading_the_table_only_marks() -> None:
    masked = replace(FLEET, settings=replace(FLEET.settings, source_nat=True))
    assert table_of(desired_state(fresh(), masked)) == SourceNat(marks=MARKED)


def test_what_is_narrowed_is_marked_by_the_rules_that_iptables_would_have() -> None:
    narrow = replace(HOST3, allow=(Allow("tcp", 80, 80), Allow("tcp", 8000, 8099), Allow("udp")))
    alone = peers(fleet(narrow, replace(HOST1, prefix=None)), narrow)
    rules = firewall.mark_rules(narrow, alone, fresh(), OWN, closed=False)
    sets, came = "meta mark set meta mark | 0x00001000 accept", 'iifname "eth0" ip saddr 192.168.18.128'
    assert rules == (
        MARKED[0],
        f"{came} ip protocol icmp counter {sets}",
        f"{came} ct state established,related counter {sets}",
        f"{came} tcp dport 80 counter {sets}",
        f"{came} tcp dport 8000-8099 counter {sets}",
        f"{came} ip protocol udp counter {sets}",
        f"{came} ct status ! dnat counter drop",
    )


@pytest.mark.parametrize(
    "table",
    [
        SourceNat(IPv4Network("10.0.0.0/8"), (IPv4Network("10.1.0.0/16"), IPv4Network("192.168.0.7/32")), marks=MARKED),
        SourceNat(IPv4Network("10.0.0.0/8"), (IPv4Network("10.1.0.0/16"),)),
        SourceNat(marks=MARKED),
        SourceNat(),
    ],
)
def test_the_table_is_read_back_as_it_was_written_and_as_nft_lists_it(table: SourceNat) -> None:
    for text in (nft_table(table), nft_listing(table)):
        assert list(parse_nft_table(Section(0, text))) == [table]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("filter - 1", "filter + 1"),
        ("policy accept", "policy drop"),
        ("chain forward", "chain backward"),
        ("ip daddr !=", "drop\n\t\tip daddr !="),
        ("}}", "}\n\tchain more {\n\t}\n}"),
        ("table ip dockmesh {", "table ip dockmesh {\n\tflags dormant"),
    ],
)
def test_a_table_with_marks_that_is_altered_is_put_anew(old: str, new: str) -> None:
    text = nft_listing(SourceNat(IPv4Network("10.0.0.0/8"), (IPv4Network("10.1.0.0/16"),), marks=MARKED))
    altered = text.replace(old, new) if old in text else f"{text[:-1]}{new[1:]}"
    assert altered != text
    assert list(parse_nft_table(Section(0, altered))) == [SourceNat()]


@pytest.mark.parametrize(
    ("text", "found", "statement"),
    [
        ("0x1000/0x1000", FirewallMark(0x1000, 0x1000), "meta mark set meta mark | 0x00001000"),
        ("4096/0xff00", FirewallMark(0x1000, 0xFF00), "meta mark set meta mark & 0xffff10ff | 0x00001000"),
        ("1", FirewallMark(1, 0xFFFFFFFF), "meta mark set 0x00000001"),
        ("0xffffffff/0xffffffff", FirewallMark(0xFFFFFFFF, 0xFFFFFFFF), "meta mark set 0xffffffff"),
    ],
)
def test_a_mark_is_set_so_that_docker_finds_it_and_others_keep_their_bits(
    text: str, found: FirewallMark, statement: str
) -> None:
    assert fwmark.parse(text) == found
    assert fwmark.setting(found) == statement


@pytest.mark.parametrize("text", ["", "x", "0", "0/0", "0x0/0xff", "2/1", "1/", "/1", "-1", "1/0", "4294967296", "010"])
def test_what_no_packet_bears_or_every_one_is_no_mark(text: str) -> None:
    assert fwmark.parse(text) is None


@pytest.mark.parametrize(
    ("said", "filed", "running"),
    [
        ("0x00001000/0x00001000 ?", '{"allow-direct-routing": true}', OPEN),
        (
            "none no",
            '{"bridge-accept-fwmark": "1", "allow-direct-routing": true}',
            NftAdmission(None, direct_routing=False),
        ),
        ("? ?", '{"bridge-accept-fwmark": "0x1000/0x1000", "allow-direct-routing": true}', OPEN),
        ("? ?", "{}", NftAdmission(None, direct_routing=False)),
        ("none ?", '{"allow-direct-routing": true}', NftAdmission(None, direct_routing=True)),
        ("0x00000000/0x00000000 no", '{"bridge-accept-fwmark": "0/0"}', NftAdmission(None, direct_routing=False)),
    ],
)
def test_what_docker_lets_in_is_told_by_its_rules_and_what_these_do_not_tell_by_its_file(
    said: str, filed: str, running: NftAdmission
) -> None:
    bridge = fresh(filed, nft_admission=said).actual.docker
    assert bridge is not None
    assert bridge.admission == running


def test_the_plan_says_why_each_thing_changes() -> None:
    reasons = {key_of(change.resource): change.reason for change in plan_of(fresh(), HOST3).changes}
    addresses, marks = reasons["file", DAEMON_JSON].split("; ")
    assert "docker0" in addresses
    assert "nftables" in marks
    own_mark, own_address = reasons["nat", "ip dockmesh"].split("; ")
    assert "mark" in own_mark
    assert "address" in own_address
    keys = keys_of(facts("nftables_joined").actual)
    lacking = file(json.dumps({key: keys[key] for key in keys if key != "bridge-accept-fwmark"}))
    changes = plan_of(facts("nftables_joined", {"daemon.json": lacking}), HOST3).changes
    (change,) = (change for change in changes if key_of(change.resource) == ("file", DAEMON_JSON))
    assert change.reason == marks, "and nothing of addresses"


def test_a_docker_that_has_not_read_its_keys_is_restarted() -> None:
    plan = plan_of(facts("nftables_joined", {"nft_admission": "0x00001000/0x00001000 no"}), HOST3)
    (restart,) = (change for change in plan.changes if change.action == "restart")
    assert "Docker" in restart.reason
    assert "docker0" not in restart.reason, "of which nothing changes"


@pytest.mark.parametrize("before", [FOUND, "{}", '{"firewall-backend": "nftables", "allow-direct-routing": true}'])
@pytest.mark.parametrize("forwards", ["0", "1"])
def test_what_a_host_was_found_with_is_what_destroy_gives_back(before: str, forwards: str) -> None:
    found = fresh(before, ip_forward=forwards, nft_admission=f"none {'?' if 'direct' in before else 'no'}")
    assert original_state(after_join(found)).by_key() == found.actual.by_key()
    assert original_state(found).by_key() == found.actual.by_key(), "nothing was there to take off"
    assert (
        rollback_state(replace(after_join(found), previous=dump_state(found.actual))).by_key() == found.actual.by_key()
    )


def test_a_mark_that_an_admin_has_chosen_serves_and_stays() -> None:
    found = fresh('{"bridge-accept-fwmark": "2/0xff"}', nft_admission="0x00000002/0x000000ff no")
    wanted = desired_state(found)
    assert keys_of(wanted)["bridge-accept-fwmark"] == "2/0xff"
    assert "meta mark set meta mark & 0xffffff02 | 0x00000002 accept" in table_of(wanted).marks[1]
    assert keys_of(original_state(after_join(found))) == {"bridge-accept-fwmark": "2/0xff"}


def test_what_an_admin_has_opened_to_everybody_stays_open() -> None:
    found = fresh('{"allow-direct-routing": true}', nft_admission="none ?")
    assert table_of(desired_state(found)).marks == MARKED[:-1]
    assert table_of(desired_state(after_join(found))).marks == MARKED[:-1]
    assert keys_of(original_state(after_join(found))) == {"allow-direct-routing": True}


def test_keys_that_others_set_since_outlive_destroy() -> None:
    found = after_join(fresh())
    text = json.dumps(keys_of(found.actual) | {"debug": True})
    others = (each for each in found.actual.resources if key_of(each) != ("file", DAEMON_JSON))
    edited = replace(found, actual=HostState((*others, File(DAEMON_JSON, text, "644"))))
    assert keys_of(original_state(edited)) == json.loads(FOUND) | {"debug": True}


def test_a_joined_host_whose_docker_comes_to_nftables_gets_marks_for_its_chains() -> None:
    found = facts("forky_joined", NFTABLES | {"ip_forward": "1", "filter": section_text("forky_joined", "filter")})
    changes = [each for each in kinds(plan_of(found, HOST3)) if each[1] not in {"unit", "route"}]
    assert changes == [
        ("change", "file", ORIGINAL_JSON),
        ("change", "file", DAEMON_JSON),
        ("change", "file", REASSERT_SCRIPT),
        ("restart", "service", "docker"),
        ("remove", "firewall", "filter/DOCKMESH-FORWARD"),
        ("remove", "firewall", "raw/DOCKMESH-RAW"),
        ("change", "nat", "ip dockmesh"),
    ]
    moved = after_join(found)
    assert plan_of(moved, HOST3).changes == ()
    original = original_state(facts("forky_joined"))
    assert original_state(moved).file(DAEMON_JSON) == original.file(DAEMON_JSON)
    assert original_state(moved).forwarding(4) == Forwarding(4, on=True)


def test_and_one_whose_docker_goes_back_to_iptables_gets_its_chains_again() -> None:
    found = facts("nftables_joined", IPTABLES)
    plan = plan_of(found, HOST3)
    changes = [each for each in kinds(plan) if each[1] not in {"unit", "route"}]
    assert changes == [
        ("change", "file", ORIGINAL_JSON),
        ("change", "file", DAEMON_JSON),
        ("change", "file", REASSERT_SCRIPT),
        ("restart", "service", "docker"),
        ("add", "firewall", "filter/DOCKMESH-FORWARD"),
        ("add", "firewall", "raw/DOCKMESH-RAW"),
        ("change", "nat", "ip dockmesh"),
    ]
    moved = after_join(found)
    assert {"bridge-accept-fwmark", "allow-direct-routing"}.isdisjoint(keys_of(moved.actual))
    assert plan_of(moved, HOST3).changes == ()
    assert keys_of(original_state(moved)) == json.loads(FOUND)
    assert keys_of(original_state(found)) == json.loads(FOUND), "also without an apply in between"


def test_rollback_over_a_change_of_backend_leaves_out_what_has_no_place_any_more() -> None:
    chains = dump_state(facts("forky_joined").actual)
    back = rollback_state(facts("nftables_joined", {"previous.json": file(chains)}))
    assert not any(isinstance(each, Chain) for each in back.resources)
    assert back.forwarding(4) == Forwarding(4, on=True)
    marks = dump_state(facts("nftables_joined").actual)
    back = rollback_state(facts("forky_joined", {"previous.json": file(marks)}))
    assert back.forwarding(4) is None
    assert back.docker == DockerNetworking(IPv4Interface("10.128.32.1/24"), back.docker.pools if back.docker else ())


def found_conflicts(found: HostFacts) -> list[Conflict]:
    return list(conflicts(FLEET, HOST3, found, WIDE))


@pytest.mark.parametrize("name", ["nftables_fresh", "nftables_joined"])
def test_nothing_speaks_against_a_docker_that_uses_nftables(name: str) -> None:
    assert found_conflicts(facts(name)) == []
    assert list(notes(HOST3, facts(name), WIDE)) == []


@pytest.mark.parametrize(
    ("changes", "code", "key", "named", "remedy"),
    [
        ({"tools": "/usr/sbin/ip"}, "nft-missing", "nft", [], "install nftables"),
        (
            {"daemon.json": file('{"bridge-accept-fwmark": "0x1/0x2"}')},
            "daemon-json-fwmark",
            DAEMON_JSON,
            ["bridge-accept-fwmark", "'0x1/0x2'"],
            "'0x1000/0x1000'",
        ),
        (
            {"daemon.json": file('{"allow-direct-routing": false}')},
            "daemon-json-direct-routing",
            DAEMON_JSON,
            ["allow-direct-routing", "false"],
            "key",
        ),
        (
            {"daemon_arguments": "dockerd\n--bridge-accept-fwmark=1"},
            "docker-flag",
            "docker",
            ["--bridge-accept-fwmark=1"],
            "docker.service",
        ),
        (
            {"daemon.json": file('{"iptables": false}')},
            "daemon-json-iptables",
            DAEMON_JSON,
            ["iptables", "false"],
            "key",
        ),
    ],
)
def test_a_conflict_on_such_a_host_names_the_remedy(
    changes: dict[str, SectionOutput], code: str, key: str, named: list[str], remedy: str
) -> None:
    (found,) = found_conflicts(facts("nftables_fresh", changes))
    assert (found.code, found.key) == (code, key)
    assert [part for part in named if part not in found.message] == []
    assert remedy in found.remedy


def test_a_network_that_direct_routing_would_open_is_a_conflict_until_it_is_open_anyway() -> None:
    row = json.dumps(["app", "bridge", {}, [{"Subnet": "172.19.0.0/16"}], "abcdef0123456789"])
    said: dict[str, SectionOutput] = {"docker_networks": f"{section_text('nftables_fresh', 'docker_networks')}\n{row}"}
    (found,) = found_conflicts(fresh(**said))
    assert (found.code, found.key) == ("network-exposed", "network app")
    assert [
        part for part in ("172.19.0.0/16", "10.128.32.0/20", "allow-direct-routing") if part not in found.message
    ] == []
    assert "dockmesh apply" in found.remedy
    assert found_conflicts(fresh('{"allow-direct-routing": true}', **said)) == []


def test_a_policy_that_iptables_was_left_with_is_told_with_its_remedy() -> None:
    (note,) = notes(HOST3, facts("nftables_fresh", {"filter": ":FORWARD DROP"}), WIDE)
    assert (note.code, note.key, note.remedy) == ("forward-policy-drop", "FORWARD", "iptables -P FORWARD ACCEPT")
    assert "DROP" in note.message
    assert list(notes(HOST3, facts("forky_fresh"), WIDE)) == []
