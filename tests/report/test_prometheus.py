"""The Prometheus report."""

import pytest
import results
from formats import gauges, values

from dockmesh.report.prometheus import render


def test_healthy_mesh_has_success_round_trip_and_loss_per_probe() -> None:
    result = results.result(4, dual=True)
    found = gauges(render(result))
    assert {sample.labels["mesh"] for family in found.values() for sample in family.samples} == {"lab"}
    assert {family.type for family in found.values()} == {"gauge"}
    assert values(found["dockmesh_status_ok"]) == {(): 1}
    assert values(found["dockmesh_status_timestamp_seconds"]) == {(): results.AT.timestamp()}
    assert values(found["dockmesh_host_up"], "host") == {(f"host{number}",): 1 for number in range(1, 5)}
    probes = {(row.source, row.target, row.kind, str(row.family)): row for row in result.probes}
    ends = ("source", "target", "kind", "family")
    assert values(found["dockmesh_probe_success"], *ends) == dict.fromkeys(probes, 1)
    assert values(found["dockmesh_probe_loss_ratio"], *ends) == dict.fromkeys(probes, 0)
    seconds = values(found["dockmesh_probe_rtt_seconds"], *ends)
    assert seconds == {key: pytest.approx((row.rtt_ms or 0) / 1000) for key, row in probes.items()}


def test_broken_mesh_counts_probes_by_state() -> None:
    result = results.result(4, cut=["host2"], silent={"host3": "is down"})
    found = gauges(render(result))
    assert values(found["dockmesh_status_ok"]) == {(): 0}
    assert values(found["dockmesh_host_up"], "host")["host3",] == 0
    states = values(found["dockmesh_probes"], "state")
    assert sum(states.values()) == len(result.probes)
    success = values(found["dockmesh_probe_success"], "source", "target", "kind")
    assert states["reached",] == sum(success.values())
    assert success["host1", "host2", "host-bridge"] == 0
    loss = values(found["dockmesh_probe_loss_ratio"], "source", "target", "kind")
    assert loss["host1", "host2", "host-bridge"] == 1
    assert ("host3", "host1", "host-bridge") not in loss, "no packet was sent"
    assert ("host1", "host2", "host-bridge") not in values(
        found["dockmesh_probe_rtt_seconds"], "source", "target", "kind"
    )


def test_every_line_is_help_type_or_a_value() -> None:
    lines = render(results.result(2, silent={"host1": results.EVIL})).splitlines()
    assert all(line.startswith(("# HELP dockmesh_", "# TYPE dockmesh_", "dockmesh_")) for line in lines)
