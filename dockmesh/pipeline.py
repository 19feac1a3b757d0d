"""The pipeline: inventory -> facts -> desired -> plan -> apply -> verify."""

import math
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import Self

from dockmesh.assets import template
from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.events import EventSink, OutcomeReported, send_to_all
from dockmesh.core.explain.evidence import Evidence
from dockmesh.core.explain.model import ExplainQuery
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.listings import Listings
from dockmesh.core.forecast.impact import (
    MAX_HOSTS,
    Impact,
    Misprediction,
    mispredictions,
    pair_states,
    predict_impact,
)
from dockmesh.core.forecast.predict import PROBE_ENDS, PairState
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.goal import Goal, plan_fleet
from dockmesh.core.planning.plan import HostPlan, Outcome, OutcomeCode, PendingEnd, Plan
from dockmesh.core.probes.batch import row_s
from dockmesh.core.probes.pairs import Pair, by_source, unprobed_pairs
from dockmesh.core.results.model import MeshResult, ProbeKey
from dockmesh.core.rollout.batches import Batch, Rollout, batches
from dockmesh.core.rollout.pace import Pace
from dockmesh.core.templates import Templates
from dockmesh.core.trace.model import CaptureSet, TraceQuery
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.commit import ChangesInProgress, Committer
from dockmesh.remote.fanout import ObservedFanOut
from dockmesh.remote.hosts import HostTransaction, read_host
from dockmesh.remote.pair_explain import explain_pair
from dockmesh.remote.pair_trace import trace_pair
from dockmesh.remote.probe import Prober, probe_mesh
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import Transport
from dockmesh.remote.verify import Verification, VerifiedRun

TEMPLATES = Templates(
    output=template("output.sh"),
    kernel_settings=template("kernel_settings.sh"),
    facts=template("facts.sh"),
    network_steps=template("network_steps.sh"),
    host_steps=template("host_steps.sh"),
    transaction=template("transaction.sh"),
    probe=template("probe.sh"),
    prober=template("probe.pl"),
    observe=template("observe.sh"),
    trace=template("trace.sh"),
    explain=template("explain.sh"),
    daemon_json=template("daemon.json.j2"),
    service=template("dockmesh.service.j2"),
    timer=template("dockmesh.timer.j2"),
)


JOIN = Goal(
    lambda fleet, host, facts, smallest: desired(fleet, host, facts, smallest, TEMPLATES),
    joins_mesh=True,
    save_previous=True,
)
DESTROY = Goal(lambda _fleet, _host, facts, _smallest: original_state(facts), joins_mesh=False, save_previous=True)
ROLLBACK = Goal(
    lambda _fleet, _host, facts, _smallest: rollback_state(facts),
    joins_mesh=False,
    save_previous=False,
    ends_pending="revert",
)


def end_pending(end: PendingEnd) -> Goal:
    """Return the goal that ends pending changes and changes no other host."""
    return Goal(
        lambda _fleet, _host, facts, _smallest: facts.actual, joins_mesh=False, save_previous=False, ends_pending=end
    )


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The parameters of a run.

    `run`: its name, which a locked host reports to other runs. `offset`: separates its probes from those of other runs.
    `seed`: a random number, for the ICMP ids of its probes and for its random choices.
    `forks`: the number of hosts to work on in parallel. `timeout_s`: the time limit of one login or one script.
    """

    fleet: Fleet
    hosts: tuple[Host, ...]
    run: str
    goal: Goal = JOIN
    rollout: Rollout = field(default_factory=Rollout)
    offset: int = 0
    seed: int = 0
    forks: int = 64
    timeout_s: float = 30


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcomes of `apply`, and the reachability after it if the goal joins the mesh.

    `broken_before`: the probes that failed before the change as well, so that their failure was no reason to revert it.
    """

    outcomes: tuple[Outcome, ...]
    result: MeshResult | None
    broken_before: frozenset[ProbeKey] = frozenset()


class Pipeline:
    """One run on the fleet. A context manager that closes every session at its end, including busy ones."""

    def __init__(self, request: RunRequest, transport: Callable[[], Transport], emit: EventSink) -> None:
        self._request = request
        self._changes = ChangesInProgress()
        self._emit = send_to_all(self._changes, emit)
        self._executor = ThreadPoolExecutor(max_workers=request.forks, thread_name_prefix="host")
        self._sessions, self._verifying = Sessions(transport()), Sessions(transport())
        self._fan_out = ObservedFanOut(self._executor, self._emit)
        # Probes and confirmations must not wait for changes that still run.
        self._probing = ThreadPoolExecutor(max_workers=request.forks, thread_name_prefix="probe")
        fan_out = ObservedFanOut(self._probing, self._emit)
        self._prober = Prober(fan_out, self._verifying, TEMPLATES, request.offset, request.timeout_s, request.seed)
        self._listings = Listings()
        self._facts: dict[str, HostFacts] = {}
        self._lost: dict[str, HostFailure] = {}
        self._plan = Plan(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sessions.close()
        self._verifying.close()
        # An interrupted run does not wait for a host whose login is slow.
        for executor in (self._executor, self._probing):
            executor.shutdown(wait=kind is None, cancel_futures=True)

    @property
    def fleet(self) -> Fleet:
        """All hosts of the inventory, including those that --limit excludes."""
        return self._request.fleet

    def facts(self) -> dict[str, HostFacts | HostError]:
        """Read the facts of the hosts, by host name."""
        return self._fan_out.each("read", self._request.hosts, self._gather)

    def plan(self) -> Plan:
        """Read the hosts, and plan the changes of each. The smallest uplink of all hosts is part of each plan."""
        read = self.facts()
        self._facts = {name: facts for name, facts in read.items() if isinstance(facts, HostFacts)}
        self._lost = {name: error.failure for name, error in read.items() if isinstance(error, UnreachableError)}
        self._plan = plan_fleet(self._request.goal, self._request.fleet, self._request.hosts, read)
        return self._plan

    def forecast(self, plan: Plan) -> Impact | None:
        """Predict reachability now and after `plan`, from the facts of the plan.

        None if nothing leaves the mesh, for the end of a pending change, whose effect only the host knows, and for
        fleets of more than MAX_HOSTS hosts, which would take too long.
        """
        fleet = self._request.fleet
        leaves_as_is = plan.empty and not self._request.goal.joins_mesh
        if leaves_as_is or any(host.ends_pending for host in plan.hosts) or len(fleet.hosts) > MAX_HOSTS:
            return None
        return predict_impact(fleet, self._request.hosts, self._facts, {each.host: each for each in plan.hosts})

    def mispredictions(self, plan: Plan, outcomes: Iterable[Outcome], report: MeshResult) -> tuple[Misprediction, ...]:
        """The probes of `report` that contradict the forecast for `outcomes`, the result of applying `plan`."""
        plans = {each.host: each for each in plan.hosts}
        if len(self._request.fleet.hosts) > MAX_HOSTS:
            return ()
        return tuple(mispredictions(self._request.fleet, self._facts, plans, outcomes, report))

    def schedule(self, plan: Plan) -> tuple[Batch, ...]:
        """The batches in which `apply` changes the hosts.

        Raises:
            TooSlowError: a change would wait for its confirmation longer than `confirm_within`. No host was changed.
        """
        request = self._request
        return tuple(batches(request.fleet, plan.applicable, request.rollout, self._pace()))

    def apply(self, plan: Plan) -> Applied:
        """Apply `plan` to its applicable hosts, batch by batch. The outcomes are in its order.

        Raises:
            TooSlowError: see `schedule`.
        """
        request = self._request
        verification = self._verification(plan) if request.goal.joins_mesh else None
        committer = self._committer(verification if self._verifies else None)
        outcomes = {each.host: _unchanged_outcome(each) for each in plan.hosts if not each.applicable}
        failed = 0
        for batch in self.schedule(plan):
            if failed > request.rollout.max_fail:
                outcomes |= {name: _not_started(each, failed) for name, each in batch.plans.items()}
                continue
            for ended in committer.commit(batch, self._facts):
                failed += sum(not outcome.ok for outcome in ended.values())
                outcomes |= ended
                if verification:
                    verification.settle(ended)
        unreachable = (each for each in outcomes.values() if each.status == "unreachable")
        self._lost |= {each.host: HostFailure(each.code or "", each.error or "") for each in unreachable}
        ordered = tuple(outcomes[each.host] for each in plan.hosts)
        for each in ordered:
            warnings = tuple(warning.advice for warning in each.warnings)
            self._emit(OutcomeReported(each.host, each.status, each.code, each.error, warnings))
        return self._applied(ordered, verification)

    @property
    def in_progress(self) -> tuple[str, ...]:
        """The hosts that received a change from `apply` and have not reported its end, in the fleet's order."""
        changing = self._changes.hosts
        return tuple(host.name for host in self._request.hosts if host.name in changing)

    def status(self, pairs: Collection[Pair] | None = None, packets: int = 1) -> MeshResult:
        """Probe the mesh. Hosts lost in this run are not contacted again.

        With `pairs`, only these are probed, and the report has no other host. `packets`: the packets of each probe.
        """
        fleet, hosts = self._request.fleet, self._request.hosts
        if pairs is None:
            return probe_mesh(self._prober, fleet, hosts, lost=self._lost, packets=packets)
        names = {name for pair in pairs for name in pair}
        part = replace(fleet, hosts=tuple(host for host in fleet.hosts if host.name in names))
        selected = {host.name for host in hosts}
        selection = by_source(pair for pair in pairs if pair[0] in selected)
        result = probe_mesh(self._prober, part, part.hosts, selection=selection, lost=self._lost, packets=packets)
        return replace(result, unprobed=unprobed_pairs(fleet, result.pairs))

    def trace(self, query: TraceQuery) -> CaptureSet:
        """Send one ping, captured at each interface of its path on its two hosts."""
        return trace_pair(self._prober, query)

    def explain(self, query: ExplainQuery) -> Evidence:
        """Send one probe, and read the state of its two hosts before and after it."""
        return explain_pair(self._prober, query)

    def _gather(self, host: Host) -> HostFacts:
        fleet, timeout_s = self._request.fleet, self._request.timeout_s
        return read_host(self._sessions.open(host), fleet, host, TEMPLATES, self._listings, timeout_s=timeout_s)

    def _pace(self) -> Pace:
        request = self._request
        hosts = request.fleet.hosts
        families = 2 if any(host.ipv6 for host in hosts) else 1
        kinds = len(PROBE_ENDS) if any(host.docker for host in hosts) else 1
        # Without probes, each host is confirmed at once.
        within_s = request.fleet.settings.confirm_within_s if self._verifies else math.inf
        return Pace(request.forks, len(hosts), families * kinds, within_s, row_s)

    @property
    def _verifies(self) -> bool:
        """Whether probes decide about the changes."""
        return self._request.goal.joins_mesh and self._request.rollout.confirm

    def _verification(self, plan: Plan) -> Verification:
        request = self._request
        return Verification(
            VerifiedRun(
                fleet=request.fleet,
                facts=self._facts,
                plans={each.host: each for each in plan.hosts},
                sessions=self._sessions,
                pace=self._pace(),
                all_pairs=request.rollout.verifies_all(len(request.fleet.hosts)),
                seed=request.seed,
                may_stay_broken=self._may_stay_broken,
            ),
            self._prober,
        )

    def _may_stay_broken(self, source: str, target: str) -> bool:
        """Whether a pair may stay broken if it is broken before the run. A pair that the plan gains may not."""
        if len(self._request.fleet.hosts) > MAX_HOSTS:
            return True
        before, after = self._pair_states
        return before(source, target) != "failing" or after(source, target) == "failing"

    @cached_property
    def _pair_states(self) -> tuple[Callable[[str, str], PairState], Callable[[str, str], PairState]]:
        """The forecasts of each pair before and after the run."""
        fleet, plans = self._request.fleet, {plan.host: plan for plan in self._plan.applicable}
        return pair_states(fleet, self._facts, {}), pair_states(fleet, self._facts, plans)

    def _committer(self, verification: Verification | None) -> Committer:
        request = self._request
        return Committer(
            fleet=request.fleet,
            transaction=HostTransaction(request.fleet, TEMPLATES, request.run, request.timeout_s, self._listings),
            sessions=self._sessions,
            new_sessions=self._verifying,
            fan_out=self._fan_out,
            save_previous=request.goal.save_previous,
            within_s=request.fleet.settings.confirm_within_s,
            verification=verification,
        )

    def _applied(self, outcomes: tuple[Outcome, ...], verification: Verification | None) -> Applied:
        """The outcomes with the reachability afterwards, for a goal that joins the mesh."""
        if verification is None:
            return Applied(outcomes, None)
        result = verification.report([host.name for host in self._request.hosts], self._lost)
        return Applied(outcomes, result, frozenset(verification.broken_before))


def _unchanged_outcome(plan: HostPlan) -> Outcome:
    if plan.error is not None:
        return Outcome(plan.host, "unreachable" if plan.unreachable else "refused", plan.code, plan.error)
    if plan.conflicts:
        return Outcome(plan.host, "refused", OutcomeCode.CONFLICT, "; ".join(map(str, plan.conflicts)))
    return Outcome(plan.host, "unchanged")


def _not_started(plan: HostPlan, failed: int) -> Outcome:
    message = (
        f"{plan.host}: not changed, because {failed} {'host' if failed == 1 else 'hosts'} failed before it. "
        "Fix: correct the failures and apply again, or raise --max-fail"
    )
    return Outcome(plan.host, "refused", OutcomeCode.NOT_BEGUN, message)
