"""The desired state of apply, rollback and destroy."""

from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

import pytest
from builders import FLEET, GENERATIONS, HOST2, WIDE, SectionOutput, facts, fleet, host, plan_of, with_ipv6

from dockmesh.core.desired.docker_pools import pools
from dockmesh.core.desired.host_state import daemon_json_keys, desired, original_state, rollback_state
from dockmesh.core.desired.routing import mesh_routes
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import difference
from dockmesh.core.state.resources import DockerNetworking, File, HostState, Pool, Unit, key_of
from dockmesh.errors import HostError
from dockmesh.pipeline import TEMPLATES

DOCKER0 = IPv4Interface("172.17.0.1/16")


def file(text: str, mode: str = "644") -> SectionOutput:
    return f"{mode}\n{b64encode(text.encode()).decode()}"


def joined(found: HostFacts) -> HostState:
    return desired(FLEET, FLEET.host(found.host), found, WIDE, TEMPLATES)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_joined_host_differs_only_in_rendered_texts(generation: str) -> None:
    # The recordings have the templates of their time.
    rendered = {("file", REASSERT_SCRIPT), ("unit", "dockmesh.service"), ("unit", "dockmesh.timer")}
    found = facts(f"{generation}_joined")
    assert {key_of(change.resource) for change in difference(found.actual, joined(found))} <= rendered


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_fresh_host_needs_routes_rules_files_and_units(generation: str) -> None:
    found = facts(f"{generation}_fresh")
    me = FLEET.host(found.host)
    wanted = joined(found).by_key()
    assert wanted["service", "docker"] == DockerNetworking(me.bridge, pools(FLEET, me, found))
    file = wanted["file", DAEMON_JSON]
    assert isinstance(file, File)
    assert daemon_json.load(file.text) == daemon_json_keys(me, found, pools(FLEET, me, found), TEMPLATES)
    assert set(wanted.values()) >= set(mesh_routes(FLEET, me, found.peer_routes))
    assert {key for kind, key in wanted if kind == "firewall"} == {
        *("ip dockmesh", "filter/DOCKER-USER", "raw/PREROUTING"),
        *(["net.ipv6.conf.all.forwarding"] if ("firewall", "net.ipv6.conf.all.forwarding") in wanted else []),
    }
    script = wanted["file", REASSERT_SCRIPT]
    assert isinstance(script, File)
    assert script.mode == "700"
    assert {name for kind, name in wanted if kind == "unit"} == {"dockmesh.service", "dockmesh.timer"}


@pytest.mark.parametrize("text", [None, "{}", '{\n\t"debug": true\n}', '{"bip": "172.17.0.1/16", "z": 1}\n'])
def test_destroy_restores_the_original_state(text: str | None) -> None:
    fresh = facts("trixie_fresh", {"daemon.json": file(text, "640")} if text is not None else None)
    as_joined = replace(fresh, actual=joined(fresh))
    assert original_state(as_joined).by_key() == fresh.actual.by_key()
    assert joined(as_joined) == joined(fresh), "the record is not written again"


def test_destroy_starts_docker_with_the_original_address() -> None:
    fresh = facts("trixie_fresh")
    bridge = original_state(replace(fresh, actual=joined(fresh))).by_key()["service", "docker"]
    assert isinstance(bridge, DockerNetworking)
    assert bridge.startup_json is not None
    assert daemon_json.load(bridge.startup_json) == {"bip": str(DOCKER0)}


def test_destroy_changes_nothing_on_a_host_that_never_joined() -> None:
    fresh = facts("trixie_fresh", {"daemon.json": file('{"debug": true}')})
    assert original_state(fresh).by_key() == fresh.actual.by_key()


@pytest.mark.parametrize(
    "record", ["", "[]", "{", "{}", '{"docker0": 1, "daemon_json": 7}', '{"docker0": "x", "daemon_json": null}']
)
def test_an_unreadable_original_state_is_a_host_error(record: str) -> None:
    with pytest.raises(HostError, match=ORIGINAL_JSON):
        original_state(facts("trixie_joined", {"original.json": file(record)}))


def test_destroy_reports_the_broken_file() -> None:
    with pytest.raises((HostError, daemon_json.DaemonJsonError)) as caught:
        original_state(facts("trixie_joined", {"daemon.json": file("{")}))
    assert ORIGINAL_JSON not in str(caught.value)


def test_a_broken_daemon_json_is_not_overwritten() -> None:
    with pytest.raises(daemon_json.DaemonJsonError):
        joined(facts("trixie_fresh", {"daemon.json": file("{")}))


def test_rollback_without_a_record_changes_nothing() -> None:
    fresh = facts("trixie_fresh")
    assert rollback_state(fresh) == fresh.actual


@pytest.mark.parametrize("generation", GENERATIONS)
def test_rollback_returns_to_the_state_before_joining(generation: str) -> None:
    back = rollback_state(facts(f"{generation}_joined"))
    assert back.by_key() == facts(f"{generation}_fresh").actual.by_key()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"resources": 1}',
        '{"resources": [["file", "/etc/x"]]}',
        '{"resources": [["file", 1, 2, 3]]}',
        '{"resources": [["file", "/etc/passwd", "", "644"]]}',
        '{"resources": [["unit", "sshd.service", "", true]]}',
        '{"resources": [["route", "10.0.0.0/8", "x", "eth0"]]}',
        '{"resources": [["route", "10.0.0.0/24", "10.1.0.1", "eth0\\nroute flush"]]}',
        '{"resources": [["accept", "nat", "DOCKER", [], 4]]}',
        '{"resources": [["accept", "raw", "FORWARD", [], 4]]}',
        '{"resources": [["accept", "raw", "PREROUTING", ["-j DROP"], 4]]}',
        '{"resources": [["accept", "raw", "PREROUTING", ["-m comment --comment dockmesh -j DROP\\nCOMMIT"], 4]]}',
        '{"resources": [["nft", [["a b", []]], [], 4]]}',
        '{"resources": [["nft", [], ["drop\\n}"], 4]]}',
    ],
)
def test_an_unreadable_previous_state_is_a_host_error(text: str) -> None:
    with pytest.raises(HostError) as raised:
        rollback_state(facts("trixie_joined", {"previous.json": file(text)}))
    assert raised.value.code == "record-unreadable"


def test_a_host_without_docker_gets_routes_and_rules() -> None:
    me = host("host2", "192.168.18.129", "10.9.0.0/24", docker=False)
    plan = plan_of(facts("no_docker", of=me), me, fleet(FLEET.hosts[0], me, FLEET.hosts[2]))
    kinds = [key_of(change.resource) for change in plan.changes]
    assert [key for key in kinds if key[0] not in {"unit", "file"}] == [
        ("firewall", "ip dockmesh"),
        ("firewall", "filter/FORWARD"),
        ("route", "10.128.0.0/20"),
        ("route", "10.128.32.0/20"),
    ]
    assert ("file", DAEMON_JSON) not in kinds
    unit = next(c.after for c in plan.changes if isinstance(c.after, Unit) and c.after.name == "dockmesh.service")
    assert "WantedBy=multi-user.target\n" in unit.text


def test_own_keys_are_the_docker0_address_and_the_pools() -> None:
    some = (Pool(IPv4Network("10.128.17.0/24"), 24), Pool(IPv4Network("10.128.18.0/23"), 26))
    assert daemon_json_keys(HOST2, facts("trixie_fresh"), some, TEMPLATES) == {
        "bip": "10.128.16.1/24",
        "default-address-pools": [{"base": "10.128.17.0/24", "size": 24}, {"base": "10.128.18.0/23", "size": 26}],
    }
    dual_stack = with_ipv6(HOST2, "fd00::129", "fd00:2::/56", "fd00:2::1/64")
    assert daemon_json_keys(dual_stack, facts("trixie_fresh"), (), TEMPLATES) == {
        "bip": "10.128.16.1/24",
        "ipv6": True,
        "fixed-cidr-v6": "fd00:2::/64",
        "default-address-pools": [],
    }
    assert set(daemon_json_keys(dual_stack, facts("forky_fresh"), (), TEMPLATES)) == set(daemon_json.OWN_KEYS)
