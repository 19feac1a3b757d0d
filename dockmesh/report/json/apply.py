"""The JSON document of an apply."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from dockmesh.core.forecast.impact import Impact, Misprediction
from dockmesh.core.planning.plan import Outcome, Plan
from dockmesh.core.results.model import MeshResult, ProbeKey
from dockmesh.report.json.forecast import mispredictions_document
from dockmesh.report.json.plan import plan_document
from dockmesh.report.json.status import status_document

APPLY = "dockmesh/apply/1"


def apply_document(
    plan: Plan,
    outcomes: Iterable[Outcome],
    result: MeshResult | None,
    forecast: Impact | None = None,
    mispredictions: Iterable[Misprediction] = (),
    *,
    broken_before: Iterable[ProbeKey] = (),
) -> dict[str, Any]:
    """The plan, the outcome of each host, the status after the change, and the probes that contradict the forecast.

    `broken_before`: the probes that failed before the change as well.
    """
    return {
        "format": APPLY,
        "plan": plan_document(plan, forecast),
        "outcomes": [asdict(outcome) for outcome in outcomes],
        "status": status_document(result) if result else None,
        "mispredictions": mispredictions_document(mispredictions),
        "broken_before": [
            dict(zip(("source", "target", "kind", "family"), key, strict=True)) for key in sorted(broken_before)
        ],
    }
