"""What to ask: every host for everything that every other one offers."""

from collections.abc import Collection, Iterable, Iterator

from dockmesh.core.model import Fleet, Host
from dockmesh.core.reach import Probe


def probes(fleet: Fleet, sources: Iterable[Host], about: Collection[str] | None = None) -> Iterator[Probe]:
    """The questions of a status: each source asks for every host that has something to be reached, itself included.

    With `about`, only the pairs in which one of these hosts is source or target.
    """
    for source in sources:
        for target in fleet.hosts:
            if about is not None and source.name not in about and target.name not in about:
                continue
            if target.prefix and source.name != target.name:
                yield Probe(source.name, target.name, "host-bridge")
            if target.docker:
                yield Probe(source.name, target.name, "host-container")
                if source.docker and source.name != target.name:
                    yield Probe(source.name, target.name, "container-container")
