"""Uses of docker0's present address, reported before docker0 moves."""

import json
import tracemalloc
from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import Any

import pytest
from builders import FLEET, HOST2, WIDE, SectionOutput, facts, section_text
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.model import Host
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.findings import ConflictCode, NoteCode

FRESH = "trixie_fresh"


def daemon_json(document: dict[str, Any]) -> dict[str, SectionOutput]:
    return {"daemon.json": f"644\n{b64encode(json.dumps(document).encode()).decode()}"}


def found_conflicts(changes: dict[str, SectionOutput], *, name: str = FRESH, me: Host = HOST2) -> list[tuple[str, str]]:
    found = conflicts(FLEET, me, facts(name, changes, of=me), WIDE)
    return [(each.key, each.message) for each in found if each.code == ConflictCode.OLD_ADDRESS_NEEDED]


def found_notes(changes: dict[str, SectionOutput], *, name: str = FRESH, me: Host = HOST2) -> list[tuple[str, str]]:
    found = notes(me, facts(name, changes, of=me), WIDE)
    return [(each.key, each.message) for each in found if each.code == NoteCode.OLD_ADDRESS_NAMED]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"default-gateway": "172.17.0.254"}, ["default-gateway"]),
        ({"hosts": ["fd://", "tcp://172.17.0.1:2375"]}, ["hosts"]),
        ({"metrics-addr": "172.17.0.1:9323"}, ["metrics-addr"]),
        ({"ip": "172.17.0.1"}, ["ip"]),
        ({"log-opts": {"syslog-address": "tcp://172.17.0.1:514"}}, ["log-opts.syslog-address"]),
        ({"log-opts": {"splunk-url": "https://172.17.0.1", "tag": "172.17.0.1"}}, ["log-opts.splunk-url"]),
        (
            {"log-opts": {"fluentd-address": "172.17.0.1", "fluentd-async": "false"}},
            ["log-opts.fluentd-address"],
        ),
        (
            {"default-network-opts": {"bridge": {"com.docker.network.bridge.host_binding_ipv4": "172.17.0.1"}}},
            ["default-network-opts.bridge.com.docker.network.bridge.host_binding_ipv4"],
        ),
        ({"ip": "172.17.0.1", "hosts": ["tcp://172.17.0.1"]}, ["ip", "hosts"]),
    ],
)
def test_settings_that_keep_docker_or_containers_from_starting_conflict(
    document: dict[str, Any], named: list[str]
) -> None:
    found = found_conflicts(daemon_json(document))
    assert [message.split(" is ")[0] for _key, message in found] == named
    assert {key for key, _message in found} == {"/etc/docker/daemon.json"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"dns": ["172.17.0.1", "9.9.9.9"]}, ["dns"]),
        ({"fixed-cidr": "172.17.128.0/17"}, ["fixed-cidr"]),
        ({"insecure-registries": ["registry:5000", "172.17.0.1:5000", "172.17.0.0/16"]}, ["insecure-registries"] * 2),
        ({"registry-mirrors": ["http://172.17.0.5:5000/v2"]}, ["registry-mirrors"]),
        ({"proxies": {"http-proxy": "http://172.17.0.1:3128"}}, ["proxies.http-proxy"]),
        ({"log-opts": {"syslog-address": "udp://172.17.0.1:514"}}, ["log-opts.syslog-address"]),
        ({"log-opts": {"tag": "172.17.0.1/{{.Name}}"}}, ["log-opts.tag"]),
        ({"log-opts": {"fluentd-address": "172.17.0.1:24224", "fluentd-async": "true"}}, ["log-opts.fluentd-address"]),
        (
            {"log-opts": {"fluentd-async-connect": "1", "fluentd-address": "tcp://172.17.0.1:24224"}},
            ["log-opts.fluentd-address"],
        ),
        (
            {"log-opts": {"splunk-url": "https://172.17.0.1:8088", "splunk-verify-connection": "False"}},
            ["log-opts.splunk-url"],
        ),
    ],
)
def test_other_settings_are_notes(document: dict[str, Any], named: list[str]) -> None:
    found = found_notes(daemon_json(document))
    assert [message.split(" is ")[0] for _key, message in found] == named
    assert found_conflicts(daemon_json(document)) == []


@pytest.mark.parametrize(
    "document",
    [
        {"dns": ["10.0.0.1"], "hosts": ["tcp://192.168.18.129:2375", "unix:///var/run/docker.sock"]},
        {"bip": "172.17.0.1/16", "default-address-pools": [{"base": "172.17.0.0/16", "size": 24}]},
        {"labels": ["version=1172.17.0.1", "at=172.17.0.1.9", "a172.17.0.1"], "no-proxy": "172.0.0.0/8"},
    ],
)
def test_other_addresses_are_no_finding(document: dict[str, Any]) -> None:
    assert found_conflicts(daemon_json(document)) == found_notes(daemon_json(document)) == []


def test_flags_of_dockerd_count_as_settings() -> None:
    flags = {"daemon_arguments": "dockerd\n-H\ntcp://172.17.0.1:2375\n--dns=172.17.0.1\n-H\nfd://"}
    assert [(key, message.split(" is ")[0]) for key, message in found_conflicts(flags)] == [("docker", "-H")]
    assert [(key, message.split(" is ")[0]) for key, message in found_notes(flags)] == [("docker", "--dns")]


def test_an_option_of_the_log_driver_may_be_a_flag() -> None:
    flags = "dockerd\n--log-opt\nfluentd-address=172.17.0.1:24224"
    assert len(found_conflicts({"daemon_arguments": flags})) == 1
    changes = {"daemon_arguments": f"{flags}\n--log-opt=fluentd-async=true\n--log-opt=tag=172.17.0.1"}
    assert (len(found_conflicts(changes)), len(found_notes(changes))) == (0, 2)
    assert found_conflicts({"daemon_arguments": "dockerd\n--log-opt=tag=172.17.0.1-address"}) == []


def remedies(document: dict[str, Any]) -> list[str]:
    found = facts(FRESH, daemon_json(document))
    return [
        each.remedy
        for each in (*conflicts(FLEET, HOST2, found, WIDE), *notes(HOST2, found, WIDE))
        if each.code in {ConflictCode.OLD_ADDRESS_NEEDED, NoteCode.OLD_ADDRESS_NAMED}
    ]


@pytest.mark.parametrize(
    ("document", "proposed"),
    [
        ({"dns": ["172.17.0.1"]}, str(HOST2.bridge.ip)),
        ({"registry-mirrors": ["http://172.17.0.1:5000/2"]}, str(HOST2.bridge.ip)),
        ({"insecure-registries": ["172.17.0.0/16"]}, str(HOST2.bridge.network)),
        ({"proxies": {"no-proxy": "localhost,172.17.0.0/16"}}, str(HOST2.bridge.network)),
        ({"registry-mirrors": ["http://172.17.0.5:5000"]}, str(HOST2.bridge.network)),
        ({"fixed-cidr": "172.17.128.0/17"}, str(HOST2.bridge.network)),
    ],
)
def test_a_remedy_proposes_an_address_or_a_network(document: dict[str, Any], proposed: str) -> None:
    (remedy,) = remedies(document)
    assert [word.rstrip(",") for word in remedy.split() if word.startswith("10.")] == [proposed]


@pytest.mark.parametrize("address", ["tcp://172.17.0.1:514", "udp://172.17.0.1:514"])
def test_existing_containers_keep_their_log_options(address: str) -> None:
    (remedy,) = remedies({"log-opts": {"syslog-address": address}})
    assert "create" in remedy


def test_texts_of_a_hostile_file_are_printable_and_short() -> None:
    long = "x" * 10_000
    document = {"hosts": [f"172.17.0.1 \x1b[31m {long}"], f"\x1b[31m{long}": {f"\x9b{long}": f"172.17.0.1 {long}"}}
    found = [*found_conflicts(daemon_json(document)), *found_notes(daemon_json(document))]
    assert len(found) == 2
    assert all(message.isprintable() and len(message) < 1000 for _key, message in found)


def test_memory_is_in_proportion_to_the_file() -> None:
    found = facts(FRESH, daemon_json({"k" * 40_000: {str(n): "" for n in range(4000)}}))
    list(notes(HOST2, found, WIDE))
    tracemalloc.start()
    try:
        list(notes(HOST2, found, WIDE))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def published(address: str, *, auto_remove: bool = False) -> dict[str, SectionOutput]:
    row = json.loads(section_text(FRESH, "docker_containers").splitlines()[0])[:4]
    row[1:3] = ["/shop", auto_remove]
    ports = {"80/tcp": [{"HostIp": "", "HostPort": "80"}, {"HostIp": address, "HostPort": "8080"}], "81/tcp": None}
    return {"docker_containers": json.dumps([*row, ports])}


def test_a_container_published_on_the_old_address_is_a_conflict() -> None:
    ((key, _message),) = found_conflicts(published("172.17.0.1"))
    assert key == "container shop"
    assert found_conflicts(published("0.0.0.0")) == []  # noqa: S104 (every address of the host)
    assert found_conflicts(published("192.168.18.129")) == []
    assert found_conflicts(published("172.17.0.1", auto_remove=True)) == [], "Docker removes it anyway"


@pytest.mark.parametrize("document", [{"hosts": ["tcp://172.17.0.1"], "dns": ["172.17.0.9"]}])
def test_an_unmoved_docker0_has_no_finding(document: dict[str, Any]) -> None:
    stays = replace(HOST2, bridge=IPv4Interface("172.17.0.1/16"))
    assert found_conflicts(daemon_json(document) | published("172.17.0.1"), me=stays) == []
    assert found_notes(daemon_json(document), me=stays) == []


def test_in_a_smaller_network_only_the_lost_addresses_count() -> None:
    smaller = replace(HOST2, bridge=IPv4Interface("172.17.0.1/24"))
    changes = daemon_json({"hosts": ["tcp://172.17.0.1"], "dns": ["172.17.0.9", "172.17.9.9"]})
    assert found_conflicts(changes, me=smaller) == []
    assert len(found_notes(changes, me=smaller)) == 1


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_file_is_searched(value: Any) -> None:
    found_notes(daemon_json({"x": value}))
    found_conflicts(daemon_json({"hosts": value}))
