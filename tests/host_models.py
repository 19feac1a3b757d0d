"""Hosts of the lab as they were recorded, changed section by section, and what is foreseen of their probes."""

from collections.abc import Iterable, Mapping, Sequence

from builders import FLEET, GENERATIONS, SectionOutput, facts, section_text

from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.build_model import build_model
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.forecast.predict import PROBE_ENDS, Forecast
from dockmesh.core.netfilter.flow import host_positions
from dockmesh.core.probes.model import ProbeKind

Changes = Mapping[str, SectionOutput]
Question = tuple[str, str, ProbeKind]


def read_hosts(state: str, **changes: Changes) -> dict[str, HostFacts]:
    """The three hosts in a state, some of them changed."""
    return {host: facts(f"{each}_{state}", changes.get(host)) for each, host in GENERATIONS.items()}


def build_models(state: str, **changes: Changes) -> list[HostModel]:
    """The same as packets find them."""
    return [build_model(FLEET.host(name), found) for name, found in read_hosts(state, **changes).items()]


def with_replacement(name: str, section: str, old: str, new: str) -> Changes:
    """A section of a recorded answer with a part of it replaced."""
    before = section_text(name, section)
    assert old in before, before
    return {section: before.replace(old, new)}


def probe_results(hosts: Sequence[HostModel]) -> dict[Question, str]:
    """Of every probe, `reached` or the code and the reason of what keeps it, with `?` before what may."""
    forecast = Forecast(hosts)
    answers: dict[Question, str] = {}
    for place, name in enumerate(forecast.names):
        for kind in PROBE_ENDS:
            for state, some in forecast.states(place, kind).items():
                for target in host_positions(some):
                    why = forecast.why(place, target, kind)
                    assert (why is None) is (state == "reached")
                    answers[name, forecast.names[target], kind] = (
                        f"{'?' * (state == 'unknown')}{f'{why.code}: {why.text}' if why else state}"
                    )
    return answers


def failing_probes(hosts: Sequence[HostModel]) -> dict[Question, str]:
    """As `probe_results`, without those that are reached."""
    return {key: what for key, what in probe_results(hosts).items() if what != "reached"}


def fails_with(what: str, code: str, *names: str) -> bool:
    """Whether that keeps a probe, as `probe_results` has it, for a reason that names all these things."""
    found, _, text = what.partition(": ")
    return found == code and all(name in text for name in names)


def probes_between(ends: Iterable[tuple[str, str]], kinds: str) -> set[Question]:
    """Several probes; `kinds` by their initials: b, c, x for bridge, container, container to container."""
    named: Mapping[str, ProbeKind] = {"b": "host-bridge", "c": "host-container", "x": "container-container"}
    return {(source, target, named[kind]) for source, target in ends for kind in kinds}
