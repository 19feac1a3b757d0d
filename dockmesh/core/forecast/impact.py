"""The impact of a plan on reachability, and where measurement differs from the forecast."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from dockmesh.core.addresses import IPV4
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.build_model import build_model, unknown_host
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.forecast.predict import PROBE_ENDS, Forecast, PairState
from dockmesh.core.model import Fleet, Host
from dockmesh.core.netfilter.flow import host_positions
from dockmesh.core.netfilter.verdicts import Reason
from dockmesh.core.planning.plan import HostPlan, Outcome
from dockmesh.core.probes.model import ProbeKind
from dockmesh.core.results.model import MeshResult, ProbeResult

# Of so many hosts at most: all pairs of 300 are walked in two seconds.
MAX_HOSTS = 300
Effect = Literal["gained", "lost", "failing", "unknown"]
EFFECTS: tuple[Effect, ...] = ("gained", "lost", "failing", "unknown")


@dataclass(frozen=True, slots=True)
class ImpactRow:
    """Probes of a kind from one host that are not reached all along, and of which the same is foreseen.

    `why`: what stops them, or may; None for what is gained.
    """

    source: str
    kind: ProbeKind
    targets: tuple[str, ...]
    before: PairState
    after: PairState
    why: Reason | None = None

    @property
    def effect(self) -> Effect:
        """What the plan does to them; `failing`: nothing."""
        if "unknown" in {self.before, self.after}:
            return "unknown"
        if self.after == "reached":
            return "gained"
        return "lost" if self.before == "reached" else "failing"


@dataclass(frozen=True, slots=True)
class Impact:
    """How many probes are `before` and `after` a plan in which state, and all those not reached in both."""

    before: Mapping[PairState, int]
    after: Mapping[PairState, int]
    rows: tuple[ImpactRow, ...]


@dataclass(frozen=True, slots=True)
class Misprediction:
    """A probe with another result than predicted. `code` and `why`: the reason it should have failed, or does."""

    probe: ProbeResult
    predicted: PairState
    code: str | None
    why: str | None

    @property
    def measured(self) -> PairState:
        """What the probe found, in the terms of the forecast."""
        return "reached" if self.probe.reply_ok else "failing"


def predict_impact(
    fleet: Fleet, asking: Iterable[Host], facts: Mapping[str, HostFacts], plans: Mapping[str, HostPlan]
) -> Impact:
    """What the asking hosts would find now, and after the plans."""
    names = {host.name for host in asking}
    places = [place for place, host in enumerate(fleet.hosts) if host.name in names]
    before = _forecast(fleet, facts, {})
    after = _forecast(fleet, facts, {name: plan for name, plan in plans.items() if plan.applicable})
    return Impact(_counts(before, places), _counts(after, places), tuple(_shifts(before, after, places)))


def mispredictions(
    fleet: Fleet,
    facts: Mapping[str, HostFacts],
    plans: Mapping[str, HostPlan],
    outcomes: Iterable[Outcome],
    result: MeshResult,
) -> Iterator[Misprediction]:
    """Where `result` is not as predicted for the outcomes of the hosts: as planned, as before, or unknown."""
    came = {each.host: each for each in outcomes}
    known = {name: each for name, each in facts.items() if came[name].status not in {"failed", "unreachable"}}
    now = _forecast(fleet, known, {name: plan for name, plan in plans.items() if plan.applicable and came[name].ok})
    places = {name: place for place, name in enumerate(now.names)}
    kinds: Mapping[str, ProbeKind] = {kind: kind for kind in PROBE_ENDS}
    for probe in result.probes:
        if not probe.made or probe.family != IPV4:
            continue
        place, target, kind = places[probe.source], places[probe.target], kinds[probe.kind]
        predicted = next(state for state, hosts in now.states(place, kind).items() if hosts >> target & 1)
        if predicted != "unknown" and (predicted == "reached") is not probe.reply_ok:
            code, why = now.why(place, target, kind) or (probe.code, probe.reason)
            yield Misprediction(probe, predicted, code, why)


def _forecast(fleet: Fleet, facts: Mapping[str, HostFacts], plans: Mapping[str, HostPlan]) -> Forecast:
    return Forecast([_ground(host, facts.get(host.name), plans.get(host.name)) for host in fleet.hosts])


def _ground(host: Host, facts: HostFacts | None, plan: HostPlan | None) -> HostModel:
    return build_model(host, facts, plan.changes if plan else ()) if facts else unknown_host(host, "it was not read")


def _counts(forecast: Forecast, places: Iterable[int]) -> Mapping[PairState, int]:
    counts: dict[PairState, int] = {"reached": 0, "failing": 0, "unknown": 0}
    for place in places:
        for kind in PROBE_ENDS:
            for state, hosts in forecast.states(place, kind).items():
                counts[state] += hosts.bit_count()
    return counts


def _shifts(before: Forecast, after: Forecast, places: Iterable[int]) -> Iterator[ImpactRow]:
    for place in places:
        for kind in PROBE_ENDS:
            for was, had in before.states(place, kind).items():
                for now, has in after.states(place, kind).items():
                    if (hosts := had & has) and (was, now) != ("reached", "reached"):
                        yield from _alike(after if now != "reached" else before, place, kind, hosts, (was, now))


def _alike(
    told: Forecast, place: int, kind: ProbeKind, hosts: int, states: tuple[PairState, PairState]
) -> Iterator[ImpactRow]:
    """By what stops them."""
    found: dict[Reason | None, list[str]] = {}
    for target in host_positions(hosts):
        why = None if states == ("failing", "reached") else told.why(place, target, kind)
        found.setdefault(why, []).append(told.names[target])
    for why, targets in found.items():
        yield ImpactRow(told.names[place], kind, tuple(targets), *states, why)
