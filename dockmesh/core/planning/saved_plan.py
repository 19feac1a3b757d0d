"""Saved plans: a plan document with fingerprints of its inventory and templates.

Apply never executes a saved plan. It plans again and refuses if the new plan differs.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from dockmesh.core.templates import Templates
from dockmesh.error_codes import UsageCode
from dockmesh.errors import StaleReason, UsageError

_FORMAT = "dockmesh/plan/1"


def with_fingerprints(document: Mapping[str, Any], inventory: str, texts: Templates) -> dict[str, Any]:
    """Return the plan document with fingerprints of the inventory's text and of the templates."""
    return {**document, "inventory": _fingerprint(inventory), "templates": _fingerprint(json.dumps(asdict(texts)))}


def load_plan(text: str, *, file: str) -> dict[str, Any]:
    """Read a saved plan.

    Raises:
        UsageError: the text is not a plan document of this version.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{file}: not a saved plan ({error}). Fix: dockmesh plan --out FILE", code=UsageCode.NOT_A_SAVED_PLAN
        ) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError(
            f"{file}: not a saved plan of this version ({_FORMAT}). Fix: dockmesh plan --out FILE",
            code=UsageCode.NOT_A_SAVED_PLAN,
        )
    return document


def stale_reasons(saved: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[StaleReason]:
    """Yield each difference from the saved plan; none if apply may proceed.

    If some hosts have the changes of the plan already, the hosts that still wait for theirs are a difference too.
    """
    same_input = saved.get("inventory") == now["inventory"] and saved.get("templates") == now["templates"]
    if saved.get("inventory") != now["inventory"]:
        yield StaleReason("inventory-changed", None, "the inventory changed")
    if saved.get("templates") != now["templates"]:
        yield StaleReason("templates-changed", None, "the templates changed")
    rows = {str(row.get("host")): row for row in _rows(saved)}
    applied, waiting = False, []
    for row in _rows(now):
        host = row["host"]
        before = rows.pop(host, None)
        if before is None:
            yield StaleReason("not-in-plan", host, f"{host}: not in the saved plan (use the --limit of plan)")
        elif same_input and before.get("changes") and not (row["changes"] or row["conflicts"] or row["error"]):
            applied = True
            yield StaleReason("already-applied", host, f"{host}: already has the changes of the plan")
        elif _without_times(before) != _without_times(row):
            yield StaleReason("host-changed", host, f"{host}: {_difference(before, row)}")
        elif row["changes"]:
            waiting.append(host)
    for host in waiting if applied else ():
        yield StaleReason("not-applied", host, f"{host}: does not have the changes of the plan yet")
    for host in rows:
        yield StaleReason("only-in-plan", host, f"{host}: only in the saved plan (use the --limit of plan)")


def _without_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without times, which are measured again at each reading. Conflicts and notes have the same facts."""
    return {key: value for key, value in row.items() if key not in {"pending", "reverted"}}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before.get("error") != now["error"]:
        return now["error"] or "the host can be read again"
    names = _names(before) ^ _names(now)
    return f"the host changed: {', '.join(sorted(names)) or 'the same changes with other content'}"


def _names(row: Mapping[str, Any]) -> set[str]:
    entries = row.get("changes")
    rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {f"{entry.get('action')} {entry.get('kind')} {entry.get('key')}" for entry in rows}


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = document.get("hosts")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _fingerprint(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()
