"""The JSON document of the differences between two results."""

from typing import Any

from dockmesh.core.results.compare import Comparison
from dockmesh.core.results.model import MeshResult, ProbeResult
from dockmesh.report.json.problems import errors_document

DIFF = "dockmesh/diff/1"


def diff_document(comparison: Comparison, after: MeshResult) -> dict[str, Any]:
    """All probes and hosts that differ, in lists by the kind of difference. `after`: the later result."""
    probes = {
        "lost": comparison.lost,
        "broken": comparison.broken,
        "still_failing": comparison.still_failing,
        "recovered": comparison.recovered,
        "new": comparison.new,
        "gone": comparison.gone,
    }
    before_ms, after_ms = comparison.rtt_ms or (None, None)
    return {
        "format": DIFF,
        "worse": comparison.worse,
        **{name: [_probe(probe) for probe in each] for name, each in probes.items()},
        "changed": [
            {**_probe(probe), "before": _changeable(before), "after": _changeable(probe)}
            for before, probe in comparison.changed
        ],
        "hosts": {
            "added": list(comparison.added),
            "removed": list(comparison.removed),
            "unreachable": errors_document({host: after.errors[host] for host in comparison.unreachable}),
            "recovered": list(comparison.recovered_hosts),
        },
        "rtt_ms": {"before": before_ms, "after": after_ms},
        "summary": {**{name: len(each) for name, each in probes.items()}, "changed": len(comparison.changed)},
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
