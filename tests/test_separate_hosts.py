"""The derived time for hosts on separate machines, from samples with known parts."""

import pytest

from tests.bench.rivals import ansible, mesh, openssh
from tests.bench.sample import Sample, Samples
from tests.bench.separate_hosts import figures, latencies, separate_s

NEAR, FAR, PLACE_RTT_MS = 0.0, 200.0, 20.0


def sample(tool: str, *, wall_s: float, measured_rtt_ms: float, few: bool = True, hosts: int = 2) -> Sample:
    """A call with 0.5 s of CPU time on the controller and 0.1 s on each host."""
    relayed = few and measured_rtt_ms > 0
    return Sample(
        tool=tool,
        verb="read",
        hosts=hosts,
        rtt_ms=round(measured_rtt_ms),
        round=1,
        wall_s=wall_s,
        cpu_s=0.5,
        host_cpu_s=0.1 * hosts,
        peak_mib=40,
        measured_rtt_ms=measured_rtt_ms,
        few=few,
        round_trips=8 if relayed else None,
        connections=1 if relayed else None,
    )


def samples(tool: str, hosts: int) -> Samples:
    """A call with 0.25 s of waits and 8 round trips, and the same call on a fleet."""
    few = sample(tool, wall_s=0.85, measured_rtt_ms=NEAR), sample(tool, wall_s=2.45, measured_rtt_ms=FAR)
    return Samples((*few, sample(tool, wall_s=9, measured_rtt_ms=PLACE_RTT_MS, few=False, hosts=hosts)))


def test_two_calls_show_round_trips_and_waits() -> None:
    found = latencies(samples(mesh.NAME, 50))[mesh.NAME, "read"]
    assert (found.round_trips, found.connections, found.waits_s) == (8, 1, pytest.approx(0.25))


@pytest.mark.parametrize(("hosts", "turns"), [(mesh.FORKS, 1), (mesh.FORKS + 1, 2)])
def test_each_turn_of_forks_adds_its_latency_and_the_work_of_a_host(hosts: int, turns: int) -> None:
    (found,) = figures(samples(mesh.NAME, hosts))
    assert found.separate_s == pytest.approx(0.5 + turns * (0.1 + 0.25 + 8 * 0.02))
    assert found.wall_s.median == 9


def test_processes_for_each_host_use_every_core_of_the_controller() -> None:
    taken = samples(openssh.FLOOR, openssh.FORKS)
    latency = latencies(samples(mesh.NAME, 2))[mesh.NAME, "read"]
    ours = separate_s(samples(mesh.NAME, openssh.FORKS).taken[-1], latency)
    assert separate_s(taken.taken[-1], latency) <= ours


def test_a_tool_whose_round_trips_grow_has_no_derived_time() -> None:
    (found,) = figures(samples(ansible.LOOP, 10))
    assert found.separate_s is None
    assert found.round_trips is None
