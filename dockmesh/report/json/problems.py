"""The JSON document of a rejected call, and the part of other documents for host errors."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dockmesh.errors import DockmeshError, HostFailure, InventoryError, Problem, StalePlanError, StaleReason

PROBLEMS = "dockmesh/problems/1"


def problems_document(error: DockmeshError) -> dict[str, Any]:
    """All problems of an inventory with their positions, all differences of a stale plan, or a single other error."""
    if isinstance(error, StalePlanError):
        return {"format": PROBLEMS, "problems": [_stale(error.file, each) for each in error.reasons]}
    problems = error.problems if isinstance(error, InventoryError) else ()
    other = {"file": None, "line": None, "column": None, "code": error.code, "message": str(error)}
    return {"format": PROBLEMS, "problems": [_problem(each) for each in problems] or [other]}


def errors_document(errors: Mapping[str, HostFailure]) -> list[dict[str, Any]]:
    """The failed hosts, with the code and message of each error."""
    return [{"host": host, "code": each.code or None, "error": each.message} for host, each in errors.items()]


def _stale(file: str, reason: StaleReason) -> dict[str, Any]:
    return {
        "file": file,
        "line": None,
        "column": None,
        "code": reason.code,
        "host": reason.host,
        "message": reason.message,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {key: value or None for key, value in asdict(problem).items()}
