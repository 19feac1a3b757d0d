"""The JSON document of a result. `core.results.load` parses it."""

from typing import Any

from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult
from dockmesh.report.json.unconfirmed import unconfirmed_document

STATUS = "dockmesh/status/1"


def status_document(result: MeshResult) -> dict[str, Any]:
    """All probes, and all hosts with their values in the inventory."""
    failed = len(result.failed)
    return {
        "format": STATUS,
        "mesh": result.mesh,
        "time": result.time.isoformat() if result.time else None,
        "partial": result.partial,
        "unprobed": result.unprobed,
        "probes": [_probe(probe) for probe in result.probes],
        "hosts": [_host(host) for host in result.hosts],
        "summary": {"probes": len(result.probes), "reached": len(result.probes) - failed, "failed": failed},
    }


def _host(host: HostResult) -> dict[str, Any]:
    return {
        "host": host.host,
        "code": host.code,
        "error": host.error,
        "underlay": _text(host.underlay),
        "prefix": _text(host.prefix),
        "underlay6": _text(host.underlay6),
        "prefix6": _text(host.prefix6),
        "docker": host.docker,
        "tags": list(host.tags),
        **unconfirmed_document(host.pending, host.reverted),
    }


def _probe(probe: ProbeResult) -> dict[str, Any]:
    return {
        "source": probe.source,
        "target": probe.target,
        "kind": probe.kind,
        "family": probe.family,
        "reached": probe.reached,
        "sent": probe.sent,
        "received": probe.received,
        "ttl": probe.ttl,
        "expected_ttl": probe.expected_ttl,
        "rtt_ms": probe.rtt_ms,
        "rtt_min_ms": probe.rtt_min_ms,
        "rtt_max_ms": probe.rtt_max_ms,
        "loss": probe.loss,
        "mtu_ok": probe.mtu_ok,
        "source_seen": _text(probe.source_seen),
        "code": probe.code,
        "reason": probe.reason,
        "about": probe.about,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
