"""The parts of JSON documents for forecasts and mispredictions."""

from collections.abc import Iterable
from typing import Any

from dockmesh.core.forecast.impact import EFFECTS, Impact, ImpactRow, Misprediction


def forecast_document(impact: Impact) -> dict[str, Any]:
    """The counts before and after the plan, and the rows by effect, without probes that are reached in both."""
    effects: dict[str, Any] = {effect: [_row(row) for row in impact.rows if row.effect == effect] for effect in EFFECTS}
    return {"before": dict(impact.before), "after": dict(impact.after), **effects}


def mispredictions_document(mispredictions: Iterable[Misprediction]) -> list[dict[str, Any]]:
    """The probes with another result than predicted."""
    return [
        {
            "source": each.probe.source,
            "target": each.probe.target,
            "kind": each.probe.kind,
            "predicted": each.predicted,
            "measured": each.measured,
            "code": each.code,
            "reason": each.why,
        }
        for each in mispredictions
    ]


def _row(row: ImpactRow) -> dict[str, Any]:
    code, text = row.why or (None, None)
    return {
        "source": row.source,
        "kind": row.kind,
        "targets": list(row.targets),
        "before": row.before,
        "after": row.after,
        "code": code,
        "reason": text,
    }
