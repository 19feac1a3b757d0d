"""Ratios, costs per host and growth exponents of samples."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.sample import Sample, Samples


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of several rounds."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def spread(values: Iterable[float]) -> Spread | None:
    """The spread of the values; None if there are none."""
    found = sorted(values)
    return Spread(found[0], statistics.median(found), found[-1]) if found else None


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Spread | None:
    """Ratio of the wall times, within each round that has both."""
    base = {each.round: each.wall_s for each in theirs}
    return spread(each.wall_s / base[each.round] for each in ours if each.round in base)


def exponent(samples: Sequence[Sample], cost: Callable[[Sample], float] = lambda each: each.wall_s) -> float | None:
    """b of cost = a * N ** b through the medians, by least squares of logarithms; None for fewer than two sizes."""
    return _slope(_by_hosts(samples, cost), math.log)


def marginal_ms(samples: Sequence[Sample]) -> float | None:
    """CPU time of the controller for one more host, in ms: the slope of the medians."""
    return _slope(_by_hosts(samples, lambda each: each.cpu_s * 1000), lambda value: value)


def _by_hosts(samples: Sequence[Sample], cost: Callable[[Sample], float]) -> dict[int, float]:
    sizes = sorted({each.hosts for each in samples})
    return {size: statistics.median(cost(each) for each in samples if each.hosts == size) for size in sizes}


def _slope(points: dict[int, float], scale: Callable[[float], float]) -> float | None:
    if len(points) < 2:
        return None
    fit = statistics.linear_regression([scale(x) for x in points], [scale(y) for y in points.values()])
    return fit.slope


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of a call with the fleet: the exponent of its wall time, and the controller's CPU time per added host."""

    tool: str
    verb: str
    rtt_ms: int
    exponent: float
    cpu_ms: float


def growth(samples: Samples) -> Iterator[Growth]:
    """The growth of all calls with several fleet sizes, by round-trip time."""
    keys = dict.fromkeys((each.tool, each.verb, each.rtt_ms) for each in samples.taken if not each.few)
    for tool, verb, rtt_ms in keys:
        own = samples.of(tool, verb, rtt_ms=rtt_ms)
        power, cpu_ms = exponent(own), marginal_ms(own)
        if power is not None and cpu_ms is not None:
            yield Growth(tool, verb, rtt_ms, power, cpu_ms)
