"""Text table of the data path."""

import statistics
from collections.abc import Iterator, Sequence

from tests.bench.data.ratios import chosen, fewest_and_most, ratio
from tests.bench.data.sample import KINDS, DataSample, Place
from tests.bench.data.variants import HOST, LIMIT, MESH, PER_PEER, VXLAN
from tests.bench.goals import Goal

_ORDER = (LIMIT, MESH, PER_PEER, HOST, VXLAN)


def data_table(samples: Sequence[DataSample], goals: Sequence[Goal]) -> Iterator[str]:
    """Lines of the table: medians by variant, each with its ratio to the limit and to the fewest peers; targets."""
    yield "Medians of all rounds. Ratios are of speeds within a round, so more is better, with 95 % intervals."
    for place in dict.fromkeys(each.place for each in samples):
        for kind, (what, unit, _more) in KINDS.items():
            yield ""
            yield f"{place}: {what}, {unit}"
            yield from _lines([each for each in samples if (each.place, each.kind) == (place, kind)], place, kind)
    yield ""
    yield from map(str, goals)


def _lines(here: Sequence[DataSample], place: Place, kind: str) -> Iterator[str]:
    few, _most = fewest_and_most(here)
    bases = {"to the limit": chosen(here, place, kind, LIMIT, None)}
    if few is not None:
        bases[f"to {few} peers"] = chosen(here, place, kind, MESH, few)
    yield f"{'':<16}{'peers':>6}{'median':>10}" + "".join(f"{base:>24}" for base in bases)
    keys = dict.fromkeys((each.variant, each.peers) for each in here)
    for variant, peers in sorted(keys, key=lambda key: (_ORDER.index(key[0]), key[1] or 0)):
        own = chosen(here, place, kind, variant, peers)
        ratios = "".join(f"{ratio(own, base)!s:>24}" for base in bases.values())
        yield f"{variant:<16}{peers or '':>6}{statistics.median(each.value for each in own):>10.3g}{ratios}"
