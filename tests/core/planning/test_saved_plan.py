"""A saved plan is stale after any change of its input; every difference has a code."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import NOW

from dockmesh.core.facts.unconfirmed import RevertedChange
from dockmesh.core.planning import saved_plan
from dockmesh.core.planning.findings import Conflict, ConflictCode
from dockmesh.core.planning.plan import HostPlan, Plan
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import File
from dockmesh.errors import StalePlanError, UsageError
from dockmesh.pipeline import TEMPLATES
from dockmesh.report.json.plan import plan_document
from dockmesh.report.json.problems import problems_document

CHANGE = Change(None, File("/x", "y"))
CONFLICT = Conflict(key="key", message="message", remedy="remedy", code=ConflictCode.CHANGE_PENDING)
HOSTS = (HostPlan("a", (CHANGE,)), HostPlan("b"))


def document(hosts: Iterable[HostPlan] = HOSTS, inventory: str = "mesh:", facts: str = "f") -> dict[str, Any]:
    return saved_plan.with_fingerprints(plan_document(Plan(tuple(hosts))), inventory, replace(TEMPLATES, facts=facts))


def reasons(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    return [(each.code, each.host) for each in saved_plan.stale_reasons(saved, now)]


def test_a_plan_from_the_same_input_is_not_stale() -> None:
    assert reasons(document(), document()) == []


def test_the_measured_time_of_a_revert_makes_no_plan_stale() -> None:
    reverted = (RevertedChange("ann@desk", NOW + timedelta(seconds=each), "reboot") for each in (0, 1))
    before, now = (document([HostPlan("a", (CHANGE,), reverted=each)]) for each in reverted)
    assert reasons(before, now) == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (document(inventory="other"), [("inventory-changed", None)]),
        (document(facts="other"), [("templates-changed", None)]),
        (document([HostPlan("a"), HOSTS[1]]), [("already-applied", "a")]),
        (document([HostPlan("a", error="is down", code="timeout"), HOSTS[1]]), [("host-changed", "a")]),
        (document([HostPlan("a", conflicts=(CONFLICT,)), HOSTS[1]]), [("host-changed", "a")]),
        (document([HOSTS[0], HostPlan("b", (CHANGE,))]), [("host-changed", "b")]),
        (document([HostPlan("a", (Change(None, File("/x", "z")),)), HostPlan("b")]), [("host-changed", "a")]),
        (document([HOSTS[0], HostPlan("b", error="is down", code="timeout")]), [("host-changed", "b")]),
        (document([*HOSTS, HostPlan("c")]), [("not-in-plan", "c")]),
        (document(HOSTS[:1]), [("only-in-plan", "b")]),
    ],
)
def test_each_difference_from_a_saved_plan_has_code_and_host(
    now: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    assert reasons(document(), now) == expected


def test_a_plan_that_some_hosts_still_wait_for_was_not_carried_out() -> None:
    both = [HostPlan("a", (CHANGE,)), HostPlan("b", (CHANGE,))]
    found = reasons(document(both), document([HostPlan("a"), both[1]]))
    assert found == [("already-applied", "a"), ("not-applied", "b")]


def test_all_differences_are_reported_at_once() -> None:
    now = document([HostPlan("a"), HostPlan("c")], inventory="other", facts="other")
    assert {code for code, _host in reasons(document(), now)} == {
        *("inventory-changed", "templates-changed", "host-changed", "not-in-plan", "only-in-plan"),
    }


def test_a_stale_plan_is_a_document_with_a_problem_for_each_difference() -> None:
    stale = tuple(saved_plan.stale_reasons(document(), document(HOSTS[:1], inventory="other")))
    found = problems_document(StalePlanError("stale", file="p.json", reasons=stale))
    assert found["format"] == "dockmesh/problems/1"
    places = [(each["file"], each["line"], each["column"]) for each in found["problems"]]
    assert places == [("p.json", None, None)] * 2
    assert [(each["code"], each["host"]) for each in found["problems"]] == [
        ("inventory-changed", None),
        ("only-in-plan", "b"),
    ]
    assert StalePlanError("stale", file="p.json", reasons=stale).code == "stale-plan"


@pytest.mark.parametrize("rows", [None, "x", [1], [{"host": None}], [{"host": ["a"]}], [{}]])
def test_a_saved_plan_with_invalid_hosts_is_stale(rows: object) -> None:
    now = document()
    assert {("not-in-plan", "a"), ("not-in-plan", "b")} <= set(reasons({**now, "hosts": rows}, now))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"format": "dockmesh/status/1"}', "[" * 100_000])
def test_a_file_that_is_not_a_saved_plan_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        saved_plan.load_plan(text, file="p.json")
