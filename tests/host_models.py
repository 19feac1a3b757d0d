"""Models of recorded lab hosts, with sections that tests can change, and the predicted results of their probes."""

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
    """The facts of the three hosts in a recorded state, with `changes` by host."""
    return {host: facts(f"{each}_{state}", changes.get(host)) for each, host in GENERATIONS.items()}


def build_models(state: str, **changes: Changes) -> list[HostModel]:
    """The models of these hosts."""
    return [build_model(FLEET.host(name), found) for name, found in read_hosts(state, **changes).items()]


def with_replacement(name: str, section: str, old: str, new: str) -> Changes:
    """A recorded section with a part of its text replaced."""
    before = section_text(name, section)
    assert old in before, before
    return {section: before.replace(old, new)}


def probe_results(hosts: Sequence[HostModel]) -> dict[Question, str]:
    """The prediction for every probe: `reached`, or `CODE: REASON`. An uncertain failure starts with `?`."""
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
    """As `probe_results`, without the probes that succeed."""
    return {key: what for key, what in probe_results(hosts).items() if what != "reached"}


def fails_with(what: str, code: str, *names: str) -> bool:
    """Whether a prediction has this code and a reason with all these names."""
    found, _, text = what.partition(": ")
    return found == code and all(name in text for name in names)


def probes_between(ends: Iterable[tuple[str, str]], kinds: str) -> set[Question]:
    """All probes of these `kinds` between pairs: b is host to bridge, c host to container, x container to container."""
    named: Mapping[str, ProbeKind] = {"b": "host-bridge", "c": "host-container", "x": "container-container"}
    return {(source, target, named[kind]) for source, target in ends for kind in kinds}
