"""The JSON document of a plan."""

from dataclasses import asdict
from typing import Any

from dockmesh.core.forecast.impact import Impact
from dockmesh.core.planning.plan import HostPlan, Plan
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import key_of
from dockmesh.report.json.forecast import forecast_document
from dockmesh.report.json.unconfirmed import unconfirmed_document
from dockmesh.report.resource_text import resource_text

PLAN = "dockmesh/plan/1"


def plan_document(plan: Plan, forecast: Impact | None = None) -> dict[str, Any]:
    """The plan of each host, the summary, and the forecast; null without one."""
    return {
        "format": PLAN,
        "hosts": [_host(host) for host in plan.hosts],
        "summary": {
            "hosts": len(plan.hosts),
            **plan.counts,
            "conflicts": sum(len(host.conflicts) for host in plan.hosts),
            "errors": sum(host.error is not None for host in plan.hosts),
        },
        "forecast": forecast_document(forecast) if forecast else None,
    }


def _host(plan: HostPlan) -> dict[str, Any]:
    return {
        "host": plan.host,
        "changes": [_change(change) for change in plan.changes],
        "containers": {field: list(names) for field, names in asdict(plan.stopped).items()},
        "conflicts": [asdict(conflict) for conflict in plan.conflicts],
        "notes": [asdict(note) for note in plan.notes],
        "code": plan.code,
        "error": plan.error,
        **unconfirmed_document(plan.pending, plan.reverted),
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
