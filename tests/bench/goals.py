"""Performance targets of the project, and whether a run meets them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.bench.figures import Spread, marginal_ms, ratio, spread
from tests.bench.rivals import ansible, mesh, openssh, pyinfra
from tests.bench.sample import Sample, Samples


@dataclass(frozen=True, slots=True)
class Goal:
    """A target: the median is at most `limit`, or with `at_least` at least; `found` is None if it was not measured.

    With `low`, the lower end must also be at least that.
    """

    what: str
    limit: float
    unit: str
    found: Spread | None
    at_least: bool = False
    low: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if it was not measured."""
        if self.found is None:
            return None
        if self.low is not None and self.found.low < self.low:
            return False
        return self.found.median >= self.limit if self.at_least else self.found.median <= self.limit

    def __str__(self) -> str:
        low = "" if self.low is None else f", lower end >= {self.low:g}{self.unit}"
        wanted = f"{self.what}: {'>=' if self.at_least else '<='} {self.limit:g}{self.unit}{low}"
        if self.found is None:
            return f"{'not measured':<13} {wanted}"
        off = abs(self.found.median - self.limit) / self.limit
        side = "above" if self.found.median > self.limit else "below"
        return f"{'met' if self.met else 'MISSED':<13} {wanted}, found {self.found}{self.unit}, {off:.0%} {side}"


@dataclass(frozen=True, slots=True)
class Where:
    """Fleet size and round-trip time of a target."""

    hosts: int
    rtt_ms: int = 0

    def of(self, samples: Samples, tool: str, verb: str) -> tuple[Sample, ...]:
        """The samples of this fleet size and round-trip time."""
        return samples.of(tool, verb, hosts=self.hosts, rtt_ms=self.rtt_ms)

    def __str__(self) -> str:
        return f"{self.hosts} hosts, RTT {self.rtt_ms} ms"


_FIFTY, _HUNDRED, _HUNDRED_FAR = Where(50), Where(100), Where(100, 20)


def goals(samples: Samples, startup: Mapping[str, tuple[float, ...]], core: Mapping[str, float]) -> Iterator[Goal]:
    """All targets, in the order of the verbs."""
    yield from _beside_openssh(samples)
    yield from _beside_others(samples)
    yield from _own(samples, startup)
    yield from _core(core)


def _beside_openssh(samples: Samples) -> Iterator[Goal]:
    yield _times(samples, "read", _FIFTY, (openssh.FLOOR, "read"), 1.0)
    yield _times(samples, "recheck", _FIFTY, (openssh.FLOOR, "recheck"), 1.0)
    yield _times(samples, "apply", _FIFTY, (openssh.FACTS, "apply"), 1.6)
    yield _times(samples, "apply", _HUNDRED_FAR, (openssh.FACTS, "apply"), 0.6)


def _beside_others(samples: Samples) -> Iterator[Goal]:
    for verb in ("read", "apply"):
        yield _times(samples, verb, _FIFTY, (pyinfra.NAME, verb), 0.85)
        yield _faster(samples, verb, _FIFTY, ansible.BATCH, 10)
    loop = max((each.hosts for each in samples.of(ansible.LOOP, "apply", rtt_ms=0)), default=50)
    yield _faster(samples, "apply", Where(loop), ansible.LOOP, 100)


def _own(samples: Samples, startup: Mapping[str, tuple[float, ...]]) -> Iterator[Goal]:
    reads = _FIFTY.of(samples, mesh.NAME, "read")
    each = spread(sample.cpu_s / sample.hosts * 1000 for sample in reads)
    yield Goal("read of 50 hosts, controller CPU per host, including start", 6, " ms", each)
    slope = marginal_ms(samples.of(mesh.NAME, "read", rtt_ms=0))
    more = spread([] if slope is None else [slope])
    yield Goal("read, controller CPU for one more host", 6, " ms", more)
    yield _times(samples, "status", _HUNDRED, (mesh.NAME, "read"), 2.5)
    for name, limit in (("--version", 60), ("--help", 150)):
        yield Goal(f"{name}, over a bare interpreter", limit, " ms", spread(startup.get(name, ())))


def _core(core: Mapping[str, float]) -> Iterator[Goal]:
    for hosts, limit_s, limit_mib in ((1_000, 1, 200), (10_000, 15, 1024)):
        for kind in ("fresh", "converged", "joined"):
            name = f"validate and plan {hosts:,} hosts, {kind}"
            for what, key, limit, unit in ((name, "s", limit_s, " s"), (f"{name}, peak", "MiB", limit_mib, " MiB")):
                key_of = f"{hosts} {kind} {key}"
                yield Goal(what, limit, unit, spread([core[key_of]] if key_of in core else []))


def _times(samples: Samples, verb: str, where: Where, base: tuple[str, str], limit: float) -> Goal:
    found = ratio(where.of(samples, mesh.NAME, verb), where.of(samples, *base))
    of = f"{base[0]}'s {base[1]}".replace(f"{mesh.NAME}'s", "its")
    return Goal(f"{verb} of {where}, to {of}", limit, "x", found)


def _faster(samples: Samples, verb: str, where: Where, than: str, limit: float) -> Goal:
    found = ratio(where.of(samples, than, verb), where.of(samples, mesh.NAME, verb))
    return Goal(f"{verb} of {where}, faster than {than}", limit, "x", found, at_least=True)
