"""The complete pipeline on simulated hosts. The tests assert on the state of the hosts, not on calls."""

from base64 import b64encode
from copy import deepcopy
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

import pytest
from builders import FLEET
from fakehosts import REVERTS_IN_S, FakeHost, FakeLan, Pending

from dockmesh.core.events import (
    ChangeFinished,
    ChangeStarted,
    Event,
    HostFinished,
    OutcomeReported,
    PhaseStarted,
    WorkFinished,
    WorkStarted,
)
from dockmesh.core.model import Fleet
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REVERTED_RECORD
from dockmesh.core.planning.goal import Goal
from dockmesh.core.planning.plan import Outcome, OutcomeCode, Plan
from dockmesh.core.results.model import MeshResult
from dockmesh.core.rollout.batches import Rollout
from dockmesh.core.state.resources import File, Resource, Route
from dockmesh.errors import TooSlowError
from dockmesh.pipeline import DESTROY, JOIN, ROLLBACK, Applied, Pipeline, RunRequest, end_pending
from dockmesh.remote.observed import ObservedTransport


def ignore(_event: Event) -> None:
    """An event sink for tests without assertions on events."""


Resources = dict[str, dict[tuple[str, str], Resource]]
REQUEST = RunRequest(FLEET, FLEET.hosts, run="test", timeout_s=5)


@pytest.fixture
def lan() -> FakeLan:
    return FakeLan({host.name: FakeHost(host) for host in FLEET.hosts})


def host_resources(lan: FakeLan) -> Resources:
    return {name: deepcopy(host.resources) for name, host in lan.hosts.items()}


def make_plan(lan: FakeLan, request: RunRequest = REQUEST) -> Plan:
    with Pipeline(request, lambda: lan, ignore) as pipeline:
        return pipeline.plan()


def probe_mesh(lan: FakeLan) -> MeshResult:
    with Pipeline(REQUEST, lambda: lan, ignore) as pipeline:
        return pipeline.status()


def run(lan: FakeLan, goal: Goal = JOIN, rollout: Rollout | None = None) -> dict[str, Outcome]:
    request = replace(REQUEST, goal=goal, rollout=rollout or Rollout(serial=3, max_fail=3))
    with Pipeline(request, lambda: lan, ignore) as pipeline:
        return {outcome.host: outcome for outcome in pipeline.apply(pipeline.plan()).outcomes}


def codes(outcomes: dict[str, Outcome]) -> list[str | None]:
    return [outcome.code for outcome in outcomes.values()]


def statuses(outcomes: dict[str, Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes.values()]


def test_a_plan_changes_nothing(lan: FakeLan) -> None:
    before = host_resources(lan)
    assert not make_plan(lan).empty
    assert host_resources(lan) == before


@pytest.mark.parametrize("serial", [1, 2, 3])
def test_apply_leaves_an_empty_plan_and_all_hosts_reach_each_other(lan: FakeLan, serial: int) -> None:
    assert not probe_mesh(lan).ok
    assert statuses(run(lan, rollout=Rollout(serial=serial))) == ["confirmed"] * 3
    assert make_plan(lan).empty
    assert make_plan(lan).clean
    report = probe_mesh(lan)
    assert report.ok
    assert len(report.probes) == 21
    assert not any(host.pending or host.held for host in lan.hosts.values())
    assert lan.hosts["host2"].docker0 == FLEET.host("host2").bridge


@pytest.mark.parametrize("serial", [2, 3])
def test_apply_repeats_the_probes_only_after_several_batches(lan: FakeLan, serial: int) -> None:
    events: list[Event] = []
    with Pipeline(replace(REQUEST, rollout=Rollout(serial=serial)), lambda: lan, events.append) as pipeline:
        report = pipeline.apply(pipeline.plan()).result
    phases = [event.phase for event in events if isinstance(event, PhaseStarted)]
    assert phases.count("probe") == (1 if serial == 3 else 3)
    assert report
    assert report.ok
    assert len(report.probes) == 21


def test_a_second_apply_changes_nothing(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    assert statuses(run(lan)) == ["unchanged"] * 3
    assert host_resources(lan) == before


@pytest.mark.parametrize("text", [None, '{"debug": true}', '{\n\t"bip": "172.17.0.1/16",\n\t"dns": []\n}'])
def test_destroy_returns_to_the_start(lan: FakeLan, text: str | None) -> None:
    if text is not None:
        lan.hosts["host2"].put(File(DAEMON_JSON, text, "640"))
    start = host_resources(lan)
    run(lan)
    assert host_resources(lan) != start
    assert statuses(run(lan, DESTROY)) == ["confirmed"] * 3
    assert host_resources(lan) == start
    assert statuses(run(lan, DESTROY)) == ["unchanged"] * 3


def test_rollback_returns_to_the_state_before_the_last_apply(lan: FakeLan) -> None:
    run(lan)
    joined = host_resources(lan)
    lan.hosts["host1"].resources.pop(("route", "10.128.16.0/20"))
    drifted = host_resources(lan)
    assert statuses(run(lan)) == ["confirmed", "unchanged", "unchanged"]
    assert host_resources(lan) == joined
    assert run(lan, ROLLBACK)["host1"].status == "confirmed"
    assert host_resources(lan)["host1"] == drifted["host1"]


def test_drift_is_planned_and_repaired(lan: FakeLan) -> None:
    run(lan)
    joined = host_resources(lan)
    odd = lan.hosts["host3"]
    (route, *_) = odd.routes
    odd.put(Route(route.prefix, FLEET.hosts[1].underlay, route.device))
    odd.resources.pop(("firewall", "raw/PREROUTING"))
    found = {plan.host: [change.action for change in plan.changes] for plan in make_plan(lan).hosts}
    assert found == {"host1": [], "host2": [], "host3": ["add", "change"]}
    assert statuses(run(lan)) == ["unchanged", "unchanged", "confirmed"]
    assert host_resources(lan) == joined


def test_an_unreachable_host_does_not_stop_the_others(lan: FakeLan) -> None:
    lan.hosts["host2"].down = True
    before = host_resources(lan)["host2"]
    outcomes = run(lan)
    assert statuses(outcomes) == ["confirmed", "unreachable", "confirmed"]
    assert codes(outcomes) == [None, "connect-timeout", None]
    assert "192.168.18.129" in (outcomes["host2"].error or "")
    assert host_resources(lan)["host2"] == before
    report = probe_mesh(lan)
    assert {host: error.code for host, error in report.errors.items()} == {"host2": "connect-timeout"}
    assert {answer.target for answer in report.failed if answer.source != "host2"} == {"host2"}
    lan.hosts["host2"].down = False
    assert statuses(run(lan)) == ["unchanged", "confirmed", "unchanged"]
    assert probe_mesh(lan).ok


def test_status_does_not_contact_lost_hosts_again(lan: FakeLan, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    connect = FakeLan.connect
    monkeypatch.setattr(FakeLan, "connect", lambda self, host: (tried.append(host.name), connect(self, host))[1])
    lan.hosts["host2"].down = True
    lan.hosts["host3"].session_lost_in = "transact"
    with Pipeline(REQUEST, lambda: lan, ignore) as pipeline:
        pipeline.apply(pipeline.plan())
        before = tried.count("host2"), tried.count("host3")
        report = pipeline.status()
    assert (tried.count("host2"), tried.count("host3")) == before
    errors = {host: error.code for host, error in report.errors.items()}
    assert errors == {"host2": "connect-timeout", "host3": "session-lost"}
    assert {answer.target for answer in report.probes if answer.ok} == {"host1"}
    bridges = {answer.target for answer in report.failed if answer.made}
    assert bridges == {"host2", "host3"}, "other hosts still probe their bridges"


def test_a_host_with_a_conflict_is_unchanged_and_the_others_join(lan: FakeLan) -> None:
    lan.hosts["host1"].put(File(DAEMON_JSON, '{"bridge": "br0"}', "644"))
    before = host_resources(lan)["host1"]
    outcomes = run(lan)
    assert statuses(outcomes) == ["refused", "confirmed", "confirmed"]
    assert codes(outcomes) == ["conflict", None, None]
    assert [part for part in (f"{DAEMON_JSON}: ", "'br0'") if part not in (outcomes["host1"].error or "")] == []
    assert host_resources(lan)["host1"] == before


@pytest.mark.parametrize("goal", [JOIN, DESTROY], ids=["join", "destroy"])
def test_an_invalid_daemon_json_is_a_conflict_for_every_goal(lan: FakeLan, goal: Goal) -> None:
    run(lan)
    lan.hosts["host1"].put(File(DAEMON_JSON, '{"bip": ', "644"))
    before = host_resources(lan)["host1"]
    plan = make_plan(lan, replace(REQUEST, goal=goal)).hosts[0]
    assert plan.changes == ()
    assert [(conflict.code, conflict.key) for conflict in plan.conflicts] == [("daemon-json-invalid", DAEMON_JSON)]
    outcome = run(lan, goal)["host1"]
    assert (outcome.status, outcome.code) == ("refused", "conflict")
    assert host_resources(lan)["host1"] == before


def test_a_host_reverts_if_docker_does_not_start(lan: FakeLan) -> None:
    lan.hosts["host2"].docker_fails = True
    before = host_resources(lan)["host2"]
    outcomes = run(lan)
    assert statuses(outcomes) == ["confirmed", "reverted", "confirmed"]
    assert codes(outcomes) == [None, "docker-failed", None]
    assert outcomes["host2"].error == "docker.service: start request repeated too quickly", "the message of the host"
    assert host_resources(lan)["host2"] == before


def test_a_host_reverts_if_its_probes_fail_and_the_others_confirm(lan: FakeLan) -> None:
    lan.hosts["host2"].drops_peers = True
    before = host_resources(lan)["host2"]
    outcomes = run(lan)
    assert statuses(outcomes) == ["confirmed", "reverted", "confirmed"]
    assert codes(outcomes) == [None, "probes-failed", None]
    assert "host2" in (outcomes["host2"].error or "")
    assert host_resources(lan)["host2"] == before
    assert lan.hosts["host2"].pending is None


def test_max_fail_stops_the_remaining_batches(lan: FakeLan) -> None:
    lan.hosts["host1"].docker_fails = True
    before = host_resources(lan)
    outcomes = run(lan, rollout=Rollout(serial=1, max_fail=0))
    assert statuses(outcomes) == ["reverted", "refused", "refused"]
    assert codes(outcomes) == ["docker-failed", "not-begun", "not-begun"]
    assert host_resources(lan) == before


def test_a_host_that_changed_after_the_plan_is_refused(lan: FakeLan) -> None:
    with Pipeline(replace(REQUEST, rollout=Rollout(serial=3, max_fail=3)), lambda: lan, ignore) as pipeline:
        plan = pipeline.plan()
        lan.hosts["host3"].put(File(DAEMON_JSON, '{"debug": true}', "644"))
        changed = host_resources(lan)["host3"]
        outcomes = {outcome.host: outcome for outcome in pipeline.apply(plan).outcomes}
    assert statuses(outcomes) == ["confirmed", "confirmed", "refused"]
    assert codes(outcomes) == [None, None, "stale-plan"]
    assert host_resources(lan)["host3"] == changed


def test_a_pending_change_of_another_run_is_not_touched(lan: FakeLan) -> None:
    lan.hosts["host1"].pending = Pending("ann@desk", (), "")
    before = host_resources(lan)["host1"]
    outcomes = run(lan)
    assert statuses(outcomes) == ["refused", "confirmed", "confirmed"]
    assert codes(outcomes) == ["conflict", None, None]
    assert "ann@desk" in (outcomes["host1"].error or "")
    assert host_resources(lan)["host1"] == before


def test_a_host_with_a_pending_change_has_no_other_plan_and_no_green_status(lan: FakeLan) -> None:
    run(lan)
    lan.hosts["host1"].pending = Pending("ann@desk", (), "")
    lan.hosts["host1"].resources.pop(("route", "10.128.16.0/20"))
    planned = make_plan(lan).hosts[0]
    assert planned.pending
    assert (planned.pending.run, planned.pending.reverts_in_s) == ("ann@desk", REVERTS_IN_S)
    assert ([each.code for each in planned.conflicts], planned.changes) == (["change-pending"], ())
    lan.hosts["host1"].put(Route(FLEET.host("host2").prefix, FLEET.host("host2").underlay, "eth0"))
    result = probe_mesh(lan)
    assert not result.failed
    assert not result.ok
    assert list(result.pending) == ["host1"]


def test_rollback_reverts_a_pending_change_and_no_confirmed_one(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    one = lan.hosts["host1"]
    one.pending = Pending("ann@desk", ((("put_file", DAEMON_JSON, "644"), b64encode(b"{}").decode()),), "")
    outcomes = run(lan, ROLLBACK)
    assert statuses(outcomes) == ["confirmed"] * 3
    assert one.pending is None
    assert one.resources.pop(("file", DAEMON_JSON)) == File(DAEMON_JSON, "{}", "644")
    before["host1"].pop(("file", DAEMON_JSON))
    assert one.resources == before["host1"]
    assert not lan.hosts["host2"].routes, "a host without a pending change returns to its earlier state"


def test_a_pending_change_that_another_run_ends_is_not_rolled_back(lan: FakeLan) -> None:
    lan.hosts["host1"].pending = Pending("ann@desk", (), "")
    with Pipeline(replace(REQUEST, goal=ROLLBACK), lambda: lan, ignore) as pipeline:
        plan = pipeline.plan()
        lan.hosts["host1"].pending = Pending("bob@desk", (), "")
        outcomes = {outcome.host: outcome for outcome in pipeline.apply(plan).outcomes}
    assert codes(outcomes) == ["stale-plan", None, None]
    assert lan.hosts["host1"].pending == Pending("bob@desk", (), "")


def test_keep_current_gives_up_a_revert_and_changes_no_other_host(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    lan.hosts["host1"].pending = Pending("ann@desk", (), "earlier")
    outcomes = run(lan, end_pending("keep"))
    assert statuses(outcomes) == ["confirmed", "unchanged", "unchanged"]
    assert (lan.hosts["host1"].pending, lan.hosts["host1"].previous) == (None, "earlier")
    assert host_resources(lan) == before


def test_the_end_of_pending_changes_rolls_back_no_host_that_has_reverted_its_own(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    for host in lan.hosts.values():
        host.reverted = "5 reboot ann@desk"
    assert statuses(run(lan, end_pending("revert"))) == ["unchanged"] * 3
    assert host_resources(lan) == before


@pytest.mark.parametrize("goal", [JOIN, ROLLBACK, DESTROY])
def test_the_next_change_removes_the_record_of_a_revert(lan: FakeLan, goal: Goal) -> None:
    run(lan)
    for host in lan.hosts.values():
        host.put(File(REVERTED_RECORD, "1 reboot ann@desk\n", "644"))
        host.reverted = "5 reboot ann@desk"
    assert {note.code for plan in make_plan(lan).hosts for note in plan.notes} == {"change-reverted"}
    assert {each.reverted.reason for each in probe_mesh(lan).hosts if each.reverted} == {"reboot"}
    assert probe_mesh(lan).ok
    assert statuses(run(lan, goal)) == ["confirmed"] * 3
    assert not any(("file", REVERTED_RECORD) in host.resources for host in lan.hosts.values())
    run(lan, ROLLBACK)
    assert not any(("file", REVERTED_RECORD) in host.resources for host in lan.hosts.values())


def test_a_host_lost_before_its_confirmation_reverts_by_itself(lan: FakeLan) -> None:
    lan.hosts["host3"].session_lost_in = "confirm"
    before = host_resources(lan)["host3"]
    outcomes = run(lan)
    assert statuses(outcomes) == ["confirmed", "confirmed", "unreachable"]
    assert codes(outcomes) == [None, None, "session-lost"]
    error = outcomes["host3"].error or ""
    assert f"{FLEET.settings.confirm_within_s} s" in error
    assert "--limit host3" in error
    waiting = lan.hosts["host3"].pending
    assert waiting is not None
    lan.hosts["host3"].run_steps(waiting.back)
    assert host_resources(lan)["host3"] == before


def test_the_original_state_of_a_host_is_recorded_once(lan: FakeLan) -> None:
    lan.hosts["host1"].put(File(DAEMON_JSON, '{"debug": true}', "644"))
    run(lan)
    first = lan.hosts["host1"].resources["file", ORIGINAL_JSON]
    lan.hosts["host1"].put(File(DAEMON_JSON, '{"debug": false}', "644"))
    run(lan)
    assert lan.hosts["host1"].resources["file", ORIGINAL_JSON] == first


def test_a_limited_host_gets_all_peers_which_remain_unchanged(lan: FakeLan) -> None:
    before = host_resources(lan)
    with Pipeline(replace(REQUEST, hosts=FLEET.hosts[:1]), lambda: lan, ignore) as pipeline:
        (outcome,) = pipeline.apply(pipeline.plan()).outcomes
    assert outcome.status == "confirmed"
    assert [str(route.prefix) for route in lan.hosts["host1"].routes] == ["10.128.16.0/20", "10.128.32.0/20"]
    after = host_resources(lan)
    assert {name: after[name] for name in ("host2", "host3")} == {name: before[name] for name in ("host2", "host3")}


def mtus(lan: FakeLan) -> list[int]:
    return [host.bridge.mtu for host in lan.hosts.values()]


def test_the_mtu_of_docker_follows_the_smallest_uplink(lan: FakeLan) -> None:
    start = host_resources(lan)
    lan.hosts["host1"].uplink = 1400
    assert statuses(run(lan)) == ["confirmed"] * 3
    assert mtus(lan) == [1400] * 3
    assert make_plan(lan).empty
    lan.hosts["host1"].uplink = 1500
    assert statuses(run(lan)) == ["confirmed"] * 3
    assert mtus(lan) == [1500] * 3
    lan.hosts["host1"].uplink = 1300
    run(lan)
    assert mtus(lan) == [1300] * 3
    assert statuses(run(lan, ROLLBACK)) == ["confirmed"] * 3
    assert mtus(lan) == [1500] * 3
    run(lan)
    assert statuses(run(lan, DESTROY)) == ["confirmed"] * 3
    assert host_resources(lan) == start


def test_the_mtu_is_not_raised_while_the_smallest_uplink_is_unread(lan: FakeLan) -> None:
    lan.hosts["host1"].uplink = 1400
    run(lan)
    lan.hosts["host1"].down = True
    assert make_plan(lan).empty
    assert make_plan(lan, replace(REQUEST, hosts=FLEET.hosts[1:])).empty


def test_a_host_with_an_unreadable_record_is_unchanged(lan: FakeLan) -> None:
    run(lan)
    lan.hosts["host2"].put(File(ORIGINAL_JSON, "{", "600"))
    lan.hosts["host3"].resources.pop(("route", "10.128.0.0/20"))
    first, second, third = make_plan(lan).hosts
    assert not first.changes
    assert (second.code, second.unreachable) == ("record-unreadable", False)
    assert ORIGINAL_JSON in (second.error or "")
    assert (first.code, third.code) == (None, None)
    assert [change.action for change in third.changes] == ["add"]


def test_a_host_rejects_a_change_while_another_is_pending(lan: FakeLan) -> None:
    with Pipeline(replace(REQUEST, rollout=Rollout(serial=3, max_fail=3)), lambda: lan, ignore) as pipeline:
        plan = pipeline.plan()
        lan.hosts["host1"].pending = Pending("ann@desk", (), "")
        outcomes = {outcome.host: outcome for outcome in pipeline.apply(plan).outcomes}
    assert codes(outcomes) == ["change-pending", None, None]


def test_exactly_the_failed_hosts_have_a_code(lan: FakeLan) -> None:
    lan.hosts["host1"].docker_fails = True
    lan.hosts["host2"].down = True
    for outcome in run(lan).values():
        assert (outcome.code is None) == (outcome.error is None) == outcome.ok


@pytest.mark.parametrize("status", ["confirmed", "reverted"])
@pytest.mark.parametrize("after", ["restart", "probes"])
def test_a_container_that_does_not_start_is_a_warning_only(lan: FakeLan, status: str, after: str) -> None:
    lan.hosts["host2"].not_started = ("web",)
    if status == "reverted":
        lan.hosts["host2"].docker_fails = after == "restart"
        lan.hosts["host2"].drops_peers = after == "probes"
    outcomes = run(lan)
    assert outcomes["host2"].status == status
    assert {host: [each.key for each in outcome.warnings] for host, outcome in outcomes.items()} == {
        "host1": [],
        "host2": ["web"],
        "host3": [],
    }


def phases(events: list[Event]) -> list[tuple[PhaseStarted, list[HostFinished]]]:
    """The phases of a run with the hosts that finished each."""
    found: list[tuple[PhaseStarted, list[HostFinished]]] = []
    for event in events:
        if isinstance(event, PhaseStarted):
            found.append((event, []))
        elif isinstance(event, HostFinished):
            found[-1][1].append(event)
    return found


@pytest.mark.parametrize("session_lost_in", ["", "host_addresses", "run_section", "confirm", "transact"])
def test_each_host_finishes_each_phase_once_at_its_position(lan: FakeLan, session_lost_in: str) -> None:
    lan.hosts["host3"].session_lost_in = session_lost_in
    events: list[Event] = []
    request = replace(REQUEST, rollout=Rollout(serial=3, max_fail=3))
    with Pipeline(request, lambda: lan, events.append) as pipeline:
        outcomes = pipeline.apply(pipeline.plan()).outcomes
    for started, finished in phases(events):
        assert len({event.host for event in finished}) == started.hosts
        assert [event.position for event in finished] == list(range(1, started.hosts + 1))
        assert {(event.phase, event.total) for event in finished} <= {(started.phase, started.hosts)}
    assert {started.phase for started, _ in phases(events)} - {"hold"} == {"read", "change", "probe", "confirm"}
    reported = [event for event in events if isinstance(event, OutcomeReported)]
    assert reported == [OutcomeReported(each.host, each.status, each.code, each.error) for each in outcomes]


def test_limited_probes_finish_each_target_too(lan: FakeLan) -> None:
    events: list[Event] = []
    with Pipeline(replace(REQUEST, hosts=FLEET.hosts[:1]), lambda: lan, events.append) as pipeline:
        pipeline.status()
    ((started, finished),) = phases(events)
    assert started == PhaseStarted("probe", 3)
    assert sorted(event.host for event in finished) == ["host1", "host2", "host3"]
    assert finished[-1].host == "host1", "the source finishes after its probes"


def test_hosts_are_in_progress_until_they_report_the_end(lan: FakeLan) -> None:
    lan.hosts["host2"].docker_fails = True
    lan.hosts["host3"].session_lost_in = "confirm"
    events: list[Event] = []
    seen: dict[str, tuple[str, ...]] = {}

    def watch(event: Event) -> None:
        events.append(event)
        if isinstance(event, PhaseStarted):
            seen.setdefault(event.phase, pipeline.in_progress)

    pipeline = Pipeline(replace(REQUEST, rollout=Rollout(serial=3, max_fail=3)), lambda: lan, watch)
    with pipeline:
        pipeline.apply(pipeline.plan())
        assert pipeline.in_progress == ("host3",)
    changed = ("host1", "host3")
    assert seen == {"read": (), "change": (), "probe": changed, "confirm": changed, "hold": ("host3",)}
    assert {event.host for event in events if isinstance(event, ChangeStarted)} == {"host1", "host2", "host3"}
    ended = {event.host: event.status for event in events if isinstance(event, ChangeFinished)}
    assert ended == {"host1": "confirmed", "host2": "reverted"}


def test_each_login_and_script_emits_its_start_and_its_end(lan: FakeLan) -> None:
    lan.hosts["host2"].down = True
    events: list[Event] = []
    transport = ObservedTransport(lan, events.append)
    with Pipeline(REQUEST, lambda: transport, events.append) as pipeline:
        pipeline.plan()
    for host in lan.hosts:
        work = [event for event in events if isinstance(event, WorkStarted | WorkFinished) and event.host == host]
        starts = [event.work for event in work if isinstance(event, WorkStarted)]
        ends = [(event.work, event.error is not None) for event in work if isinstance(event, WorkFinished)]
        assert starts == (["login"] if host == "host2" else ["login", "script"])
        assert ends == ([("login", True)] if host == "host2" else [("login", False), ("script", False)])
        assert [bool(event.script) for event in work if isinstance(event, WorkStarted)] == [False, True][: len(starts)]


def applied(lan: FakeLan, *names: str, fleet: Fleet = FLEET, **rollout: Any) -> Applied:
    """Apply to the named hosts only."""
    hosts = tuple(host for host in fleet.hosts if host.name in names)
    request = replace(REQUEST, fleet=fleet, hosts=hosts, rollout=Rollout(serial=3, max_fail=3, **rollout))
    with Pipeline(request, lambda: lan, ignore) as pipeline:
        return pipeline.apply(pipeline.plan())


def drift(host: FakeHost) -> None:
    host.resources.pop(("route", str(next(route.prefix for route in host.routes))))


def test_a_limited_change_reverts_if_a_peer_cannot_reach_it(lan: FakeLan) -> None:
    run(lan)
    drift(lan.hosts["host1"])
    lan.hosts["host1"].drops_peers = True
    (outcome,) = applied(lan, "host1").outcomes
    assert (outcome.status, outcome.code) == ("reverted", OutcomeCode.PROBES_FAILED)
    assert not any(host.held for host in lan.hosts.values())


def test_a_limited_change_of_a_fresh_fleet_is_as_requested(lan: FakeLan) -> None:
    done = applied(lan, "host1", "host2")
    assert [outcome.status for outcome in done.outcomes] == ["confirmed", "confirmed"]
    assert done.result
    assert done.result.ok
    assert {host.host for host in done.result.hosts} == {"host1", "host2"}
    assert done.result.unprobed == 4


def test_a_host_outside_the_limit_that_is_down_decides_nothing(lan: FakeLan) -> None:
    run(lan)
    drift(lan.hosts["host1"])
    lan.hosts["host3"].down = True
    done = applied(lan, "host1")
    assert [outcome.status for outcome in done.outcomes] == ["confirmed"]
    assert done.result
    assert done.result.ok


def test_a_pair_that_was_broken_before_is_reported_and_no_reason_to_revert(lan: FakeLan) -> None:
    run(lan)
    del lan.hosts["host1"].resources["unit", "dockmesh.timer"]
    lan.hosts["host3"].drops_peers = True
    done = applied(lan, "host1")
    assert [outcome.status for outcome in done.outcomes] == ["confirmed"]
    assert {key[:2] for key in done.broken_before} == {("host1", "host3"), ("host3", "host1")}
    assert done.result
    assert {probe.key for probe in done.result.failed} == done.broken_before


def test_a_new_host_must_reach_a_host_that_is_broken_before(lan: FakeLan) -> None:
    old = tuple(host for host in FLEET.hosts if host.name != "host2")
    applied(lan, "host1", "host3", fleet=replace(FLEET, hosts=old))
    lan.hosts["host3"].drops_peers = True
    outcomes = {outcome.host: outcome for outcome in applied(lan, "host1", "host2", "host3").outcomes}
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "host1": "confirmed",
        "host2": "reverted",
        "host3": "confirmed",
    }
    assert "host3" in (outcomes["host2"].error or "")


def moved_fleet() -> Fleet:
    """FLEET with another prefix of host1."""
    move = {"prefix": IPv4Network("10.128.240.0/20"), "bridge": IPv4Interface("10.128.240.1/24")}
    return replace(FLEET, hosts=(replace(FLEET.hosts[0], **move), *FLEET.hosts[1:]))


def test_a_move_is_confirmed_together_with_the_hosts_that_follow_it(lan: FakeLan) -> None:
    run(lan)
    done = applied(lan, "host1", "host2", "host3", fleet=moved_fleet())
    assert [outcome.status for outcome in done.outcomes] == ["confirmed"] * 3
    assert done.result
    assert done.result.ok


def test_the_hosts_that_follow_a_move_revert_with_it(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    lan.hosts["host1"].session_lost_in = "host_addresses"
    done = applied(lan, "host1", "host2", "host3", fleet=moved_fleet())
    assert [outcome.status for outcome in done.outcomes] == ["reverted"] * 3
    assert {outcome.code for outcome in done.outcomes[1:]} == {OutcomeCode.MOVE_REVERTED}
    assert host_resources(lan) == before


def test_hosts_do_not_follow_a_host_that_does_not_move(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    lan.hosts["host1"].docker_fails = True
    done = applied(lan, "host1", "host2", "host3", fleet=moved_fleet())
    assert [outcome.code for outcome in done.outcomes] == ["docker-failed", "not-begun", "not-begun"]
    assert host_resources(lan) == before


def test_a_limited_move_reverts_if_peers_keep_the_old_prefix(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    (outcome,) = applied(lan, "host1", fleet=moved_fleet()).outcomes
    assert (outcome.status, outcome.code) == ("reverted", OutcomeCode.PROBES_FAILED)
    assert host_resources(lan) == before


def test_only_the_affected_pairs_are_probed_on_request(lan: FakeLan) -> None:
    run(lan)
    lan.hosts["host1"].resources.pop(("route", str(FLEET.host("host2").prefix)))
    done = applied(lan, "host1", verify="changed")
    assert done.result
    pairs = set(done.result.pairs)
    assert ("host1", "host2") in pairs
    assert done.result.unprobed == 6 - len([pair for pair in pairs if len(set(pair)) == 2])


def test_destroy_needs_no_time_for_probes(lan: FakeLan) -> None:
    run(lan)
    short = replace(FLEET, settings=replace(FLEET.settings, confirm_within_s=1))
    with Pipeline(replace(REQUEST, fleet=short, goal=DESTROY), lambda: lan, ignore) as pipeline:
        outcomes = pipeline.apply(pipeline.plan()).outcomes
    assert [outcome.status for outcome in outcomes] == ["confirmed"] * 3


def test_a_run_that_cannot_be_confirmed_in_time_is_refused(lan: FakeLan) -> None:
    short = replace(FLEET, settings=replace(FLEET.settings, confirm_within_s=1))
    before = host_resources(lan)
    with Pipeline(replace(REQUEST, fleet=short), lambda: lan, ignore) as pipeline, pytest.raises(TooSlowError):
        pipeline.apply(pipeline.plan())
    assert host_resources(lan) == before


def test_without_probes_a_limited_change_of_a_fresh_fleet_is_as_requested(lan: FakeLan) -> None:
    done = applied(lan, "host1", "host2", confirm=False)
    assert [outcome.status for outcome in done.outcomes] == ["confirmed", "confirmed"]
    assert done.result
    assert done.result.ok


def test_the_hosts_that_follow_a_move_revert_if_its_confirmation_is_lost(lan: FakeLan) -> None:
    run(lan)
    before = host_resources(lan)
    lan.hosts["host1"].session_lost_in = "confirm"
    done = applied(lan, "host1", "host2", "host3", fleet=moved_fleet())
    assert [outcome.status for outcome in done.outcomes] == ["unreachable", "reverted", "reverted"]
    assert {outcome.code for outcome in done.outcomes[1:]} == {OutcomeCode.MOVE_REVERTED}
    assert [host_resources(lan)[name] for name in ("host2", "host3")] == [before["host2"], before["host3"]]


def test_a_move_reverts_if_a_host_that_must_follow_is_refused(lan: FakeLan) -> None:
    run(lan)
    request = replace(REQUEST, fleet=moved_fleet(), hosts=moved_fleet().hosts, rollout=Rollout(serial=3, max_fail=3))
    with Pipeline(request, lambda: lan, ignore) as pipeline:
        plan = pipeline.plan()
        lan.hosts["host3"].put(File(DAEMON_JSON, '{"debug": true}', "600"))
        outcomes = {outcome.host: outcome.status for outcome in pipeline.apply(plan).outcomes}
    assert outcomes == {"host1": "reverted", "host2": "reverted", "host3": "refused"}


def test_all_pairs_are_probed_where_one_host_changes(lan: FakeLan) -> None:
    run(lan)
    drift(lan.hosts["host1"])
    done = applied(lan, "host1", "host2", "host3")
    assert done.result
    assert (done.result.ok, done.result.unprobed, len(done.result.probes)) == (True, 0, 21)


def test_a_requested_host_that_cannot_be_probed_is_an_error(lan: FakeLan) -> None:
    run(lan)
    lan.hosts["host1"].resources.pop(("route", str(FLEET.host("host3").prefix)))
    lan.hosts["host3"].session_lost_in = "host_addresses"
    done = applied(lan, "host1", "host2", "host3", verify="changed")
    assert [outcome.status for outcome in done.outcomes] == ["confirmed", "unchanged", "unchanged"]
    assert done.result
    assert set(done.result.errors) == {"host3"}


def test_a_run_without_changes_probes_a_sample(lan: FakeLan) -> None:
    run(lan)
    lan.hosts["host3"].drops_peers = True
    done = applied(lan, "host1", "host2", "host3", verify="changed")
    assert done.result
    assert not done.result.ok


def test_a_joined_peer_without_its_route_to_an_old_host_is_reported(lan: FakeLan) -> None:
    run(lan)
    lan.hosts["host2"].resources.pop(("route", str(FLEET.host("host1").prefix)))
    done = applied(lan, "host1")
    assert done.result
    assert {(probe.source, probe.target) for probe in done.result.failed} == {("host1", "host2"), ("host2", "host1")}
