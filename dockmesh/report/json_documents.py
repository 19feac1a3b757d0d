"""Results as JSON documents: what users script against, versioned by `format`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dockmesh.core.allocation.prefixes import Allocation
from dockmesh.core.forecast.impact import Impact, Misprediction
from dockmesh.core.model import Fleet, Host
from dockmesh.core.onboarding.propose import ProposedHost
from dockmesh.core.planning.plan import HostPlan, Outcome, Plan
from dockmesh.core.probes.model import ProbeReport, ProbeResult
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import key_of
from dockmesh.errors import DockmeshError, HostFailure, InventoryError, Problem, StalePlanError, StaleReason
from dockmesh.report.console.forecast import forecast_document, mispredictions_document
from dockmesh.report.resource_text import resource_text

PLAN = "dockmesh/plan/1"
APPLY = "dockmesh/apply/1"
STATUS = "dockmesh/status/1"
ALLOCATE = "dockmesh/allocate/1"
INIT = "dockmesh/init/1"
PROBLEMS = "dockmesh/problems/1"


def plan_document(plan: Plan, foreseen: Impact | None = None) -> dict[str, Any]:
    """A plan, host by host, with its summary, and what it does to reachability where that is `foreseen`."""
    changes = [change for host in plan.hosts for change in host.changes]
    counts = {action: sum(change.action == action for change in changes) for action in _ACTIONS}
    return {
        "format": PLAN,
        "hosts": [_host_plan(host) for host in plan.hosts],
        "summary": {
            "hosts": len(plan.hosts),
            **counts,
            "conflicts": sum(len(host.conflicts) for host in plan.hosts),
            "errors": sum(host.error is not None for host in plan.hosts),
        },
        "foreseen": forecast_document(foreseen) if foreseen else None,
    }


def apply_document(
    plan: Plan,
    outcomes: Iterable[Outcome],
    status: dict[str, Any] | None,
    foreseen: Impact | None = None,
    differing: Iterable[Misprediction] = (),
) -> dict[str, Any]:
    """A run of apply: what was planned, what came of each host, the document of who reaches whom now.

    `differing`: what of that is not as it was foreseen.
    """
    return {
        "format": APPLY,
        "plan": plan_document(plan, foreseen),
        "outcomes": [asdict(outcome) for outcome in outcomes],
        "status": status,
        "differences": mispredictions_document(differing) if status else None,
    }


def status_document(report: ProbeReport, fleet: Fleet, *, at: datetime) -> dict[str, Any]:
    """Who reaches whom in the fleet, known `at` that time."""
    return {
        "format": STATUS,
        "mesh": fleet.settings.name,
        "time": at.astimezone(UTC).isoformat(timespec="seconds"),
        "probes": [_probe(answer) for answer in report.results],
        "hosts": [_host(fleet.host(name), report.errors.get(name)) for name in report.hosts],
        "summary": {
            "probes": len(report.results),
            "reached": len(report.results) - len(report.failed),
            "failed": len(report.failed),
        },
    }


def allocate_document(drawn: Iterable[Allocation], *, written: bool) -> dict[str, Any]:
    """The prefixes that were drawn; `written`: into the inventory."""
    return {
        "format": ALLOCATE,
        "written": written,
        "allocations": [{"host": each.host, "prefix": str(each.prefix)} for each in drawn],
    }


def init_document(proposed: Iterable[ProposedHost], *, file: str) -> dict[str, Any]:
    """The hosts an inventory begins with; `error` says why one is left out of it."""
    return {"format": INIT, "file": file, "hosts": [_proposed(each) for each in proposed]}


def _proposed(each: ProposedHost) -> dict[str, Any]:
    host = each.host
    return {
        "host": each.name,
        "underlay": str(host.underlay) if host else None,
        "prefix": str(host.prefix) if host and host.prefix else None,
        "bridge": str(host.bridge) if host and host.bridge else None,
        "docker": host.docker if host else None,
        "stays": each.keeps_docker0,
        "error": each.why,
    }


def problems_document(error: DockmeshError) -> dict[str, Any]:
    """Why a call came to nothing: every problem of the inventory with its place, or the one thing wrong elsewhere."""
    if isinstance(error, StalePlanError):
        return {"format": PROBLEMS, "problems": [_stale(error.file, each) for each in error.reasons]}
    found = error.problems if isinstance(error, InventoryError) else ()
    elsewhere = {"file": None, "line": None, "column": None, "code": error.code, "message": str(error)}
    return {"format": PROBLEMS, "problems": [_problem(each) for each in found] or [elsewhere]}


def _stale(file: str, reason: StaleReason) -> dict[str, Any]:
    return {
        "file": file,
        "line": None,
        "column": None,
        "code": reason.code,
        "host": reason.host,
        "message": reason.message,
    }


def errors_document(errors: Mapping[str, HostFailure]) -> list[dict[str, Any]]:
    """The hosts that failed, each with the kind of its error."""
    return [{"host": host, "code": each.code, "error": each.message} for host, each in errors.items()]


def _problem(problem: Problem) -> dict[str, Any]:
    return {key: value or None for key, value in asdict(problem).items()}


_ACTIONS = ("add", "change", "remove", "restart")


def _host_plan(plan: HostPlan) -> dict[str, Any]:
    return {
        "host": plan.host,
        "changes": [_change(change) for change in plan.changes],
        "conflicts": [asdict(conflict) for conflict in plan.conflicts],
        "notes": [asdict(note) for note in plan.notes],
        "code": plan.code,
        "error": plan.error,
    }


def _change(change: Change) -> dict[str, Any]:
    kind, key = key_of(change.resource)
    return {
        "kind": kind,
        "action": change.action,
        "key": key,
        "before": resource_text(change.before),
        "after": resource_text(change.after),
        "reason": change.reason,
    }


def _host(host: Host, failure: HostFailure | None) -> dict[str, Any]:
    return {
        "host": host.name,
        "code": failure.code if failure else None,
        "error": failure.message if failure else None,
        "underlay": str(host.underlay),
        "prefix": str(host.prefix) if host.prefix else None,
        "underlay6": str(host.ipv6.underlay) if host.ipv6 else None,
        "prefix6": str(host.ipv6.prefix) if host.ipv6 and host.ipv6.prefix else None,
        "docker": host.docker,
        "tags": sorted(host.tags),
    }


def _probe(answer: ProbeResult) -> dict[str, Any]:
    return {
        "source": answer.probe.source,
        "target": answer.probe.target,
        "kind": answer.probe.kind,
        "family": answer.probe.family,
        "reached": answer.reached,
        "sent": answer.sent,
        "received": answer.received,
        "ttl": answer.ttl,
        "expected_ttl": answer.probe.expected_ttl,
        "rtt_ms": answer.rtt_ms,
        "rtt_min_ms": answer.rtt_min_ms,
        "rtt_max_ms": answer.rtt_max_ms,
        "loss": answer.loss,
        "mtu_ok": answer.mtu_ok,
        "source_seen": str(answer.source_seen) if answer.source_seen else None,
        "code": answer.code,
        "reason": answer.reason,
    }
