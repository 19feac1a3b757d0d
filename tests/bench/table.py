"""Text table of the figures."""

import statistics
from collections.abc import Iterator, Sequence

from tests.bench.figures import exponents, spread
from tests.bench.goals import Goal
from tests.bench.rivals import mesh
from tests.bench.sample import Sample, Samples

_HEAD = (
    f"{'':<15}{'':<14}{'wall s: min':>11}{'median':>8}{'max':>8}{'CPU s':>8}{'ms/host':>9}{'hosts CPU':>11}{'MiB':>6}"
)


def table(samples: Samples, goals: Sequence[Goal]) -> Iterator[str]:
    """Lines of the table: measurements by place, durations of phases, exponents, targets."""
    yield "Wall time from start to exit. CPU: controller, median; hosts CPU: all hosts. MiB: largest process."
    for docker, hosts, rtt_ms in samples.places:
        here = [each for each in samples.taken if (each.docker, each.hosts, each.rtt_ms) == (docker, hosts, rtt_ms)]
        yield ""
        yield f"{hosts} hosts{' with Docker' * docker}, RTT {rtt_ms} ms"
        yield _HEAD
        for verb, tool in sorted(dict.fromkeys((each.verb, each.tool) for each in here), key=_place):
            yield _line([each for each in here if (each.verb, each.tool) == (verb, tool)])
        yield from _shares([each for each in here if each.tool == mesh.NAME])
    yield from _exponents(samples)
    yield ""
    yield from map(str, goals)


_VERBS = ("read", "apply", "recheck", "add-one-host", "status", "destroy")


def _place(key: tuple[str, str]) -> tuple[int, bool]:
    verb, tool = key
    return _VERBS.index(verb), tool != mesh.NAME


def _line(samples: Sequence[Sample]) -> str:
    first, wall = samples[0], spread(each.wall_s for each in samples)
    assert wall
    cpu, hosts = (
        statistics.median(of) for of in zip(*((each.cpu_s, each.host_cpu_s) for each in samples), strict=True)
    )
    peak = max(each.peak_mib for each in samples)
    walls = f"{wall.low:>11.2f}{wall.median:>8.2f}{wall.high:>8.2f}"
    return (
        f"{first.verb:<15}{first.tool:<14}{walls}{cpu:>8.2f}{cpu / first.hosts * 1000:>9.1f}{hosts:>11.2f}{peak:>6.0f}"
    )


def _shares(samples: Sequence[Sample]) -> Iterator[str]:
    for verb in dict.fromkeys(each.verb for each in samples):
        of = [each for each in samples if each.verb == verb]
        phases = dict.fromkeys(phase for each in of for phase in each.parts)
        shares = (f"{phase} {statistics.median(each.parts.get(phase, 0) for each in of):.2f} s" for phase in phases)
        yield f"  phases of {mesh.NAME} {verb}: {', '.join(shares)}"


def _exponents(samples: Samples) -> Iterator[str]:
    tools = dict.fromkeys(each.tool for each in samples.taken)
    found = [(tool, *key, value) for tool in tools for key, value in exponents(samples, tool).items()]
    if found:
        yield ""
        yield "Growth of wall time, as an exponent of N (fit through the medians for each N):"
    for tool, verb, rtt_ms, value in found:
        yield f"  {tool:<14}{verb:<14}RTT {rtt_ms:>2} ms  {value:.2f}"
