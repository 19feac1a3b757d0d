"""The differences of two results as a JSON document."""

from typing import Any

from dockmesh.core.results.compare import Comparison
from dockmesh.core.results.model import MeshResult, ProbeResult
from dockmesh.report.json.problems import errors_document

DIFF = "dockmesh/diff/1"


def diff_document(found: Comparison, after: MeshResult) -> dict[str, Any]:
    """Every probe and host that differs, in lists by the kind of difference."""
    probes = {
        "lost": found.lost,
        "broken": found.broken,
        "still_failing": found.still_failing,
        "recovered": found.recovered,
        "new": found.new,
        "gone": found.gone,
    }
    before_ms, after_ms = found.rtt_ms or (None, None)
    return {
        "format": DIFF,
        "worse": found.worse,
        **{name: [_probe(probe) for probe in each] for name, each in probes.items()},
        "changed": [
            {**_probe(probe), "before": _changeable(before), "after": _changeable(probe)}
            for before, probe in found.changed
        ],
        "hosts": {
            "added": list(found.added),
            "removed": list(found.removed),
            "unreachable": errors_document({host: after.errors[host] for host in found.unreachable}),
            "recovered": list(found.recovered_hosts),
        },
        "rtt_ms": {"before": before_ms, "after": after_ms},
        "summary": {**{name: len(each) for name, each in probes.items()}, "changed": len(found.changed)},
    }


def _probe(probe: ProbeResult) -> dict[str, Any]:
    return {
        "source": probe.source,
        "target": probe.target,
        "kind": probe.kind,
        "family": probe.family,
        "code": None if probe.ok else probe.code,
        "reason": None if probe.ok else probe.why,
    }


def _changeable(probe: ProbeResult) -> dict[str, Any]:
    return {"mtu_ok": probe.mtu_ok, "source_seen": str(probe.source_seen) if probe.source_seen else None}
