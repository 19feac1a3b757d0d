"""The list of probes: from every host to every address that a host offers."""

from collections.abc import Iterable, Iterator

from dockmesh.core.addresses import FAMILIES, IPV4, Family
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes.model import Probe
from dockmesh.core.probes.pairs import Selection


def plan_probes(fleet: Fleet, sources: Iterable[Host], selection: Selection | None = None) -> Iterator[Probe]:
    """The probes from each source to every host with a reachable address, including the source itself.

    `selection`: only these pairs.
    """
    for source in sources:
        chosen = None if selection is None else selection.get(source.name, frozenset())
        for target in fleet.hosts:
            if chosen is None or target.name in chosen:
                for family in FAMILIES:
                    yield from _pair_probes(source, target, family)


def _pair_probes(source: Host, target: Host, family: Family) -> Iterator[Probe]:
    here, there = source.network(family), target.network(family)
    if here is None or there is None:
        return
    if there.prefix and source.name != target.name:
        yield Probe(source.name, target.name, "host-bridge", family)
    if target.docker and (there.bridge or family == IPV4):
        yield Probe(source.name, target.name, "host-container", family)
        if source.docker and (here.bridge or family == IPV4) and source.name != target.name:
            yield Probe(source.name, target.name, "container-container", family)
