"""The diagnosis of failed probes."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network

import pytest
from builders import FLEET, HOST1, HOST2, host
from results import mesh_result

from dockmesh.core.host_output import Section, Sections
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes.diagnosis import with_causes
from dockmesh.core.probes.join_state import JoinState, not_joined_reason, parse_join_state
from dockmesh.core.probes.model import EXPECTED_TTL, Probe, ProbeTarget
from dockmesh.core.results.model import Failure, FailureCode

ADDRESSES = "2: eth0    inet 192.168.18.128/20 scope global eth0\n3: docker0    inet {} scope global docker0"
ROUTES = (
    "10.128.16.0/20 via 192.168.18.129 dev eth0 proto 201 metric 4201 \n"
    "odd metric 4201\n metric 4201\n10.128.32.0/20 via 192.168.18.130 dev eth0 proto 201 metric 4201 "
)


def joined_state(one: Host, *, without: str = "") -> JoinState:
    peers = (each.prefix for each in FLEET.hosts if each.name not in {one.name, without})
    return JoinState(frozenset(filter(None, [one.bridge])), frozenset(prefix for prefix in peers if prefix))


CodeAndReason = tuple[str | None, str]
SILENT = Failure(FailureCode.NO_REPLY, "no reply")
UNMADE = Failure(FailureCode.NO_CONTAINER, "no container")


def diagnoses(
    states: Mapping[str, JoinState | None], fleet: Fleet = FLEET, *, sent: int = 3, failure: Failure = SILENT
) -> dict[str, CodeAndReason]:
    """The code and the reason of each pair if no probe gets a reply."""
    answers = tuple(
        Probe(a.name, b.name, kind).result(sent).failed(failure)
        for a in fleet.hosts
        for b in fleet.hosts
        for kind in EXPECTED_TTL
        if a != b
    )
    targets = {name: ProbeTarget(join_state=found) for name, found in states.items()}
    result = with_causes(mesh_result([each.name for each in fleet.hosts], answers), fleet, targets)
    assert [answer.key for answer in result.probes] == [answer.key for answer in answers]
    # All probes of a cause have the same host and reason.
    assert all((answer.about is None) == (answer.code == failure.code) for answer in result.probes)
    assert all(answer.about in {None, answer.source, answer.target} for answer in result.probes)
    return {f"{each.source} {each.target}": (each.code, each.reason or "") for each in result.probes}


def named_hosts(reason: str) -> set[str]:
    """The hosts that a reason names."""
    return set(re.findall(r"\bhost\d\b", reason))


def test_join_state_has_docker0_and_mesh_routes() -> None:
    addresses = Section(0, ADDRESSES.format("172.17.0.1/16"))
    found = parse_join_state(Sections(addresses=addresses, addresses6=Section(0, ""), mesh_routes=Section(0, ROUTES)))
    routes = {IPv4Network("10.128.16.0/20"), IPv4Network("10.128.32.0/20")}
    assert found == JoinState(frozenset([IPv4Interface("172.17.0.1/16")]), frozenset(routes))


@pytest.mark.parametrize(
    "text", ["", "3: docker0", "3: docker0 inet", "3: docker0    inet x scope", "1: lo inet 127.0.0.1/8"]
)
def test_malformed_docker0_address_is_ignored(text: str) -> None:
    assert (
        parse_join_state(Sections(addresses=Section(0, text), addresses6=Section(0, ""), mesh_routes=Section(1, "")))
        == JoinState()
    )


def test_host_with_another_docker0_address_has_not_joined() -> None:
    assert not_joined_reason(HOST1, joined_state(HOST1)) is None
    assert not_joined_reason(host("kvm", "192.168.18.140", "10.9.0.0/24", docker=False), JoinState()) is None
    reason = not_joined_reason(HOST1, JoinState())
    assert reason is not None
    assert named_hosts(reason) == {"host1"}
    assert str(HOST1.bridge) in reason


def test_all_pairs_fail_as_not_joined_before_the_first_apply() -> None:
    default = JoinState(frozenset([IPv4Interface("172.17.0.1/16")]))
    causes = diagnoses({each.name: default for each in FLEET.hosts})
    code, reason = causes["host1 host2"]
    assert causes["host3 host2"] == (code, reason)
    assert (code, named_hosts(reason)) == (FailureCode.NOT_JOINED, {"host2"})
    assert {"172.17.0.1/16", "10.128.16.1/24"} <= set(re.findall(r"[\d.]+/\d+", reason))
    assert len(set(causes.values())) == 3
    assert {code for code, _reason in causes.values()} == {FailureCode.NOT_JOINED}


def test_many_hosts_that_have_not_joined_are_one_cause() -> None:
    many = [host(f"h{at}", f"192.168.18.{at}", f"10.128.{at}.0/24", f"10.128.{at}.1/24") for at in range(1, 10)]
    ((code, reason),) = set(
        diagnoses({each.name: JoinState() for each in many}, Fleet(FLEET.settings, tuple(many))).values()
    )
    assert code == FailureCode.NOT_JOINED
    assert {"h*", "9"} <= set(re.findall(r"[\w*]+", reason))


def test_peers_without_a_route_are_named_with_the_command() -> None:
    states = {each.name: joined_state(each, without="host3") for each in FLEET.hosts}
    causes = diagnoses(states)
    missing = causes["host1 host3"]
    assert missing[0] == FailureCode.ROUTE_MISSING
    assert named_hosts(missing[1]) == {"host1", "host2", "host3"}
    assert missing[1].endswith("dockmesh apply --limit host1,host2")
    assert {pair for pair, each in causes.items() if each == missing} == {
        *("host1 host3", "host2 host3", "host3 host1", "host3 host2")
    }
    assert causes["host1 host2"] == SILENT[:2], "these have routes to each other"


def test_many_peers_without_a_route_are_counted() -> None:
    many = [host(f"h{at}", f"192.168.18.{at}", f"10.128.{at}.0/24", f"10.128.{at}.1/24") for at in range(1, 10)]
    code, reason = diagnoses({each.name: joined_state(each) for each in many}, Fleet(FLEET.settings, tuple(many)))[
        "h1 h2"
    ]
    assert code == FailureCode.ROUTE_MISSING
    assert re.findall(r"\b(?:h\d+|\d+)\b", reason) == ["8", "h2"]


def test_unmade_probes_and_unknown_states_keep_their_reason() -> None:
    default = JoinState(frozenset([IPv4Interface("172.17.0.1/16")]))
    assert set(diagnoses({each.name: default for each in FLEET.hosts}, sent=0, failure=UNMADE).values()) == {UNMADE[:2]}
    assert set(diagnoses({each.name: None for each in FLEET.hosts}).values()) == {SILENT[:2]}
    assert set(diagnoses({each.name: joined_state(each) for each in FLEET.hosts}).values()) == {SILENT[:2]}


def test_failed_sends_have_the_not_joined_cause() -> None:
    default = JoinState(frozenset([IPv4Interface("172.17.0.1/16")]))
    unsent = Failure(FailureCode.PING_FAILED, "connect: Network is unreachable")
    found = diagnoses({each.name: default for each in FLEET.hosts}, sent=0, failure=unsent)
    assert {code for code, _reason in found.values()} == {FailureCode.NOT_JOINED}


def test_successful_probes_stay_unchanged() -> None:
    well = Probe(HOST1.name, HOST2.name, "host-bridge").result(3, 3, 64, 0.1)
    report = mesh_result(("host1", "host2"), (well,))
    assert with_causes(report, FLEET, {"host1": ProbeTarget(join_state=JoinState())}) == report
