"""The impact of a plan on reachability, and mispredictions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest
from builders import FLEET, HOST1, HOST2, HOST3, WIDE, plan_of
from host_models import read_hosts, with_replacement
from results import mesh_result

from dockmesh.core.desired.host_state import original_state
from dockmesh.core.forecast.impact import Effect, Impact, ImpactRow, mispredictions, pair_states, predict_impact
from dockmesh.core.forecast.predict import PairState
from dockmesh.core.netfilter.verdicts import ReasonCode
from dockmesh.core.planning.findings import Conflict, ConflictCode
from dockmesh.core.planning.plan import HostPlan, Outcome, plan_host
from dockmesh.core.probes.model import Probe
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.results.model import Failure, FailureCode, MeshResult

Question = tuple[str, str, str]
STILL = {host.name: HostPlan(host.name) for host in FLEET.hosts}
INTO3 = {
    (source, "host3", kind)
    for source in ("host1", "host2")
    for kind in ("host-bridge", "host-container", "container-container")
}
FRESH = read_hosts("fresh")
# host3 drops all packets to its containers, because a foreign rule comes first.
NO_ACCEPT = with_replacement("forky_joined", "iptables_rules", "*filter\n", "*filter\n-A FORWARD -i eth0 -j DROP\n")
NO_REPLY = FailureCode.NO_REPLY


def plans(**others: HostPlan) -> dict[str, HostPlan]:
    """The plans that join the fresh hosts."""
    return {host.name: plan_of(FRESH[host.name], host) for host in FLEET.hosts} | others


def effect_counts(found: Impact) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in found.rows:
        counts[each.effect] = counts.get(each.effect, 0) + len(each.targets)
    return counts


def test_a_plan_that_joins_all_hosts_gains_all_pairs_between_them() -> None:
    found = predict_impact(FLEET, FLEET.hosts, FRESH, plans())
    assert effect_counts(found) == {"gained": 18}
    assert (found.before["reached"], found.after["reached"]) == (3, 21)
    assert all(each.why is None for each in found.rows)


def test_a_plan_without_changes_has_no_impact() -> None:
    assert predict_impact(FLEET, FLEET.hosts, read_hosts("joined"), STILL).rows == ()


def test_a_plan_that_removes_a_host_loses_its_pairs_with_a_reason() -> None:
    joined = read_hosts("joined")
    leaving = plan_host(joined["host3"], original_state(joined["host3"]), WIDE)
    found = predict_impact(FLEET, FLEET.hosts, joined, STILL | {"host3": leaving})
    assert effect_counts(found) == {"lost": 12}
    (shift,) = (each for each in found.rows if (each.source, each.kind) == ("host3", "host-bridge"))
    assert shift.why is not None
    assert shift == ImpactRow("host3", "host-bridge", ("host1", "host2"), "reached", "failing", shift.why)
    assert shift.why.code == ReasonCode.NO_ROUTE
    assert shift.why.text.startswith("host3 ")


def test_hosts_with_conflicts_keep_their_state() -> None:
    stuck = replace(plans()["host3"], conflicts=(Conflict(ConflictCode.DOCKER_SWARM, "x", "y", "z"),))
    assert effect_counts(predict_impact(FLEET, FLEET.hosts, FRESH, plans(host3=stuck))) == {"gained": 6, "failing": 12}


def test_pairs_with_unread_hosts_are_unknown() -> None:
    found = predict_impact(FLEET, (HOST1,), {"host1": FRESH["host1"]}, {"host1": plans()["host1"]})
    assert effect_counts(found) == {"unknown": 12}
    reasons = {each.why for each in found.rows if each.why}
    assert all(each.why for each in found.rows)
    assert {(each.code, each.text.partition(":")[0]) for each in reasons} == {
        (ReasonCode.NOT_READ, "host2"),
        (ReasonCode.NOT_READ, "host3"),
    }
    assert found.before == {"reached": 1, "failing": 12, "unknown": 0}
    assert found.after == {"reached": 1, "failing": 0, "unknown": 12}
    assert (found.joined, found.breaks_mesh) == ({"host1"}, False)


def test_a_host_that_leaves_loses_pairs_with_peers_that_were_not_read() -> None:
    joined = read_hosts("joined")["host3"]
    leaving = plan_host(joined, original_state(joined), WIDE)
    found = predict_impact(FLEET, (HOST3,), {"host3": joined}, {"host3": leaving})
    assert found.before == {"reached": 1, "failing": 0, "unknown": 12}
    assert found.after == {"reached": 1, "failing": 12, "unknown": 0}
    assert effect_counts(found) == {"lost": 12}
    assert {source for source, target, _ in INTO3} < {each.source for each in found.rows}
    assert all(each.why and each.why.text.startswith("host3 ") for each in found.rows)


@pytest.mark.parametrize(
    ("dropped", "state"),
    [
        (("10.128.0.0/20",), "unknown"),
        (("192.168.18.128/32",), "unknown"),
        (("10.128.0.0/20", "192.168.18.128/32"), "failing"),
    ],
)
def test_a_source_that_was_not_read_may_masquerade(dropped: tuple[str, ...], state: str) -> None:
    rules = "".join(f"-A FORWARD -s {source} -i eth0 -j DROP\n" for source in dropped)
    drops = with_replacement("forky_joined", "iptables_rules", "*filter\n", f"*filter\n{rules}")
    found = predict_impact(FLEET, (HOST3,), {"host3": read_hosts("joined", host3=drops)["host3"]}, STILL)
    (row,) = (each for each in found.rows if (each.source, each.kind) == ("host1", "container-container"))
    assert (row.targets, row.after) == (("host3",), state)
    assert row.why is not None
    assert row.why.code == (ReasonCode.NOT_READ if state == "unknown" else ReasonCode.FIREWALL_DROP)


def test_faults_of_a_joined_mesh_without_changes_are_still_failing() -> None:
    found = predict_impact(FLEET, FLEET.hosts, read_hosts("joined", host3=NO_ACCEPT), STILL)
    assert found.before == found.after == {"reached": 15, "failing": 6, "unknown": 0}
    assert effect_counts(found) == {"failing": 6}
    assert {each.why and each.why.code for each in found.rows} == {ReasonCode.FIREWALL_DROP}
    assert found.joined == {host.name for host in FLEET.hosts}
    assert found.breaks_mesh


def test_failing_pairs_with_a_host_that_has_not_joined_do_not_break_the_mesh() -> None:
    found = predict_impact(FLEET, FLEET.hosts, read_hosts("joined") | {"host3": FRESH["host3"]}, STILL)
    assert effect_counts(found) == {"failing": 12}
    assert (found.joined, found.breaks_mesh) == ({"host1", "host2"}, False)


def test_pairs_that_the_plan_joins_and_that_still_fail_break_the_mesh() -> None:
    blocked = with_replacement("forky_fresh", "iptables_rules", "*filter\n", "*filter\n-A INPUT -i eth0 -j DROP\n")
    found = predict_impact(FLEET, FLEET.hosts, read_hosts("fresh", host3=blocked), plans())
    assert found.after["failing"] > 0
    assert (len(found.joined), found.breaks_mesh) == (3, True)


def test_unknown_pairs_alone_do_not_break_the_mesh() -> None:
    found = predict_impact(
        FLEET, FLEET.hosts, read_hosts("joined", host3={"ip_rules": "99: from all lookup vpn"}), STILL
    )
    assert effect_counts(found) == {"unknown": 13}
    assert {each.why and each.why.code for each in found.rows} == {ReasonCode.UNPREDICTABLE}
    assert (len(found.joined), found.breaks_mesh) == (3, False)


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        ("unknown", "unknown", "unknown"),
        ("reached", "unknown", "unknown"),
        ("failing", "unknown", "unknown"),
        ("unknown", "failing", "lost"),
        ("reached", "failing", "lost"),
        ("failing", "failing", "failing"),
        ("unknown", "reached", "gained"),
        ("failing", "reached", "gained"),
    ],
)
def test_the_effect_follows_the_state_after_the_plan(before: PairState, after: PairState, effect: Effect) -> None:
    assert ImpactRow("host1", "host-bridge", ("host2",), before, after).effect == effect


def test_an_uncertain_pair_is_unknown_before_and_after() -> None:
    doubtful = with_replacement(
        "forky_joined",
        "iptables_rules",
        "-A FORWARD -j DOCKER-U",
        "-A FORWARD -m u32 --u32 x -j DROP\n-A FORWARD -j DOCKER-U",
    )
    found = predict_impact(FLEET, FLEET.hosts, read_hosts("joined", host3=doubtful), STILL)
    assert {(each.effect, each.before, each.after) for each in found.rows} == {("unknown", "unknown", "unknown")}
    assert {each.why and each.why.code for each in found.rows} == {ReasonCode.FIREWALL_DROP}
    assert all(each.why and "u32" in each.why.text for each in found.rows)


def test_the_state_of_a_pair_is_that_of_its_worst_probe() -> None:
    state = pair_states(FLEET, read_hosts("joined", host3=NO_ACCEPT), {})
    assert {(a, b): state(a, b) for a in ("host1", "host3") for b in ("host2", "host3")} == {
        ("host1", "host2"): "reached",
        ("host1", "host3"): "failing",
        ("host3", "host2"): "failing",
        ("host3", "host3"): "reached",
    }


def test_pairs_that_no_facts_describe_have_an_unknown_state() -> None:
    joined = read_hosts("joined")
    state = pair_states(FLEET, {name: joined[name] for name in ("host1", "host2")}, {})
    assert [state(*pair) for pair in (("host1", "host2"), ("host1", "host3"), ("host3", "host1"))] == [
        "reached",
        "unknown",
        "unknown",
    ]


def test_pairs_without_a_probe_have_an_unknown_state() -> None:
    bare = replace(HOST3, prefix=None, bridge=None, docker=False)
    fleet = replace(FLEET, hosts=(HOST1, HOST2, bare))
    assert pair_states(fleet, read_hosts("joined"), {})("host1", "host3") == "unknown"


def probe_report(**failing: FailureCode) -> MeshResult:
    """A result in which all probes succeed, except those of the given targets, which fail with the given code."""
    answers = [
        each.result(3).failed(Failure(failing[each.target], "as measured"))
        if each.target in failing and each.target != each.source
        else each.result(3, 3, each.expected_ttl, 0.1)
        for each in plan_probes(FLEET, FLEET.hosts)
    ]
    return mesh_result(("host1", "host2", "host3"), answers)


def found_mispredictions(
    report: MeshResult, *others: Outcome, made: Mapping[str, HostPlan] | None = None
) -> dict[Question, tuple[str, str | None]]:
    """The mispredictions: by probe, the predicted state and the code of the reason."""
    came = {host.name: Outcome(host.name, "confirmed") for host in FLEET.hosts} | {each.host: each for each in others}
    found = mispredictions(FLEET, FRESH, plans() if made is None else made, came.values(), report)
    return {(each.probe.source, each.probe.target, each.probe.kind): (each.predicted, each.code) for each in found}


def test_a_result_as_predicted_has_no_mispredictions() -> None:
    assert found_mispredictions(probe_report()) == {}


def test_a_failure_against_the_prediction_is_a_misprediction() -> None:
    assert found_mispredictions(probe_report(host3=NO_REPLY)) == dict.fromkeys(INTO3, ("reached", NO_REPLY))


def test_a_reverted_host_is_predicted_in_its_previous_state() -> None:
    found = found_mispredictions(probe_report(), Outcome("host3", "reverted", "probes-failed", "no"))
    assert found.keys() == INTO3 | {(target, source, kind) for source, target, kind in INTO3}
    assert found["host1", "host3", "host-bridge"] == ("failing", ReasonCode.BRIDGE_ADDRESS_WRONG)


@pytest.mark.parametrize("status", ["failed", "unreachable"])
def test_a_host_with_an_unknown_outcome_has_no_prediction(status: Literal["failed", "unreachable"]) -> None:
    assert found_mispredictions(probe_report(host3=NO_REPLY), Outcome("host3", status, "timeout", "no")) == {}


def test_a_probe_that_was_not_sent_is_ignored() -> None:
    unmade = Probe("host1", "host3", "host-container").result().failed(Failure(FailureCode.NOT_ASKED, "no"))
    assert found_mispredictions(replace(probe_report(), probes=(unmade,))) == {}


def test_a_reply_with_a_wrong_ttl_is_a_failure() -> None:
    elsewhere = (
        Probe("host1", "host3", "host-container").result(3, 3, 64, 0.1).failed(Failure(FailureCode.TTL, "64, not 63"))
    )
    assert len(found_mispredictions(replace(probe_report(), probes=(elsewhere,)))) == 1
    assert found_mispredictions(replace(probe_report(), probes=(elsewhere,)), made={}) == {}


def test_full_size_failures_and_ipv6_are_ignored() -> None:
    odd = (
        Probe("host1", "host3", "host-container")
        .result(3, 3, 63, 0.1, mtu_ok=False)
        .failed(Failure(FailureCode.MTU, "large packets are lost"))
    )
    six = Probe("host1", "host3", "host-container", 6).result(3).failed(Failure(NO_REPLY, "no reply"))
    assert found_mispredictions(replace(probe_report(), probes=(odd, six))) == {}


def test_a_host_that_drops_unread_peers_breaks_the_mesh() -> None:
    broken = {"host3": read_hosts("joined", host3=NO_ACCEPT)["host3"]}
    assert predict_impact(FLEET, [FLEET.host("host3")], broken, {}).breaks_mesh
    whole = {"host3": read_hosts("joined")["host3"]}
    assert not predict_impact(FLEET, [FLEET.host("host3")], whole, {}).breaks_mesh
