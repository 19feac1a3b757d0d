"""Ratios of samples with confidence intervals, and whether they meet the targets."""

import math
import statistics
from collections.abc import Iterator, Sequence

from tests.bench.data.sample import KINDS, DataSample, Place
from tests.bench.data.variants import LIMIT, MESH
from tests.bench.figures import Spread
from tests.bench.goals import Goal

_CONFIDENCE = 0.95
_MEDIAN, _LOW = 0.95, 0.90


def interval(values: Sequence[float]) -> Spread | None:
    """The median with its confidence interval from order statistics; all values if there are too few for 95 %.

    The probability that the median lies outside the k-th smallest and the k-th largest value follows from the binomial
    distribution, without assumptions about the noise. With ten values, they are the second and the ninth.
    """
    found, count = sorted(values), len(values)
    if not found:
        return None
    most = max((k for k in range(1, count // 2 + 1) if _coverage(k, count) >= _CONFIDENCE), default=1)
    return Spread(found[most - 1], statistics.median(found), found[-most])


def _coverage(k: int, count: int) -> float:
    return 1 - 2 * sum(math.comb(count, each) for each in range(k)) / float(2**count)


def chosen(
    samples: Sequence[DataSample], place: Place, kind: str, variant: str, peers: int | None
) -> tuple[DataSample, ...]:
    """The samples of a variant, in the order of the rounds."""
    wanted = (place, kind, variant, peers)
    return tuple(each for each in samples if (each.place, each.kind, each.variant, each.peers) == wanted)


def ratio(ours: Sequence[DataSample], theirs: Sequence[DataSample]) -> Spread | None:
    """Ratio of the speeds within each round that has both, so that more is better for every kind."""
    base = {each.round: each.speed for each in theirs}
    return interval([each.speed / base[each.round] for each in ours if each.round in base])


def fewest_and_most(samples: Sequence[DataSample]) -> tuple[int, int] | tuple[None, None]:
    """The smallest and the largest number of peers."""
    sizes = {each.peers for each in samples if each.variant == MESH and each.peers is not None}
    return (min(sizes), max(sizes)) if sizes else (None, None)


def data_goals(samples: Sequence[DataSample]) -> Iterator[Goal]:
    """The targets: with the most peers, the speed of the limit and that with the fewest peers."""
    few, many = fewest_and_most(samples)
    if few is None or many is None:
        return
    for place in dict.fromkeys(each.place for each in samples):
        for kind, (what, _unit, _more) in KINDS.items():
            ours = chosen(samples, place, kind, MESH, many)
            for base, variant, peers in (("the limit", LIMIT, None), (f"{few} peers", MESH, few)):
                found = ratio(ours, chosen(samples, place, kind, variant, peers))
                name = f"{place}: {what}, {many:,} peers to {base}"
                yield Goal(name, _MEDIAN, "x", found, at_least=True, low=_LOW)
