"""Errors as JSON: the document of a call that is wrong, and the hosts that failed in other documents."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dockmesh.errors import DockmeshError, HostFailure, InventoryError, Problem, StalePlanError, StaleReason

PROBLEMS = "dockmesh/problems/1"


def problems_document(error: DockmeshError) -> dict[str, Any]:
    """Every problem of an inventory with its place, every difference of a stale plan, or the one other error."""
    if isinstance(error, StalePlanError):
        return {"format": PROBLEMS, "problems": [_stale(error.file, each) for each in error.reasons]}
    found = error.problems if isinstance(error, InventoryError) else ()
    elsewhere = {"file": None, "line": None, "column": None, "code": error.code, "message": str(error)}
    return {"format": PROBLEMS, "problems": [_problem(each) for each in found] or [elsewhere]}


def errors_document(errors: Mapping[str, HostFailure]) -> list[dict[str, Any]]:
    """The hosts that failed, each with the kind of its error."""
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
