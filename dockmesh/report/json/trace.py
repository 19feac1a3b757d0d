"""The JSON document of a trace."""

from typing import Any

from dockmesh.core.trace.reconstruct import Hop, TraceResult
from dockmesh.core.trace.verdict import verdict
from dockmesh.report.json.problems import errors_document

TRACE = "dockmesh/trace/1"


def trace_document(traced: TraceResult) -> dict[str, Any]:
    """The hops of request and reply. `translated`: an address differs from the previous hop."""
    code, text = verdict(traced)
    return {
        "format": TRACE,
        "source": str(traced.query.source),
        "target": str(traced.query.target),
        "reached": traced.reached,
        "request": [_hop(hop) for hop in traced.request.hops],
        "reply": [_hop(hop) for hop in traced.reply.hops],
        "errors": errors_document(traced.captured.errors),
        "code": code,
        "verdict": text,
    }


def _hop(hop: Hop) -> dict[str, Any]:
    return {
        "host": hop.point.host,
        "place": hop.point.place,
        "interface": hop.point.interface,
        "source": str(hop.source),
        "destination": str(hop.destination),
        "ttl": hop.ttl,
        "translated": hop.translated,
    }
