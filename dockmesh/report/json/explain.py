"""An explanation as a JSON document."""

from typing import Any

from dockmesh.core.explain.model import Explanation
from dockmesh.report.json.problems import errors_document

EXPLAIN = "dockmesh/explain/1"


def explain_document(explanation: Explanation) -> dict[str, Any]:
    """The steps, and cause and remedy where something is not as it should be. `ok` is null where it is unknown."""
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
