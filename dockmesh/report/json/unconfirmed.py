"""The JSON of a host's changes without confirmation."""

from typing import Any

from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange


def unconfirmed_document(pending: PendingChange | None, reverted: RevertedChange | None) -> dict[str, Any]:
    """The keys `pending` and `reverted` of a host, null without such a change."""
    return {"pending": _pending(pending) if pending else None, "reverted": _reverted(reverted) if reverted else None}


def _pending(change: PendingChange) -> dict[str, Any]:
    failed = change.failed
    return {
        "run": change.run,
        "reverts_at": change.reverts_at.isoformat(timespec="seconds") if change.reverts_at else None,
        "reverts_in_s": change.reverts_in_s,
        "failed": {
            "attempts": failed.attempts,
            "at": failed.at.isoformat(timespec="seconds"),
            "error": failed.error,
        }
        if failed
        else None,
    }


def _reverted(change: RevertedChange) -> dict[str, Any]:
    return {"run": change.run, "at": change.at.isoformat(timespec="seconds"), "reason": change.reason}
