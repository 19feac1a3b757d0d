"""The JSON document of an explanation."""

from typing import Any

from dockmesh.core.explain.model import Explanation
from dockmesh.report.json.problems import errors_document

EXPLAIN = "dockmesh/explain/1"


def explain_document(explanation: Explanation) -> dict[str, Any]:
    """The steps, and the cause and remedy of a fault. `ok` of a step is null if unknown."""
    fault = explanation.fault
    return {
        "format": EXPLAIN,
        "source": explanation.source,
        "target": explanation.target,
        "reached": explanation.reached,
        "steps": [
            {
                "host": step.host,
                "direction": step.direction,
                "check": step.check,
                "ok": step.ok,
                "detail": step.detail,
            }
            for step in explanation.steps
        ],
        "errors": errors_document(explanation.errors),
        "code": fault.code if fault else None,
        "cause": fault.cause if fault else None,
        "remedy": fault.remedy if fault else None,
    }
