"""Saved plans: a plan document with the fingerprints of what it was made from.

Nothing of a saved plan is ever carried out: apply plans anew, and refuses where the outcome differs.
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
    """The plan document with the fingerprints of the inventory's text and of the templates."""
    return {**document, "inventory": _fingerprint(inventory), "templates": _fingerprint(json.dumps(asdict(texts)))}


def load_plan(text: str, *, file: str) -> dict[str, Any]:
    """A saved plan.

    Raises:
        UsageError: the text is none.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not a saved plan: {error}", code=UsageCode.NOT_A_SAVED_PLAN) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError(
            f"{file}: not a saved plan of this version ({_FORMAT}): make it with plan --out",
            code=UsageCode.NOT_A_SAVED_PLAN,
        )
    return document


def stale_reasons(saved: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[StaleReason]:
    """What is no longer as the saved plan took it; nothing where it may be carried out."""
    if saved.get("inventory") != now["inventory"]:
        yield StaleReason("inventory-changed", None, "the inventory changed")
    if saved.get("templates") != now["templates"]:
        yield StaleReason("templates-changed", None, "the templates changed")
    then = {str(row.get("host")): row for row in _rows(saved)}
    for row in _rows(now):
        host = row["host"]
        before = then.pop(host, None)
        if before is None:
            yield StaleReason("not-in-plan", host, f"{host}: not in the saved plan (is --limit the same?)")
        elif before != row:
            yield StaleReason("host-changed", host, f"{host}: {_difference(before, row)}")
    for host in then:
        yield StaleReason("only-in-plan", host, f"{host}: only in the saved plan (is --limit the same?)")


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before.get("error") != now["error"]:
        return f"now: {now['error'] or 'it can be read again'}"
    names = _names(before) ^ _names(now)
    return f"the host moved: {', '.join(sorted(names)) or 'what would change is the same, its content is not'}"


def _names(row: Mapping[str, Any]) -> set[str]:
    entries = row.get("changes")
    rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {f"{entry.get('action')} {entry.get('kind')} {entry.get('key')}" for entry in rows}


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = document.get("hosts")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _fingerprint(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()
