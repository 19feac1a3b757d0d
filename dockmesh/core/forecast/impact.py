"""The impact of a plan on reachability, and where measurement differs from the forecast."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dockmesh.core.addresses import IPV4
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.build_model import build_model, unknown_host
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.forecast.predict import PAIR_STATES, PROBE_ENDS, Forecast, PairState
from dockmesh.core.model import Fleet, Host
from dockmesh.core.netfilter.flow import host_positions, union
from dockmesh.core.netfilter.verdicts import Reason
from dockmesh.core.planning.plan import HostPlan, Outcome
from dockmesh.core.probes.model import ProbeKind
from dockmesh.core.results.model import MeshResult, ProbeResult

# Evaluating all pairs of 300 hosts takes two seconds. Larger fleets get no forecast.
MAX_HOSTS = 300
Effect = Literal["gained", "lost", "failing", "unknown"]
EFFECTS: tuple[Effect, ...] = ("gained", "lost", "failing", "unknown")


@dataclass(frozen=True, slots=True)
class ImpactRow:
    """Probes of one kind from one host with the same prediction. Probes that always succeed have no row.

    `why` is the reason why they fail or may fail after the plan; None for gained pairs.
    """

    source: str
    kind: ProbeKind
    targets: tuple[str, ...]
    before: PairState
    after: PairState
    why: Reason | None = None

    @property
    def effect(self) -> Effect:
        """The effect of the plan. `failing`: they fail before and after it.

        Probes that certainly fail only after it are `lost`, even if one of their hosts was not read.
        """
        if self.after == "unknown":
            return "unknown"
        if self.after == "reached":
            return "gained"
        return "failing" if self.before == "failing" else "lost"


@dataclass(frozen=True, slots=True)
class Impact:
    """The number of probes in each state `before` and `after` a plan, and all probes that do not always succeed.

    `joined`: the hosts that have joined the mesh after the plan, of those that were read. `unread`: the others, which
    may have joined.
    """

    before: Mapping[PairState, int]
    after: Mapping[PairState, int]
    rows: tuple[ImpactRow, ...]
    joined: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()

    @property
    def breaks_mesh(self) -> bool:
        """Whether probes between hosts that have joined certainly fail after the plan, at least one of them read."""
        return any(
            row.after == "failing"
            and not (self.joined if row.source in self.unread else self._members).isdisjoint(row.targets)
            for row in self.rows
            if row.source in self._members
        )

    @property
    def _members(self) -> frozenset[str]:
        return self.joined | self.unread


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
    fleet: Fleet, hosts: Iterable[Host], facts: Mapping[str, HostFacts], plans: Mapping[str, HostPlan]
) -> Impact:
    """Predict the probes from and to these `hosts` now and after the plans."""
    targets = _targets_of_sources(fleet, hosts)
    applied = {name: plan for name, plan in plans.items() if plan.applicable}
    before = _forecast(fleet, facts, {})
    after = _forecast(fleet, facts, applied) if applied else before
    rows = tuple(_rows(before, after, targets))
    unread = frozenset(fleet.positions.keys() - facts.keys())
    return Impact(_counts(before, targets), _counts(after, targets), rows, after.joined, unread)


def _targets_of_sources(fleet: Fleet, hosts: Iterable[Host]) -> Sequence[int]:
    """By source: all targets of each of the `hosts`, and only these `hosts` as targets of each other source."""
    chosen = union(1 << fleet.positions[host.name] for host in hosts)
    return [-1 if chosen >> position & 1 else chosen for position in range(len(fleet.hosts))]


def pair_states(
    fleet: Fleet, facts: Mapping[str, HostFacts], plans: Mapping[str, HostPlan]
) -> Callable[[str, str], PairState]:
    """Return the forecast of each pair of hosts after the plans, by the names of source and target.

    It is the worst state of the pair's IPv4 probes, and `unknown` for a pair without any.
    """
    forecast = _forecast(fleet, facts, plans)

    def state_of(source: str, target: str) -> PairState:
        return forecast.pair_state(fleet.positions[source], fleet.positions[target])

    return state_of


def mispredictions(
    fleet: Fleet,
    facts: Mapping[str, HostFacts],
    plans: Mapping[str, HostPlan],
    outcomes: Iterable[Outcome],
    result: MeshResult,
) -> Iterator[Misprediction]:
    """Compare `result` with the forecast for the state that each host has after its outcome.

    A host with a good outcome has the planned state, a host that reverted or was refused its previous state. The state
    of a failed or unreachable host is unknown.
    """
    by_host = {each.host: each for each in outcomes}
    known = {name: each for name, each in facts.items() if by_host[name].status not in {"failed", "unreachable"}}
    applied = {name: plan for name, plan in plans.items() if plan.applicable and by_host[name].ok}
    forecast = _forecast(fleet, known, applied)
    positions = {name: position for position, name in enumerate(forecast.names)}
    kinds: Mapping[str, ProbeKind] = {kind: kind for kind in PROBE_ENDS}
    for probe in result.probes:
        if not probe.made or probe.family != IPV4:
            continue
        source, target, kind = positions[probe.source], positions[probe.target], kinds[probe.kind]
        predicted = next(state for state, hosts in forecast.states(source, kind).items() if hosts >> target & 1)
        if predicted != "unknown" and (predicted == "reached") is not probe.reply_ok:
            code, why = forecast.why(source, target, kind) or (probe.code, probe.reason)
            yield Misprediction(probe, predicted, code, why)


def _forecast(fleet: Fleet, facts: Mapping[str, HostFacts], plans: Mapping[str, HostPlan]) -> Forecast:
    return Forecast([_model(host, facts.get(host.name), plans.get(host.name)) for host in fleet.hosts])


def _model(host: Host, facts: HostFacts | None, plan: HostPlan | None) -> HostModel:
    return build_model(host, facts, plan.changes if plan else ()) if facts else unknown_host(host, "it was not read")


def _counts(forecast: Forecast, targets: Sequence[int]) -> Mapping[PairState, int]:
    counts = dict.fromkeys(PAIR_STATES, 0)
    for position, counted in enumerate(targets):
        for kind in PROBE_ENDS:
            for state, hosts in forecast.states(position, kind).items():
                counts[state] += (hosts & counted).bit_count()
    return counts


def _rows(before: Forecast, after: Forecast, targets: Sequence[int]) -> Iterator[ImpactRow]:
    for position, listed in enumerate(targets):
        for kind in PROBE_ENDS:
            for old, old_hosts in before.states(position, kind).items():
                for new, new_hosts in after.states(position, kind).items():
                    if (hosts := old_hosts & new_hosts & listed) and (old, new) != ("reached", "reached"):
                        yield from _by_reason(after, position, kind, hosts, (old, new))


def _by_reason(
    forecast: Forecast, position: int, kind: ProbeKind, hosts: int, states: tuple[PairState, PairState]
) -> Iterator[ImpactRow]:
    targets: dict[Reason | None, list[str]] = {}
    for target in host_positions(hosts):
        why = forecast.why(position, target, kind)
        targets.setdefault(why, []).append(forecast.names[target])
    for why, names in targets.items():
        yield ImpactRow(forecast.names[position], kind, tuple(names), *states, why)
