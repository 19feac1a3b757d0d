"""Text table of the figures."""

import statistics
from collections.abc import Iterator, Sequence

from tests.bench.figures import growth
from tests.bench.goals import Goal
from tests.bench.options import VERBS
from tests.bench.rivals import ansible, mesh, openssh, pyinfra
from tests.bench.sample import Sample, Samples
from tests.bench.separate_hosts import Figures, figures, latencies

# First the tools that users know.
_TOOLS = (ansible.LOOP, ansible.BATCH, pyinfra.NAME, openssh.STOCK, openssh.FLOOR, openssh.FACTS, mesh.NAME)
_HEAD = (
    f"{'':<14}{'':<15}{'wall s':>8}{'min':>8}{'max':>8}{'separate s':>12}"
    f"{'CPU s':>8}{'host CPU s':>12}{'round trips':>13}{'MiB':>6}"
)


def table(samples: Samples, goals: Sequence[Goal]) -> Iterator[str]:
    """Lines of the table: measurements by place, durations of phases, latencies, growth, targets."""
    yield "Wall time from start to exit: all hosts on this machine (median, min, max), derived for separate machines."
    yield "CPU: controller; host CPU: one host; medians. Round trips: counted, per host. MiB: largest process."
    every = sorted(figures(samples), key=lambda each: _order(each.tool, each.verb))
    for docker, hosts, rtt_ms in samples.places:
        yield ""
        yield f"{hosts} hosts{' with Docker' * docker}, RTT {rtt_ms} ms"
        yield _HEAD
        yield from (_line(each) for each in every if (each.docker, each.hosts, each.rtt_ms) == (docker, hosts, rtt_ms))
        yield from _shares([each for each in samples.taken if _own(each, docker, hosts, rtt_ms)])
    yield from _latencies(samples)
    yield from _growth(samples)
    yield ""
    yield from map(str, goals)


def _order(tool: str, verb: str) -> tuple[int, int]:
    return VERBS.index(verb), _TOOLS.index(tool)


def _own(sample: Sample, docker: bool, hosts: int, rtt_ms: int) -> bool:
    place = sample.docker, sample.hosts, sample.rtt_ms
    return sample.tool == mesh.NAME and not sample.few and place == (docker, hosts, rtt_ms)


def _line(each: Figures) -> str:
    wall = f"{each.wall_s.median:>8.2f}{each.wall_s.low:>8.2f}{each.wall_s.high:>8.2f}"
    separate = "-" if each.separate_s is None else f"{each.separate_s:.2f}"
    trips = "-" if each.round_trips is None else str(each.round_trips)
    cpu = f"{each.cpu_s:>8.2f}{each.host_cpu_s:>12.3f}"
    return f"{each.verb:<14}{each.tool:<15}{wall}{separate:>12}{cpu}{trips:>13}{each.peak_mib:>6.0f}"


def _shares(samples: Sequence[Sample]) -> Iterator[str]:
    for verb in dict.fromkeys(each.verb for each in samples):
        of = [each for each in samples if each.verb == verb]
        phases = dict.fromkeys(phase for each in of for phase in each.parts)
        shares = (f"{phase} {statistics.median(each.parts.get(phase, 0) for each in of):.2f} s" for phase in phases)
        yield f"  phases of {mesh.NAME} {verb}: {', '.join(shares)}"


def _latencies(samples: Samples) -> Iterator[str]:
    found = sorted(latencies(samples).items(), key=lambda each: _order(*each[0]))
    if found:
        yield ""
        yield "Few hosts: round trips and connections of a host, seconds without delay and CPU use"
    for (tool, verb), each in found:
        yield f"  {verb:<14}{tool:<15}{each.round_trips:>5}{each.connections:>4}{each.waits_s:>7.2f} s"


def _growth(samples: Samples) -> Iterator[str]:
    found = sorted(growth(samples), key=lambda each: _order(each.tool, each.verb))
    if found:
        yield ""
        yield "Growth: exponent of wall time over hosts, and controller CPU for one more host"
    for each in found:
        yield f"  {each.verb:<14}{each.tool:<15}RTT {each.rtt_ms:>2} ms{each.exponent:>7.2f}{each.cpu_ms:>8.1f} ms"
