"""Hosts whose Docker uses nftables: their desired state, and changes of the backend."""

import json
from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest
from builders import FLEET, HOST3, WIDE, SectionOutput, facts, plan_of, section_text

from dockmesh.core import fwmark
from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.findings import Conflict
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.state import daemon_json
from dockmesh.core.state.codec import dump_state
from dockmesh.core.state.diff import difference
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    FirewallMark,
    Forwarding,
    HostState,
    NftAdmission,
    NftTable,
    key_of,
)
from dockmesh.pipeline import TEMPLATES

OWN = FirewallMark(0x1000, 0x1000)
OPEN = NftAdmission(OWN, direct_routing=True)
FOUND = '{"firewall-backend": "nftables", "ip-forward": false}'
IPTABLES = {"docker_info": section_text("forky_joined", "docker_info")}
NFTABLES = {"docker_info": section_text("nftables_joined", "docker_info"), "nft_admission": "none no"}
# The rules that keep other hosts out.
CLOSED = (
    "ct state established,related accept",
    'iifname "eth0" counter drop',
    "ip saddr != 10.128.32.0/20 counter drop",
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


def table_of(state: HostState) -> NftTable:
    found = state.by_key()["firewall", "ip dockmesh"]
    assert isinstance(found, NftTable)
    return found


def test_nftables_needs_the_table_and_forwarding_instead_of_rules() -> None:
    plan = plan_of(fresh(), HOST3)
    assert [each for each in kinds(plan) if each[1] != "route"] == [
        ("add", "file", ORIGINAL_JSON),
        ("change", "file", DAEMON_JSON),
        ("add", "file", REASSERT_SCRIPT),
        ("add", "firewall", "ip dockmesh"),
        ("change", "firewall", "net.ipv4.ip_forward"),
        ("restart", "service", "docker"),
        ("add", "unit", "dockmesh.service"),
        ("add", "unit", "dockmesh.timer"),
    ]
    wanted = desired_state(fresh())
    assert set(CLOSED) <= set(table_of(wanted).chains)
    assert keys_of(wanted) == json.loads(FOUND) | {
        "bip": "10.128.32.1/24",
        "default-address-pools": keys_of(wanted)["default-address-pools"],
        "bridge-accept-fwmark": "0x1000/0x1000",
        "allow-direct-routing": True,
    }
    assert wanted.docker is not None
    assert wanted.docker.admission == OPEN
    assert not any(isinstance(each, AcceptRules) for each in wanted.resources)


def test_a_joined_host_differs_only_in_rendered_texts() -> None:
    found = facts("nftables_joined")
    rendered = {("file", REASSERT_SCRIPT), ("unit", "dockmesh.service"), ("unit", "dockmesh.timer")}
    assert {key_of(change.resource) for change in difference(found.actual, desired_state(found))} <= rendered


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0x1000/0x1000", OWN),
        ("4096/0xff00", FirewallMark(0x1000, 0xFF00)),
        ("1", FirewallMark(1, 0xFFFFFFFF)),
        ("0xffffffff/0xffffffff", FirewallMark(0xFFFFFFFF, 0xFFFFFFFF)),
    ],
)
def test_a_mark_of_daemon_json_has_a_value_and_a_mask(text: str, found: FirewallMark) -> None:
    assert fwmark.parse(text) == found
    assert fwmark.parse(str(fwmark.bit(0x1000))) == OWN


@pytest.mark.parametrize("text", ["", "x", "0", "0/0", "0x0/0xff", "2/1", "1/", "/1", "-1", "1/0", "4294967296", "010"])
def test_a_mark_of_no_packet_or_every_packet_is_invalid(text: str) -> None:
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
def test_admission_comes_from_the_rules_and_then_from_the_file(said: str, filed: str, running: NftAdmission) -> None:
    bridge = fresh(filed, nft_admission=said).actual.docker
    assert bridge is not None
    assert bridge.admission == running


def test_each_reason_names_what_changes() -> None:
    reasons = {key_of(change.resource): change.reason for change in plan_of(fresh(), HOST3).changes}
    addresses, marks = reasons["file", DAEMON_JSON].split("; ")
    assert "docker0" in addresses
    assert "nftables" in marks
    assert "marks" in reasons["firewall", "ip dockmesh"]
    keys = keys_of(facts("nftables_joined").actual)
    lacking = file(json.dumps({key: keys[key] for key in keys if key != "bridge-accept-fwmark"}))
    changes = plan_of(facts("nftables_joined", {"daemon.json": lacking}), HOST3).changes
    (change,) = (change for change in changes if key_of(change.resource) == ("file", DAEMON_JSON))
    assert change.reason == marks, "addresses do not change"


def test_docker_restarts_if_it_has_not_read_its_keys() -> None:
    plan = plan_of(facts("nftables_joined", {"nft_admission": "0x00001000/0x00001000 no"}), HOST3)
    (restart,) = (change for change in plan.changes if change.action == "restart")
    assert "Docker" in restart.reason
    assert "docker0" not in restart.reason, "its addresses do not change"


@pytest.mark.parametrize("before", [FOUND, "{}", '{"firewall-backend": "nftables", "allow-direct-routing": true}'])
@pytest.mark.parametrize("forwards", ["0", "1"])
def test_destroy_and_rollback_restore_the_original_state(before: str, forwards: str) -> None:
    found = fresh(before, ip_forward=forwards, nft_admission=f"none {'?' if 'direct' in before else 'no'}")
    assert original_state(after_join(found)).by_key() == found.actual.by_key()
    assert original_state(found).by_key() == found.actual.by_key(), "there was nothing to remove"
    assert (
        rollback_state(replace(after_join(found), previous=dump_state(found.actual))).by_key() == found.actual.by_key()
    )


def test_the_mesh_may_use_another_mark() -> None:
    among = replace(FLEET, settings=replace(FLEET.settings, mark=2))
    found = fresh('{"bridge-accept-fwmark": "2/2"}', nft_admission="0x00000002/0x00000002 no")
    assert list(conflicts(among, HOST3, found, WIDE)) == []
    wanted = desired_state(found, among)
    assert keys_of(wanted)["bridge-accept-fwmark"] == "0x2/0x2"
    assert "meta mark set meta mark & 0xfffffffd" in table_of(wanted).chains
    joined = replace(found, actual=wanted, ip_forward=True)
    assert keys_of(original_state(joined)) == {"bridge-accept-fwmark": "2/2"}


def test_direct_routing_enabled_by_the_operator_stays_open() -> None:
    found = fresh('{"allow-direct-routing": true}', nft_admission="none ?")
    for each in (found, after_join(found)):
        assert set(CLOSED).isdisjoint(table_of(desired_state(each)).chains)
    assert keys_of(original_state(after_join(found))) == {"allow-direct-routing": True}


def test_destroy_keeps_keys_that_others_added_later() -> None:
    found = after_join(fresh())
    text = json.dumps(keys_of(found.actual) | {"debug": True})
    others = (each for each in found.actual.resources if key_of(each) != ("file", DAEMON_JSON))
    edited = replace(found, actual=HostState((*others, File(DAEMON_JSON, text, "644"))))
    assert keys_of(original_state(edited)) == json.loads(FOUND) | {"debug": True}


def test_accept_rules_go_when_docker_changes_to_nftables() -> None:
    found = facts("forky_joined", NFTABLES | {"ip_forward": "1"})
    changes = [each for each in kinds(plan_of(found, HOST3)) if each[1] not in {"unit", "route"}]
    assert changes == [
        ("change", "file", ORIGINAL_JSON),
        ("change", "file", DAEMON_JSON),
        ("change", "file", REASSERT_SCRIPT),
        ("change", "firewall", "ip dockmesh"),
        ("restart", "service", "docker"),
        ("remove", "firewall", "filter/DOCKER-USER"),
        ("remove", "firewall", "raw/PREROUTING"),
    ]
    moved = after_join(found)
    assert plan_of(moved, HOST3).changes == ()
    original = original_state(facts("forky_joined"))
    assert original_state(moved).file(DAEMON_JSON) == original.file(DAEMON_JSON)
    assert original_state(moved).forwarding(4) == Forwarding(4, on=True)


def test_accept_rules_return_when_docker_changes_back_to_iptables() -> None:
    found = facts("nftables_joined", IPTABLES)
    plan = plan_of(found, HOST3)
    changes = [each for each in kinds(plan) if each[1] not in {"unit", "route"}]
    assert changes == [
        ("change", "file", ORIGINAL_JSON),
        ("change", "file", DAEMON_JSON),
        ("change", "file", REASSERT_SCRIPT),
        ("restart", "service", "docker"),
        ("add", "firewall", "filter/DOCKER-USER"),
        ("add", "firewall", "raw/PREROUTING"),
        ("change", "firewall", "ip dockmesh"),
    ]
    moved = after_join(found)
    assert {"bridge-accept-fwmark", "allow-direct-routing"}.isdisjoint(keys_of(moved.actual))
    assert plan_of(moved, HOST3).changes == ()
    assert keys_of(original_state(moved)) == json.loads(FOUND)
    assert keys_of(original_state(found)) == json.loads(FOUND), "also without an apply in between"


def test_rollback_skips_resources_of_another_backend() -> None:
    rules = dump_state(facts("forky_joined").actual)
    back = rollback_state(facts("nftables_joined", {"previous.json": file(rules)}))
    assert not any(isinstance(each, AcceptRules) for each in back.resources)
    assert back.forwarding(4) == Forwarding(4, on=True)
    marks = dump_state(facts("nftables_joined").actual)
    back = rollback_state(facts("forky_joined", {"previous.json": file(marks)}))
    assert back.forwarding(4) is None
    assert back.docker == DockerNetworking(IPv4Interface("10.128.32.1/24"), back.docker.pools if back.docker else ())


def found_conflicts(found: HostFacts) -> list[Conflict]:
    return list(conflicts(FLEET, HOST3, found, WIDE))


@pytest.mark.parametrize("name", ["nftables_fresh", "nftables_joined"])
def test_docker_with_nftables_has_no_conflict(name: str) -> None:
    assert found_conflicts(facts(name)) == []
    assert list(notes(HOST3, facts(name), WIDE)) == []


@pytest.mark.parametrize(
    ("changes", "code", "key", "named", "remedy"),
    [
        ({"tools": "/usr/sbin/ip"}, "nft-missing", "nft", [], "apt-get install nftables"),
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
def test_a_conflict_with_nftables_names_the_remedy(
    changes: dict[str, SectionOutput], code: str, key: str, named: list[str], remedy: str
) -> None:
    (found,) = found_conflicts(facts("nftables_fresh", changes))
    assert (found.code, found.key) == (code, key)
    assert [part for part in named if part not in found.message] == []
    assert remedy in found.remedy


def test_a_network_that_direct_routing_would_expose_is_a_conflict() -> None:
    row = json.dumps(["app", "bridge", {}, [{"Subnet": "172.19.0.0/16"}], "abcdef0123456789"])
    said: dict[str, SectionOutput] = {"docker_networks": f"{section_text('nftables_fresh', 'docker_networks')}\n{row}"}
    (found,) = found_conflicts(fresh(**said))
    assert (found.code, found.key) == ("network-exposed", "network app")
    assert [
        part for part in ("172.19.0.0/16", "10.128.32.0/20", "allow-direct-routing") if part not in found.message
    ] == []
    assert "dockmesh apply" in found.remedy
    assert found_conflicts(fresh('{"allow-direct-routing": true}', **said)) == []


def test_a_leftover_forward_policy_gets_a_note_with_remedy() -> None:
    (note,) = notes(HOST3, facts("nftables_fresh", {"filter": ":FORWARD DROP"}), WIDE)
    assert (note.code, note.key, note.remedy) == ("forward-policy-drop", "FORWARD", "iptables -P FORWARD ACCEPT")
    assert "DROP" in note.message
    assert list(notes(HOST3, facts("forky_fresh"), WIDE)) == []
