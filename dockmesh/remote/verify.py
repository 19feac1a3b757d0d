"""The verification of changes: which pairs are probed before and after them, and which hosts pass.

Hosts that do not change are held as targets before the change, so that only changed hosts need a login after it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from dockmesh.core.addresses import IPV4
from dockmesh.core.events import CanariesDrawn
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.plan import HostPlan, Outcome
from dockmesh.core.probes.join_state import JoinState
from dockmesh.core.probes.pairs import Pair, Selection, by_source, sample_pairs, unprobed_pairs
from dockmesh.core.results.model import FailureKind, HostResult, MeshResult, ProbeKey, ProbeResult, merged
from dockmesh.core.rollout.affected import affected_peers, network_owners
from dockmesh.core.rollout.batches import Batch
from dockmesh.core.rollout.decision import hosts_to_revert
from dockmesh.core.rollout.pace import Pace
from dockmesh.core.rollout.selection import Membership, affected_pairs, canaries, is_joined, join_state, selected
from dockmesh.core.state.resources import Route
from dockmesh.errors import HostFailure
from dockmesh.remote.fanout import ObservedFanOut
from dockmesh.remote.probe import HeldMesh, HeldTarget, ProbedPairs, Prober
from dockmesh.remote.sessions import Sessions

# The random targets of each host where nothing changes.
_SAMPLE = 2
# Targets that do not change wait for the changes of others, in which Docker may restart.
_HOLD_S = 600


@dataclass(frozen=True, slots=True)
class ChangedHost:
    """A host whose change waits for its confirmation. `failure`: why it is no target; otherwise it has a `target`."""

    target: HeldTarget | None = None
    failure: HostFailure | None = None


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """The run to verify. `facts`: of the hosts that were read. `plans`: of the hosts of the run.

    `sessions`: for the hosts that do not change. `all_pairs`: probe every pair of a changed host. `seed`: selects the
    canaries. `may_stay_broken`: whether a pair that is broken before the run may stay broken; not if the plan gains it.
    """

    fleet: Fleet
    facts: Mapping[str, HostFacts]
    plans: Mapping[str, HostPlan]
    sessions: Sessions
    pace: Pace
    all_pairs: bool
    seed: int
    may_stay_broken: Callable[[str, str], bool]


class Verification:
    """Probes the pairs that batches of changes affect. For one thread, except `hold`."""

    def __init__(self, run: VerifiedRun, prober: Prober) -> None:
        self._run = run
        self._prober = prober
        self._mesh = HeldMesh(prober, run.fleet)
        self._owners = network_owners(run.fleet)
        self._final = {name for name, plan in run.plans.items() if plan.unchanged}
        self._canaries: tuple[Pair, ...] = ()
        self._probed: list[ProbedPairs] = []
        # The probes that the change of this batch may leave broken, and those of all batches.
        self._excused: frozenset[ProbeKey] = frozenset()
        self.broken_before: set[ProbeKey] = set()

    @property
    def fan_out(self) -> ObservedFanOut:
        """The fan-out of probes and confirmations, which do not wait for changes that still run."""
        return self._prober.fan_out

    def prepare(self, batch: Batch) -> None:
        """Hold the hosts that do not change, and probe the pairs that worked before and that the batch affects.

        Only a probe that fails now may fail after the change.
        """
        # Containers may have changed since an earlier batch, and hosts that could not be held may respond again.
        self._mesh.release([*self._mesh.targets])
        for name in self._run.plans:
            self._mesh.errors.pop(name, None)
        self._hold_members(without=batch.plans)
        after = self._membership({*batch.plans})
        selection = affected_pairs(after, self._affected(batch.plans))
        if not self._run.all_pairs:
            self._canaries = canaries(after, selection, sorted(batch.plans), self._run.seed)
            if self._canaries:
                self._prober.fan_out.emit(CanariesDrawn(self._canaries, self._run.seed))
        old = {name: state for name in batch.plans if (state := self._joined_before(name))}
        self._excused = frozenset()
        if old:
            before = replace(
                after, final=after.final - {*batch.plans}, others={**after.others, **old}, moved=frozenset()
            )
            self._probe_before(before, _with_pairs(selection, self._canaries), [*old])

    def hold(self, host: Host) -> HeldTarget:
        """Hold a changed host over a new session, until it reverts by itself.

        Raises:
            HostError: the login or the script failed.
        """
        return self._prober.hold(host, hold_s=self._run.fleet.settings.confirm_within_s)

    def collect_s(self, batch: Batch) -> float | None:
        """How long the first changed host of the batch can wait for the others before the probes must start.

        None: as long as it takes, because hosts that follow others stand or fall with them.
        """
        return None if batch.follows else self._run.pace.collect_s(len(batch.plans))

    def failures(
        self, changed: Mapping[str, ChangedHost], unchanged: Collection[str], batch: Batch
    ) -> Mapping[str, HostFailure]:
        """Probe the changed hosts. Returns those that must revert, with the reasons.

        `unchanged`: hosts of the batch that ended in their old state, in which they can be in the mesh.
        """
        self._hold([name for name in unchanged if self._joined_before(name)])
        self._mesh.targets |= {name: each.target for name, each in changed.items() if each.target}
        self._mesh.errors |= {name: each.failure for name, each in changed.items() if each.failure}
        membership = self._membership({*changed})
        selection = affected_pairs(membership, self._affected(changed))
        drawn = [pair for pair in self._canaries if {*pair} <= {*self._mesh.targets} and pair[0] in changed]
        probed = self._probe(_with_pairs(selection, drawn), membership)
        self._probed.append(probed)
        self.broken_before |= self._excused & {probe.key for probe in probed.result.lost}
        return hosts_to_revert(probed.result, changed, broken_before=self._excused, follows=batch.follows)

    def settle(self, outcomes: Mapping[str, Outcome]) -> None:
        """Receive the outcomes of changed hosts. Confirmed hosts remain targets."""
        confirmed = {name for name, outcome in outcomes.items() if outcome.ok}
        self._final |= confirmed
        self._mesh.release(outcomes.keys() - confirmed)

    def report(self, requested: Collection[str], lost: Mapping[str, HostFailure]) -> MeshResult:
        """The final result: all pairs of the requested hosts with `all_pairs`, otherwise the probed pairs.

        Pairs with hosts outside the request that have not joined are left out. Ends the verification.
        """
        self._mesh.errors |= lost
        if not self._probed or (self._run.all_pairs and not self._has_probed_everything()):
            self._mesh.release_outdated()
            self._probed.append(self._probe_finally({*requested}))
        self._mesh.release([*self._mesh.targets])
        result = merged(self._run.fleet, map(self._mesh.with_observed_sources, self._probed))
        probes = tuple(_without_own_source(probe, requested) for probe in result.probes)
        hosts = tuple(self._without_own_change(each, requested) for each in result.hosts)
        unprobed = unprobed_pairs(self._run.fleet, result.pairs)
        return replace(result, probes=probes, hosts=hosts, partial=unprobed > 0, unprobed=unprobed)

    def _probe_before(self, before: Membership, selection: Selection, changing: Sequence[str]) -> None:
        worked = selected(
            selection, lambda one, two: before.know_each_other(one, two) and self._run.may_stay_broken(one, two)
        )
        if not worked:
            return
        self._hold(changing)
        lost = self._probe(worked, before).result.lost
        self._excused = frozenset(probe.key for probe in lost if probe.made)
        self._mesh.release(changing)
        for name in changing:
            self._mesh.errors.pop(name, None)

    def _hold_members(self, *, without: Collection[str] = ()) -> None:
        """Hold the hosts that are or may be in the mesh, except those that were lost."""
        self._hold([name for name in self._run.fleet.positions if name not in without and self._may_be_member(name)])

    def _hold(self, names: Iterable[str]) -> None:
        """Hold hosts that do not change, over the sessions of the run. Hosts that were lost stay lost."""
        skipped = self._mesh.targets.keys() | self._mesh.errors.keys()
        if hosts := [self._run.fleet.host(name) for name in names if name not in skipped]:
            self._mesh.hold(hosts, sessions=self._run.sessions, hold_s=_HOLD_S)

    def _probe(self, selection: Selection, membership: Membership) -> ProbedPairs:
        return self._mesh.probe(selection, wanted=membership.decides, grace_s=self._run.pace.grace_s)

    def _may_be_member(self, name: str) -> bool:
        outside = name not in self._run.plans
        return outside or name in self._final or self._joined_before(name) is not None

    def _joined_before(self, name: str) -> JoinState | None:
        """The state of a host that was in the mesh before the run, as far as it was read."""
        facts = self._run.facts.get(name)
        state = join_state(facts) if facts else None
        return state if state and is_joined(self._run.fleet.host(name), state) else None

    def _membership(self, changed: AbstractSet[str]) -> Membership:
        """The membership while `changed` have their new state."""
        states = {name: each.target.join_state or JoinState() for name, each in self._mesh.targets.items()}
        final = frozenset(changed | (self._final & (states.keys() | self._mesh.errors.keys())))
        others = {name: state for name, state in states.items() if name not in final}
        return Membership(self._run.fleet, final, others, frozenset(filter(self._moves, changed)))

    def _moves(self, name: str) -> bool:
        """Whether the host was in the mesh with another prefix."""
        facts = self._run.facts.get(name)
        return facts is not None and bool(facts.actual.of(Route)) and self._joined_before(name) is None

    def _affected(self, names: Collection[str]) -> dict[str, AbstractSet[str] | None]:
        plans, owners = self._run.plans, self._owners
        return {name: None if self._run.all_pairs else affected_peers(plans[name], owners) for name in names}

    def _has_probed_everything(self) -> bool:
        """Whether all hosts changed and were probed together, so that the probes that decided are the final result."""
        names = self._run.fleet.positions.keys()
        return (
            len(self._probed) == 1
            and self._final >= names
            and unprobed_pairs(self._run.fleet, self._probed[0].result.pairs) == 0
        )

    def _probe_finally(self, requested: AbstractSet[str]) -> ProbedPairs:
        names = self._run.fleet.positions.keys()
        if names <= requested and self._run.all_pairs:
            self._hold(names)
            return self._mesh.probe(dict.fromkeys(names, names))
        self._hold_members()
        membership = self._membership(frozenset())
        if self._run.all_pairs:
            known = affected_pairs(membership, dict.fromkeys(requested & membership.final))
            selection = self._with_joined(known, requested)
            return self._mesh.probe(selection, wanted=lambda probe: probe.family == IPV4 or membership.decides(probe))
        hosts = [host for host in self._run.fleet.hosts if host.name in requested]
        drawn = by_source(sample_pairs(self._run.fleet, hosts, _SAMPLE, self._run.seed))
        return self._probe(selected(drawn, membership.know_each_other), membership)

    def _with_joined(self, selection: Selection, requested: AbstractSet[str]) -> Selection:
        """The selection, with all pairs of requested hosts that were in the mesh before, also without a route."""
        old = {name for name in self._mesh.targets if self._is_joined(name)}
        pairs = [(one, two) for one in requested & old for two in old]
        return _with_pairs(selection, [*pairs, *((two, one) for one, two in pairs)])

    def _is_joined(self, name: str) -> bool:
        """Whether the host was in the mesh before the run, as its facts or, outside the request, its target show it."""
        if name in self._run.plans:
            return self._joined_before(name) is not None
        state = self._mesh.targets[name].target.join_state
        return state is not None and is_joined(self._run.fleet.host(name), state)

    def _without_own_change(self, host: HostResult, requested: Collection[str]) -> HostResult:
        """The host without changes that this run has confirmed, or that it was not asked about."""
        mine = host.host in requested and host.host not in self._final
        return host if mine else replace(host, pending=None)


def _without_own_source(probe: ProbeResult, requested: Collection[str]) -> ProbeResult:
    """The probe without a wrong source address if its host is outside the request, and may lack a new setting."""
    if probe.source in requested or probe.failure != FailureKind.SOURCE:
        return probe
    return replace(probe, code=None, reason=None, about=None)


def _with_pairs(selection: Selection, pairs: Sequence[Pair]) -> Selection:
    more = by_source(pairs)
    return {name: {*selection.get(name, ()), *more.get(name, ())} for name in {**selection, **more}}
