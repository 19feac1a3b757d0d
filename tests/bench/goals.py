"""Performance targets of the project, and whether a run meets them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.bench.figures import Spread, exponent, marginal_ms, ratio, spread
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
    """All targets: first those beside tools that users know, then those of dockmesh alone."""
    yield from _beside_others(samples)
    yield from _beside_openssh(samples)
    yield from _cpu(samples)
    yield from _growth(samples)
    yield from _startup(startup)
    yield from _core(core)


def _beside_others(samples: Samples) -> Iterator[Goal]:
    yield _times(samples, "apply", _FIFTY, (ansible.BATCH, "apply"), 0.5)
    yield _times(samples, "read", _FIFTY, (ansible.BATCH, "read"), 0.1)
    loop = max((each.hosts for each in samples.of(ansible.LOOP, "apply", rtt_ms=0)), default=50)
    yield _times(samples, "apply", Where(loop), (ansible.LOOP, "apply"), 0.01)
    yield _times(samples, "read", _FIFTY, (pyinfra.NAME, "read"), 0.85)


def _beside_openssh(samples: Samples) -> Iterator[Goal]:
    reading, batch = (openssh.FLOOR, "read"), (openssh.FACTS, "apply")
    yield _times(samples, "read", _FIFTY, reading, 1.0)
    yield _times(samples, "recheck", _FIFTY, (openssh.FLOOR, "recheck"), 1.0)
    yield _times(samples, "apply", _FIFTY, batch, 1.6)
    yield _times(samples, "apply", _HUNDRED_FAR, batch, 1.0)
    yield _times(samples, "add-one-host", _FIFTY, reading, 1.5)
    yield _times(samples, "status", _FIFTY, reading, 1.5)
    yield _times(samples, "status", _HUNDRED, reading, 2.0)


def _cpu(samples: Samples) -> Iterator[Goal]:
    for verb, limit_ms in (("read", 6), ("apply", 15), ("status", 8)):
        more_ms = marginal_ms(samples.of(mesh.NAME, verb, rtt_ms=0))
        yield Goal(f"{_name(verb)}, controller CPU for one more host", limit_ms, " ms", _one(more_ms))
    for verb, limit_s in (("apply", 0.15), ("status", 0.06)):
        each_s = spread(sample.host_cpu_s / sample.hosts for sample in _FIFTY.of(samples, mesh.NAME, verb))
        yield Goal(f"{verb} of {_FIFTY}, CPU of each host", limit_s, " s", each_s)


def _growth(samples: Samples) -> Iterator[Goal]:
    for verb in ("read", "add-one-host"):
        power = exponent(samples.of(mesh.NAME, verb, rtt_ms=0))
        yield Goal(f"{_name(verb)}, exponent of time over hosts", 1.1, "", _one(power))
    status = exponent(samples.of(mesh.NAME, "status", rtt_ms=0), lambda each: each.wall_s / each.hosts)
    yield Goal("status, exponent of time per host over hosts", 1.1, "", _one(status))


def _startup(startup: Mapping[str, tuple[float, ...]]) -> Iterator[Goal]:
    for name, limit_ms in (("--version", 60), ("--help", 150)):
        yield Goal(f"{name}, over a bare interpreter", limit_ms, " ms", spread(startup.get(name, ())))


def _core(core: Mapping[str, float]) -> Iterator[Goal]:
    for hosts, limit_s, limit_mib in ((1_000, 1, 200), (10_000, 15, 1024)):
        for kind in ("fresh", "converged", "joined"):
            name = f"validate and plan {hosts:,} hosts, {kind}"
            for what, key, limit, unit in ((name, "s", limit_s, " s"), (f"{name}, peak", "MiB", limit_mib, " MiB")):
                key_of = f"{hosts} {kind} {key}"
                yield Goal(what, limit, unit, _one(core.get(key_of)))


def _times(samples: Samples, verb: str, where: Where, base: tuple[str, str], limit: float) -> Goal:
    found = ratio(where.of(samples, mesh.NAME, verb), where.of(samples, *base))
    return Goal(f"{_name(verb)} of {where}, to the {base[1]} of {base[0]}", limit, "x", found)


def _name(verb: str) -> str:
    return {"read": "plan", "recheck": "plan without changes"}.get(verb, verb)


def _one(value: float | None) -> Spread | None:
    return spread([] if value is None else [value])
