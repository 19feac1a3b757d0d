"""The MTU of docker0: lowered to the smallest uplink, never above the operator's, and restored."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from builders import FLEET, HOST1, HOST2, HOST3, WIDE, SectionOutput, facts, plan_of, section_text
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.desired import original
from dockmesh.core.desired.host_state import desired, original_state
from dockmesh.core.desired.uplinks import SmallestUplink, smallest_uplink
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import DockerNetworking, File, HostState, key_of
from dockmesh.pipeline import TEMPLATES

MTU = "com.docker.network.driver.mtu"
NARROW = SmallestUplink("host1", "eth0", 1400, complete=True)
KNOWS, KNOWS_NOT = "trixie_fresh", "bookworm_fresh"
ETH0 = "2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu {} qdisc noqueue state UP"


def network_options(mtu: int) -> dict[str, Any]:
    return {"bridge": {MTU: str(mtu)}}


SMALL = network_options(1300)


def facts_with(name: str, keys: Mapping[str, Any] | None = None, *, running: int = 1500, flags: str = "") -> HostFacts:
    """A host with these keys in its daemon.json, and docker0 with an MTU."""
    said: dict[str, SectionOutput] = {
        "docker_networks": section_text(name, "docker_networks").replace('"1500"', f'"{running}"')
    }
    if keys is not None:
        said["daemon.json"] = f"644\n{b64encode(json.dumps(keys).encode()).decode()}"
    if flags:
        said["daemon_arguments"] = "\n".join(("/usr/sbin/dockerd", *flags.split()))
    return facts(name, said)


def joined(found: HostFacts, narrow: SmallestUplink) -> HostFacts:
    """The host after an apply."""
    return replace(found, actual=desired(FLEET, FLEET.host(found.host), found, narrow, TEMPLATES))


def keys_of(found: HostFacts) -> dict[str, Any]:
    """The MTU keys of the host's daemon.json."""
    file = found.file(DAEMON_JSON)
    keys = daemon_json.load(file.text if file else None)
    return {key: keys[key] for key in ("mtu", "default-network-opts") if key in keys}


def docker0(found: HostFacts) -> int | None:
    return found.actual.docker.mtu if found.actual.docker else None


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w.]+", text))


def with_daemon_json(found: HostFacts, keys: Mapping[str, Any]) -> HostFacts:
    """The host after the operator with_daemon_json daemon.json and restarted Docker."""
    file, bridge = found.file(DAEMON_JSON), found.actual.docker
    assert file
    assert bridge
    changed = {key: value for key, value in (daemon_json.load(file.text) | keys).items() if value is not None}
    others = tuple(each for each in found.actual.resources if each not in {file, bridge})
    bridge = replace(bridge, mtu=changed.get("mtu", 1500))
    return replace(found, actual=HostState((*others, File(DAEMON_JSON, json.dumps(changed), file.mode), bridge)))


def test_the_smallest_uplink_is_that_of_all_hosts_read() -> None:
    read = {
        "host1": facts("bookworm_fresh", {"links": ETH0.format(9000)}),
        "host2": facts("trixie_fresh", {"links": f"{ETH0.format(1450)}\n1: lo: <LOOPBACK> mtu 68"}),
    }
    assert smallest_uplink(FLEET, read) == SmallestUplink("host2", "eth0", 1450, complete=False)
    read["host3"] = facts("forky_fresh", {"links": ETH0.format(1450)})
    assert smallest_uplink(FLEET, read) == SmallestUplink("host2", "eth0", 1450, complete=True)
    assert not smallest_uplink(FLEET, {}).complete
    assert smallest_uplink(FLEET, {}).mtu >= 65535


@pytest.mark.parametrize("name", [KNOWS, KNOWS_NOT, "forky_fresh"])
@pytest.mark.parametrize("mtu", [1500, 9000])
def test_no_mtu_is_set_if_every_uplink_is_large_enough(name: str, mtu: int) -> None:
    there = joined(facts_with(name), replace(WIDE, mtu=mtu))
    assert keys_of(there) == {}
    assert docker0(there) == 1500


@pytest.mark.parametrize(
    ("name", "keys", "running", "wanted", "size"),
    [
        (KNOWS, None, 1500, {"mtu": 1400, "default-network-opts": network_options(1400)}, 1400),
        ("forky_fresh", None, 1500, {"mtu": 1400, "default-network-opts": network_options(1400)}, 1400),
        (KNOWS_NOT, None, 1500, {"mtu": 1400}, 1400),
        # A smaller value is the operator's choice, and 0 means unset.
        (KNOWS_NOT, {"mtu": 1280}, 1280, {"mtu": 1280}, 1280),
        (KNOWS, {"mtu": 1280}, 1280, {"mtu": 1280, "default-network-opts": network_options(1400)}, 1280),
        (KNOWS, {"default-network-opts": SMALL}, 1500, {"mtu": 1400, "default-network-opts": SMALL}, 1400),
        (KNOWS_NOT, {"mtu": 0}, 1500, {"mtu": 1400}, 1400),
        # The operator's other keys stay.
        (
            KNOWS,
            {"mtu": 9000, "default-network-opts": {"bridge": {"x": "y", MTU: "9000"}, "overlay": {"z": "1"}}},
            9000,
            {"mtu": 1400, "default-network-opts": {"bridge": {"x": "y", MTU: "1400"}, "overlay": {"z": "1"}}},
            1400,
        ),
    ],
)  # fmt: skip
def test_only_an_mtu_above_the_limit_is_lowered(
    name: str, keys: dict[str, Any] | None, running: int, wanted: dict[str, Any], size: int
) -> None:
    found = facts_with(name, keys, running=running)
    there = joined(found, NARROW)
    assert keys_of(there) == wanted
    assert docker0(there) == size
    assert joined(there, NARROW).actual == there.actual, "a second plan is empty"
    assert original_state(there).by_key() == found.actual.by_key(), "destroy restores the original state"


def test_an_incomplete_run_lowers_an_mtu_but_never_raises_it() -> None:
    there = joined(facts_with(KNOWS), NARROW)
    part = replace(WIDE, complete=False)
    assert joined(there, part).actual == there.actual
    (note,) = notes(HOST2, there, part)
    assert (note.code, note.key) == ("mtu-kept", "mtu")
    assert "1400" in note.message
    assert keys_of(joined(there, replace(part, mtu=1300))) == {
        "mtu": 1300,
        "default-network-opts": network_options(1300),
    }


@pytest.mark.parametrize("keys", [None, {"mtu": 9000}, {"mtu": 1450, "default-network-opts": {"bridge": {"a": "b"}}}])
def test_a_complete_run_with_larger_uplinks_restores_the_mtu(keys: dict[str, Any] | None) -> None:
    found = facts_with(KNOWS, keys, running=(keys or {}).get("mtu", 1500))
    back = joined(joined(found, NARROW), replace(WIDE, mtu=9000))
    assert keys_of(back) == (keys or {})
    assert docker0(back) == docker0(found)
    record = original.load_original(back.actual)
    assert record
    assert record.set_mtu is None


@pytest.mark.parametrize("smaller", [1280, 1399])
def test_a_smaller_mtu_of_the_operator_stays_even_after_destroy(smaller: int) -> None:
    theirs = with_daemon_json(joined(facts_with(KNOWS_NOT), NARROW), {"mtu": smaller})
    for narrow in (NARROW, WIDE):
        assert keys_of(joined(theirs, narrow)) == {"mtu": smaller}
    after = original_state(theirs).by_key()
    file, bridge = after["file", DAEMON_JSON], after["service", "docker"]
    assert isinstance(file, File)
    assert isinstance(bridge, DockerNetworking)
    assert (daemon_json.load(file.text), bridge.mtu) == ({"mtu": smaller}, smaller)


def test_destroy_keeps_an_mtu_of_the_operator() -> None:
    theirs = with_daemon_json(joined(facts_with(KNOWS), WIDE), {"mtu": 1400})
    assert keys_of(replace(theirs, actual=original_state(theirs))) == {"mtu": 1400}


def test_docker_is_not_restarted_for_an_mtu_of_the_operator() -> None:
    there = joined(facts_with(KNOWS), WIDE)
    waiting = with_daemon_json(there, {"mtu": 1450})
    bridge = replace(waiting.actual.docker or DockerNetworking(None), mtu=1500)
    others = tuple(each for each in waiting.actual.resources if not isinstance(each, DockerNetworking))
    waiting = replace(waiting, actual=HostState((*others, bridge)))
    assert joined(waiting, WIDE).actual.docker == bridge, "no restart"
    assert docker0(joined(waiting, NARROW)) == 1400, "but 1500 is too much"


def test_a_restart_applies_the_mtu_of_the_file() -> None:
    assert docker0(joined(facts_with(KNOWS, {"mtu": 1450}), WIDE)) == 1450


@pytest.mark.parametrize(
    ("flags", "narrow", "against"),
    [
        ("--mtu=1500", WIDE, []),
        ("--mtu 1400", NARROW, []),
        ("--mtu=9000", NARROW, ["--mtu=9000"]),
        ("--mtu=9000", WIDE, ["--mtu=9000"]),
        (f"--default-network-opt=bridge={MTU}=1400", NARROW, []),
        (f"--default-network-opt bridge={MTU}=1450", NARROW, [f"--default-network-opt=bridge={MTU}=1450"]),
        ("--default-network-opt=bridge=com.docker.network.bridge.name=9", NARROW, ["--default-network-opt=bridge=com"]),
        ("--mtu", WIDE, []),
    ],
)
def test_a_flag_with_a_larger_mtu_is_a_conflict(flags: str, narrow: SmallestUplink, against: list[str]) -> None:
    found = list(conflicts(FLEET, HOST2, facts_with(KNOWS, flags=flags), narrow))
    assert len(found) == len(against)
    for conflict, start in zip(found, against, strict=True):
        assert (conflict.code, conflict.key) == ("docker-mtu-flag", "docker")
        assert f" {start}" in conflict.message
        assert not {"eth0", "host1", str(narrow.mtu)} - set(re.findall(r"\w+", conflict.message.partition(start)[2]))
        assert "docker.service" in conflict.remedy


def test_docker0_keeps_the_mtu_of_a_flag() -> None:
    found = facts_with(KNOWS, running=9000, flags="--mtu=9000")
    there = joined(found, replace(WIDE, mtu=9000))
    assert (keys_of(there), docker0(there)) == ({}, 9000)
    assert original_state(there).by_key() == found.actual.by_key()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (KNOWS, " 1400"),
        (KNOWS_NOT, f"--opt {MTU}=1400"),
    ],
)
def test_networks_with_too_large_an_mtu_get_a_note_with_remedy(name: str, remedy: str) -> None:
    rows = [
        ["app", "bridge", {MTU: "1500"}, [{"Subnet": "10.128.17.0/24"}], "a" * 64],
        ["unsaid", "bridge", {}, [{"Subnet": "10.128.1.0/24"}], "b" * 64],
        ["small", "bridge", {MTU: "1400"}, [], "c" * 64],
        ["other", "macvlan", {}, [], "d" * 64],
    ]
    networks = "\n".join((section_text(name, "docker_networks"), *map(json.dumps, rows)))
    found = facts(name, {"docker_networks": networks})
    large = [note for note in notes(FLEET.host(found.host), found, NARROW) if note.code == "network-mtu-too-large"]
    assert [note.key for note in large] == ["network app", "network unsaid"]
    for note in large:
        assert re.findall(r"\d+", note.message) == ["1500", "1400"]
        assert remedy in note.remedy
        assert ("--opt" in note.remedy) is (name == KNOWS_NOT)
    wide = notes(FLEET.host(found.host), found, WIDE)
    assert {note.code for note in wide} <= {"network-outside-prefix"}


@pytest.mark.parametrize(("of", "name"), [(HOST1, KNOWS_NOT), (HOST2, KNOWS), (HOST3, "forky_fresh")])
def test_the_plan_names_the_smallest_uplink(of: Host, name: str) -> None:
    there = joined(facts_with(name), WIDE)
    plan = plan_of(there, of, narrow=NARROW)
    reasons = {key_of(change.resource)[1]: change.reason for change in plan.changes}
    assert set(reasons) == {ORIGINAL_JSON, DAEMON_JSON, "docker"}
    assert {"docker0", "uplink"} <= words(reasons[DAEMON_JSON])
    assert {"docker0", "1400", "eth0", "host1"} <= words(reasons["docker"])


KEYS = st.fixed_dictionaries(
    {},
    optional={
        "mtu": st.sampled_from([0, 1200, 1400, 1450, 1500, 9000]),
        # Without empty objects, which count as absent.
        "default-network-opts": st.sampled_from(
            [{"overlay": {"a": "b"}}, network_options(1300), network_options(9000)]
        ),
        "debug": st.booleans(),
    },
)
LIMITS = st.builds(
    SmallestUplink, st.just("host1"), st.just("eth0"), st.sampled_from([1280, 1400, 1500, 9000]), st.booleans()
)


@given(KEYS, st.lists(LIMITS, min_size=1, max_size=4), st.sampled_from([KNOWS, KNOWS_NOT]))
def test_the_operators_mtu_is_never_exceeded_and_always_restored(
    keys: dict[str, Any], limits: list[SmallestUplink], name: str
) -> None:
    found = facts_with(name, keys, running=keys.get("mtu") or 1500)
    there = found
    for narrow in limits:
        before = docker0(there)
        there = joined(there, narrow)
        assert joined(there, narrow).actual == there.actual
        assert (docker0(there) or 0) <= min(narrow.mtu, docker0(found) or 0)
        assert narrow.complete or (docker0(there) or 0) <= (before or 0)
    assert original_state(there).by_key() == found.actual.by_key()
