"""What to ask: every host for everything that every other one offers."""

from collections.abc import Collection, Iterable, Iterator

from dockmesh.core.addresses import FAMILIES, IPV4, Family
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes.model import Probe
from dockmesh.core.probes.pairs import Pair


def plan_probes(
    fleet: Fleet,
    sources: Iterable[Host],
    about: Collection[str] | None = None,
    pairs: Collection[Pair] | None = None,
) -> Iterator[Probe]:
    """The questions of a status: each source asks for every host that has something to be reached, itself included.

    With `about`, only the pairs in which one of these hosts is source or target; with `pairs`, only these.
    """
    for source in sources:
        for target in fleet.hosts:
            if about is not None and source.name not in about and target.name not in about:
                continue
            if pairs is not None and (source.name, target.name) not in pairs:
                continue
            for family in FAMILIES:
                yield from _of_pair(source, target, family)


def _of_pair(source: Host, target: Host, family: Family) -> Iterator[Probe]:
    here, there = source.network(family), target.network(family)
    if here is None or there is None:
        return
    if there.prefix and source.name != target.name:
        yield Probe(source.name, target.name, "host-bridge", family)
    if target.docker and (there.bridge or family == IPV4):
        yield Probe(source.name, target.name, "host-container", family)
        if source.docker and (here.bridge or family == IPV4) and source.name != target.name:
            yield Probe(source.name, target.name, "container-container", family)
