"""Wall time with hosts on separate machines, derived from the measured parts of each call: see docs/lab.md."""

import math
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Spread, spread
from tests.bench.rivals import ansible, mesh, openssh, pyinfra
from tests.bench.sample import Sample, Samples

_CORES = os.cpu_count() or 1
# Hosts served at the same time. The round trips of Ansible's loop grow with its routes, so that it is not here.
_FORKS = {
    mesh.NAME: mesh.FORKS,
    openssh.FLOOR: openssh.FORKS,
    openssh.FACTS: openssh.FORKS,
    openssh.STOCK: openssh.FORKS,
    pyinfra.NAME: pyinfra.FORKS,
    ansible.BATCH: ansible.FORKS,
}
# One Python process uses one core. The others start a process per host, so the best case is that they use every core.
_ONE_PROCESS = {mesh.NAME, pyinfra.NAME}


@dataclass(frozen=True, slots=True)
class Latency:
    """What a call costs on few hosts, apart from CPU time.

    The relay counts `round_trips` and `connections` of a host. `waits_s` is the time without delay and without use of
    the CPU: sleeps, timers and delayed acknowledgements.
    """

    round_trips: int
    connections: int
    waits_s: float


def latency(samples: Samples, tool: str, verb: str) -> Latency | None:
    """The latency of a tool's verb; None if it was not measured."""
    both = samples.of(tool, verb, few=True)
    near, far = ([each for each in both if (each.round_trips is not None) is relayed] for relayed in (False, True))
    if not near or not far:
        return None
    # Other load can only lengthen a call.
    waits_s = min(each.wall_s - _work_s(each) for each in near)
    return Latency(
        round_trips=statistics.median_low(each.round_trips or 0 for each in far),
        connections=statistics.median_low(each.connections or 0 for each in far),
        waits_s=max(0.0, waits_s),
    )


def latencies(samples: Samples) -> dict[tuple[str, str], Latency]:
    """The latency of every measured tool and verb."""
    found = {call: latency(samples, *call) for call in samples.calls if call[0] in _FORKS}
    return {call: each for call, each in found.items() if each is not None}


def separate_s(sample: Sample, found: Latency) -> float:
    """The derived wall time: the controller's CPU time, then each turn of forks."""
    turns = math.ceil(sample.hosts / _FORKS[sample.tool])
    host_s = sample.host_cpu_s / sample.hosts
    turn_s = host_s + found.waits_s + found.round_trips * sample.measured_rtt_ms / 1000
    return _controller_s(sample) + turns * turn_s


def _work_s(sample: Sample) -> float:
    """CPU time on the critical path of one turn."""
    return _controller_s(sample) + sample.host_cpu_s / sample.hosts


def _controller_s(sample: Sample) -> float:
    return sample.cpu_s / (1 if sample.tool in _ONE_PROCESS else min(_CORES, sample.hosts))


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of a call at a place. CPU times are those of the controller and of one host."""

    tool: str
    verb: str
    hosts: int
    rtt_ms: int
    docker: bool
    wall_s: Spread
    separate_s: float | None
    cpu_s: float
    host_cpu_s: float
    round_trips: int | None
    peak_mib: float


def figures(samples: Samples) -> Iterator[Figures]:
    """The figures of every call, by place."""
    found = latencies(samples)
    for docker, hosts, rtt_ms in samples.places:
        for tool, verb in samples.calls:
            own = samples.of(tool, verb, hosts=hosts, rtt_ms=rtt_ms, docker=docker)
            if own:
                yield _figures(own, None if docker else found.get((tool, verb)))


def _figures(own: tuple[Sample, ...], found: Latency | None) -> Figures:
    first, wall = own[0], spread(each.wall_s for each in own)
    assert wall
    return Figures(
        tool=first.tool,
        verb=first.verb,
        hosts=first.hosts,
        rtt_ms=first.rtt_ms,
        docker=first.docker,
        wall_s=wall,
        separate_s=statistics.median(separate_s(each, found) for each in own) if found else None,
        cpu_s=statistics.median(each.cpu_s for each in own),
        host_cpu_s=statistics.median(each.host_cpu_s / each.hosts for each in own),
        round_trips=found.round_trips if found else None,
        peak_mib=max(each.peak_mib for each in own),
    )
