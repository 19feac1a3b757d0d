"""Plans: the changes between two states, their order and their reasons."""

import re

import pytest
from builders import FLEET, GENERATIONS, HOST3, WIDE, facts, plan_of
from hypothesis import given
from hypothesis import strategies as st
from strategies import RESOURCES, STATES

from dockmesh.core.addresses import sort_key
from dockmesh.core.names import REASSERT_SCRIPT
from dockmesh.core.planning.findings import Conflict, ConflictCode
from dockmesh.core.planning.plan import HostPlan, Outcome, Plan, plan_host, restarts_docker
from dockmesh.core.state.diff import Change, difference, not_applied
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    NftAdmission,
    NftTable,
    Resource,
    Route,
    Unit,
    key_of,
)


def apply_changes(changes: tuple[Change, ...], state: HostState) -> HostState:
    """The host as it would be with `changes` made to `state`."""
    resources: dict[tuple[str, str], Resource] = state.by_key()
    for change in changes:
        assert resources.pop(key_of(change.resource), None) == change.before
        if change.after:
            resources[key_of(change.after)] = change.after
    return HostState(tuple(resources.values()))


@given(STATES)
def test_a_state_does_not_differ_from_itself(state: HostState) -> None:
    assert difference(state, state) == ()


@given(STATES, STATES)
def test_a_difference_leads_to_the_wanted_state_and_back(a: HostState, b: HostState) -> None:
    changes = difference(a, b)
    there = apply_changes(changes, a)
    assert there.by_key() == b.by_key()
    assert not_applied(changes, there) == []
    assert not_applied(changes, a) == list(changes)
    back = apply_changes(tuple(change.inverse() for change in changes), there)
    assert back.by_key() == a.by_key()


@given(STATES, STATES)
def test_the_inverse_of_the_inverse_is_the_change(a: HostState, b: HostState) -> None:
    for change in difference(a, b):
        assert change.inverse().inverse() == change
        assert {change.action, change.inverse().action} in (
            {"add", "remove"},
            {"change"},
            {"restart"},
        )


@given(st.lists(RESOURCES, unique_by=key_of), st.randoms())
def test_the_order_of_changes_does_not_depend_on_the_facts(resources: list[Resource], shuffler: object) -> None:
    shuffled = list(resources)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    there = difference(HostState(), HostState(tuple(resources)))
    assert there == difference(HostState(), HostState(tuple(shuffled)))
    kinds = [key_of(change.resource)[0] for change in there if not isinstance(change.resource, Forwarding)]
    kinds = [kind for kind in kinds if kind != "firewall"]
    assert kinds == sorted(kinds, key=["file", "service", "route", "unit"].index)
    firewall = [type(each.resource) for each in there if isinstance(each.resource, AcceptRules | NftTable)]
    assert firewall == sorted(firewall, key=[NftTable, AcceptRules].index)
    prefixes = [change.resource.prefix for change in there if isinstance(change.resource, Route)]
    assert prefixes == sorted(prefixes, key=sort_key)


@pytest.mark.parametrize(("on", "order"), [(True, ["firewall", "service"]), (False, ["service", "firewall"])])
def test_docker_restarts_while_the_host_forwards(on: bool, order: list[str]) -> None:
    actual = HostState((Forwarding(4, not on), DockerNetworking(None)))
    wanted = HostState((Forwarding(4, on), DockerNetworking(None, admission=NftAdmission(None, direct_routing=True))))
    assert [key_of(change.resource)[0] for change in difference(actual, wanted)] == order


def test_a_table_drops_as_long_as_docker_may_accept() -> None:
    open_, closed = NftTable(), NftTable(chains=("ip saddr != 10.0.0.0/8 counter drop",))
    actual, wanted = DockerNetworking(None), DockerNetworking(None, admission=NftAdmission(None, direct_routing=True))
    joining = difference(HostState((actual, open_)), HostState((wanted, closed)))
    assert [type(each.resource) for each in joining] == [NftTable, DockerNetworking]
    leaving = difference(HostState((wanted, closed)), HostState((actual, open_)))
    assert [type(each.resource) for each in leaving] == [DockerNetworking, NftTable]


def test_units_are_removed_before_their_script() -> None:
    actual = HostState((File(REASSERT_SCRIPT, "x", "700"), Unit("dockmesh.timer", "x")))
    assert [key_of(change.resource)[0] for change in difference(actual, HostState())] == ["unit", "file"]


@given(STATES, STATES)
def test_every_change_has_a_reason(a: HostState, b: HostState) -> None:
    found = facts("trixie_fresh")
    plan = plan_host(type(found)(**{**_fields(found), "actual": a}), b, WIDE)
    assert all(change.reason for change in plan.changes)
    assert plan.basis == found.basis


def _fields(found: object) -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__slots__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_plan_of_a_fresh_host_restarts_docker_once(generation: str) -> None:
    name = f"{generation}_fresh"
    found = facts(name)
    plan = plan_of(found, FLEET.host(found.host))
    assert restarts_docker(plan)
    assert [change.action for change in plan.changes].count("restart") == 1
    assert {change.action for change in plan.changes} == {"add", "restart"}
    (restart,) = (change for change in plan.changes if change.action == "restart")
    assert re.findall(r"docker0|[\d.]+/\d+|web", restart.reason) == [
        "docker0",
        "172.17.0.1/16",
        str(FLEET.host(found.host).bridge),
        "web",
    ]


def test_the_reason_of_a_restart_lists_the_containers() -> None:
    found = facts("crowded", {"addresses": "2: eth0    inet 192.168.18.130/20 scope global eth0"}, of=HOST3)
    (restart,) = (change for change in plan_of(found, HOST3).changes if change.action == "restart")
    back, gone = restart.reason.split("--rm")
    assert re.findall(r"docker0|[\d.]+/\d+|\bpools\b|\bweb\b|\bpassing\b", back) == [
        "docker0",
        "10.128.32.1/24",
        "pools",
        "web",
    ]
    assert re.findall(r"\w+", gone) == ["passing"]


def test_a_plan_is_applicable_only_without_conflict_and_error() -> None:
    change = Change(None, DockerNetworking(None))
    able = HostPlan("a", (change,))
    blocked = HostPlan("b", (change,), (Conflict(ConflictCode.DOCKER_SWARM, "x", "y", "z"),))
    unread = HostPlan("c", error="no")
    done = HostPlan("d")
    assert Plan((able, blocked, unread, done)).applicable == (able,)
    assert Plan((done,)).empty
    assert not Plan((blocked, done)).empty
    assert [Plan((host,)).clean for host in (able, blocked, unread, done)] == [True, False, False, True]


@pytest.mark.parametrize("status", ["reverted", "refused", "failed", "unreachable"])
def test_only_a_confirmed_or_unchanged_host_is_ok(status: str) -> None:
    assert not Outcome("a", status).ok  # type: ignore[arg-type]
    assert Outcome("a", "confirmed").ok
    assert Outcome("a", "unchanged").ok


@given(st.lists(st.builds(difference, STATES, STATES), max_size=3))
def test_a_plan_counts_its_changes_by_action(changes: list[tuple[Change, ...]]) -> None:
    plan = Plan(tuple(HostPlan(f"h{at}", each) for at, each in enumerate(changes)))
    found = [change.action for each in changes for change in each]
    assert plan.counts == {action: found.count(action) for action in ("add", "change", "remove", "restart")}
