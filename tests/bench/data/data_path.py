"""Benchmark of the data path: `make bench BENCH=--data`.

Containers of two hosts of one Docker generation exchange traffic through the rules that dockmesh installs for fleets
of several sizes. All variants take turns within a round. Compare the ratios; the figures depend on the machine.
"""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from dockmesh.errors import LabError
from tests.bench.data.pair import joined
from tests.bench.data.ratios import data_goals
from tests.bench.data.rounds import rounds
from tests.bench.data.sample import KINDS, DataSample, Place
from tests.bench.data.table import data_table
from tests.bench.data.variants import variants
from tests.bench.goals import Goal
from tests.bench.options import Options
from tests.bench.output import write

_SIMULATED = "Only the first container is real; the raw drops that Docker writes for the others are inserted."
_NO_DROPS = "this Docker writes no rule per container, so the figures of one container hold"


def run(options: Options) -> None:
    """Measure, write data.json and data.svg, and print the table; an interrupted run writes its rounds so far."""
    taken: list[DataSample] = []
    absent: dict[str, str] = {}
    failure: BaseException | None = None
    try:
        for samples in _all(options, absent):
            taken += samples
    except (SystemExit, LabError, KeyboardInterrupt) as error:
        failure = error
    goals = tuple(data_goals(taken))
    if taken:
        write(_document(taken, goals, absent), options, "data", Path(__file__).with_name("plot.py"))
    for line in (
        *data_table(taken, goals),
        _SIMULATED,
        *(f"not measured: {name}, {why}" for name, why in absent.items()),
    ):
        print(line)
    if failure:
        raise failure


def _all(options: Options, absent: dict[str, str]) -> Iterator[Sequence[DataSample]]:
    for release in options.data_releases:
        with joined(f"{options.lab}-data", release) as pair:
            for containers in options.data_containers:
                place = Place(release, pair.docker, containers)
                if containers > 1 and pair.server.raw_drop is None:
                    absent[str(place)] = _NO_DROPS
                    continue
                compared = variants(pair, options.data_peers, containers, per_peer=options.data_old)
                yield from rounds(pair, place, compared, options.rounds, options.data_s)


def _document(samples: Sequence[DataSample], goals: Sequence[Goal], absent: Mapping[str, str]) -> dict[str, object]:
    """The document, with every sample, so that readers can compute other figures."""
    return {
        "format": "dockmesh/bench-data/1",
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "versions": {"dockmesh": version("dockmesh")},
        "absent": dict(absent),
        "units": {kind: unit for kind, (_what, unit, _more) in KINDS.items()},
        "samples": [asdict(each) for each in samples],
        "goals": [asdict(each) | {"met": each.met} for each in goals],
    }
