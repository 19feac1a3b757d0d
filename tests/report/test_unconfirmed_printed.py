"""Changes without confirmation in every report: none with a pending change is green, and equal hosts are one line."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
import results
from formats import Page, cases, gauges, junit, values, visible_text
from printed import CapturedConsole

from dockmesh.core.facts.unconfirmed import FailedRevert, PendingChange, RevertedChange
from dockmesh.core.planning.conflicts.network import pending_change
from dockmesh.core.planning.plan import HostPlan, Plan
from dockmesh.core.results.load import load_result
from dockmesh.core.results.model import HostResult, MeshResult
from dockmesh.report import html, markdown, prometheus
from dockmesh.report import junit as junit_report
from dockmesh.report.console.plan import print_plan
from dockmesh.report.console.probes import print_report
from dockmesh.report.json.status import status_document

COUNT = 20
RUN = "ann@desk since noon"


def waiting(number: int, error: str | None = None) -> PendingChange:
    """A pending change whose time differs between hosts."""
    failed = FailedRevert(2, results.AT - timedelta(seconds=19), error) if error else None
    return PendingChange(RUN, results.AT + timedelta(seconds=38 + number % 3), 38 + number % 3, failed)


def with_changes(change: Callable[[int, HostResult], HostResult]) -> MeshResult:
    result = results.result(COUNT)
    return replace(result, hosts=tuple(change(at, each) for at, each in enumerate(result.hosts)))


def pending(error: str | None = None) -> MeshResult:
    return with_changes(lambda at, each: replace(each, pending=waiting(at, error)))


def reverted() -> MeshResult:
    when = results.AT - timedelta(days=1)
    return with_changes(
        lambda at, each: replace(each, reverted=RevertedChange(RUN, when + timedelta(seconds=at % 3), "reboot"))
    )


def printed(result: MeshResult) -> list[str]:
    paper = CapturedConsole()
    print_report(paper.out, result)
    return paper.lines


@pytest.mark.parametrize("error", [None, "docker.service failed"])
def test_no_report_of_a_pending_change_is_green(error: str | None) -> None:
    result = pending(error)
    assert not result.ok
    (line,) = (each for each in printed(result) if RUN in each)
    assert line.startswith("✗ all hosts")
    assert all(option in line for option in ("--pending", "--keep-current"))
    assert ("docker.service failed" in line) is (error is not None)
    assert printed(result)[-1].split()[-6:-4] == [str(COUNT), "hosts"]
    shown = visible_text(markdown.render(result))
    assert shown.startswith("❌")
    assert shown.count(RUN) == 1
    assert "03:04:45 UTC" in shown
    failed = [name for name, case in cases(junit(junit_report.render(result))).items() if len(case)]
    assert failed == [f"host{number} has no pending change" for number in range(1, COUNT + 1)]
    found = gauges(prometheus.render(result))
    assert values(found["dockmesh_status_ok"]) == {(): 0}
    assert set(values(found["dockmesh_host_pending"], "host").values()) == {1}
    text = html.render(result)
    assert not Page(text).good
    assert text.count(RUN) == 1


def test_a_change_that_the_host_reverted_is_a_note_in_a_green_report() -> None:
    result = reverted()
    assert result.ok
    (line,) = (each for each in printed(result) if RUN in each)
    assert line.startswith("· all hosts")
    shown = visible_text(markdown.render(result))
    assert shown.startswith("✅")
    assert "2026-01-01 03:04:05 to 03:04:07 UTC" in shown
    assert html.render(result).count(RUN) == 1


@pytest.mark.parametrize("result", [pending(), pending("no bridge"), reverted()])
def test_a_saved_result_keeps_changes_without_confirmation(result: MeshResult) -> None:
    assert load_result(json.dumps(status_document(result)), file="status.json") == result


def test_a_status_document_has_the_run_and_the_deadline() -> None:
    first = status_document(pending("no bridge"))["hosts"][0]["pending"]
    assert first == {
        "run": RUN,
        "reverts_at": "2026-01-02T03:04:43+00:00",
        "reverts_in_s": 38,
        "failed": {"attempts": 2, "at": "2026-01-02T03:03:46+00:00", "error": "no bridge"},
    }
    assert status_document(reverted())["hosts"][0]["reverted"] == {
        "run": RUN,
        "at": "2026-01-01T03:04:05+00:00",
        "reason": "reboot",
    }


def test_a_plan_folds_hosts_with_a_pending_change() -> None:
    fleet = results.fleet(COUNT)
    plans = (
        HostPlan(host.name, conflicts=(pending_change(host, waiting(at)),), pending=waiting(at))
        for at, host in enumerate(fleet.hosts)
    )
    paper = CapturedConsole()
    print_plan(paper.out, Plan(tuple(plans)), fleet)
    assert paper.text.count(RUN) == 1
    assert "--limit 'host*'" in paper.text


@pytest.mark.parametrize("ends", ["revert", "keep"])
def test_a_rollback_names_the_pending_change_that_it_ends(ends: str) -> None:
    fleet = results.fleet(COUNT)
    plan = partial(HostPlan, ends_pending=ends)
    paper = CapturedConsole()
    whole = Plan(tuple(plan(host.name, pending=waiting(at)) for at, host in enumerate(fleet.hosts)))
    assert not whole.empty
    assert len(whole.applicable) == COUNT
    print_plan(paper.out, whole, fleet)
    assert paper.text.count(RUN) == 1
    assert f"{COUNT} pending changes to {ends}" in paper.lines[-1]
