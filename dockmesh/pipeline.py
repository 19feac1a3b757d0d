"""The way of the data: inventory -> facts -> desired -> plan -> apply -> verify."""

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from dockmesh.assets import template
from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.desired.uplinks import SmallestUplink, smallest_uplink
from dockmesh.core.explain.evidence import Evidence
from dockmesh.core.explain.model import ExplainQuery
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.impact import MAX_HOSTS, Impact, Misprediction, mispredictions, predict_impact
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.conflicts.docker import invalid_daemon_json
from dockmesh.core.planning.conflicts.network import conflicts, notes, pending_change
from dockmesh.core.planning.plan import HostPlan, Outcome, OutcomeCode, Plan, plan_host
from dockmesh.core.probes.model import ProbeReport
from dockmesh.core.probes.pairs import Pair
from dockmesh.core.rollout import Rollout, batches
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import HostState
from dockmesh.core.templates import Templates
from dockmesh.core.trace.model import CaptureSet
from dockmesh.core.trace.model import TraceQuery as Traced
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.commit import Committer
from dockmesh.remote.fanout import ObservedFanOut, Observer
from dockmesh.remote.hosts import HostTransaction, read_host
from dockmesh.remote.pair_explain import explain_pair
from dockmesh.remote.pair_trace import trace_pair
from dockmesh.remote.probe import Prober, probe_mesh
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import Transport

TEMPLATES = Templates(
    output=template("output.sh"),
    kernel_settings=template("kernel_settings.sh"),
    facts=template("facts.sh"),
    network_steps=template("network_steps.sh"),
    host_steps=template("host_steps.sh"),
    transaction=template("transaction.sh"),
    probe=template("probe.sh"),
    observe=template("observe.sh"),
    trace=template("trace.sh"),
    explain=template("explain.sh"),
    daemon_json=template("daemon.json.j2"),
    service=template("dockmesh.service.j2"),
    timer=template("dockmesh.timer.j2"),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a run wants the hosts. `meshed`: into the mesh, so conflicts with it count, and its probes decide.

    `remember`: the state before becomes what rollback comes back to.
    """

    desired: Callable[[Fleet, Host, HostFacts, SmallestUplink], HostState]
    joins_mesh: bool
    save_previous: bool


JOIN = Goal(
    lambda fleet, host, facts, narrow: desired(fleet, host, facts, narrow, TEMPLATES),
    joins_mesh=True,
    save_previous=True,
)
DESTROY = Goal(lambda _fleet, _host, facts, _narrow: original_state(facts), joins_mesh=False, save_previous=True)
ROLLBACK = Goal(lambda _fleet, _host, facts, _narrow: rollback_state(facts), joins_mesh=False, save_previous=False)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is about. `run` names it to others who find a host locked; `offset` sets its probes apart."""

    fleet: Fleet
    hosts: tuple[Host, ...]
    run: str
    goal: Goal = JOIN
    rollout: Rollout = field(default_factory=Rollout)
    offset: int = 0
    forks: int = 64
    timeout_s: float = 30


class Pipeline:
    """One run over the fleet. A context manager: leaving it ends every session, also those still busy."""

    def __init__(self, request: RunRequest, transport: Callable[[], Transport], observer: Observer) -> None:
        self._request = request
        self._executor = ThreadPoolExecutor(max_workers=request.forks, thread_name_prefix="host")
        self._sessions, self._verifying = Sessions(transport()), Sessions(transport())
        self._watched = ObservedFanOut(self._executor, observer)
        self._prober = Prober(
            self._executor, request.forks, self._verifying, TEMPLATES, request.offset, request.timeout_s
        )
        self._facts: dict[str, HostFacts] = {}
        self._underway: set[str] = set()
        self._lost: dict[str, HostFailure] = {}
        self._judged: list[ProbeReport] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sessions.close()
        self._verifying.close()
        # Interrupted, nobody waits for a host that is slow to let us in.
        self._executor.shutdown(wait=kind is None, cancel_futures=True)

    @property
    def fleet(self) -> Fleet:
        """All hosts of the inventory, those that --limit leaves out as well."""
        return self._request.fleet

    def facts(self) -> dict[str, HostFacts | HostError]:
        """What each host is, by name; it is read, and nothing else."""
        return self._watched.each("read", self._request.hosts, self._gather)

    def plan(self) -> Plan:
        """What there is to change. A host's plan is made when all are read: what the mesh takes decides for each."""
        read = self.facts()
        self._facts = {name: facts for name, facts in read.items() if isinstance(facts, HostFacts)}
        narrow = smallest_uplink(self._request.fleet, self._facts)
        self._lost = {name: error.failure for name, error in read.items() if isinstance(error, UnreachableError)}
        return Plan(tuple(self._planned(host, read[host.name], narrow) for host in self._request.hosts))

    def forecast(self, plan: Plan) -> Impact | None:
        """Who reaches whom now and after `plan`, without asking anybody again.

        None where it changes nothing, or the fleet is too large for that to be quick.
        """
        fleet = self._request.fleet
        if plan.empty or len(fleet.hosts) > MAX_HOSTS:
            return None
        return predict_impact(fleet, self._request.hosts, self._facts, {each.host: each for each in plan.hosts})

    def mispredictions(self, plan: Plan, outcomes: Iterable[Outcome], report: ProbeReport) -> tuple[Misprediction, ...]:
        """Where `report`, made after `plan` was carried out, is not as foreseen for what came of the hosts."""
        plans = {each.host: each for each in plan.hosts}
        if len(self._request.fleet.hosts) > MAX_HOSTS:
            return ()
        return tuple(mispredictions(self._request.fleet, self._facts, plans, outcomes, report))

    def apply(self, plan: Plan) -> tuple[Outcome, ...]:
        """Carry `plan` out where it may be, batch by batch; the outcomes of all its hosts, in its order."""
        request, committer = self._request, self._committer()
        outcomes = {each.host: _untouched(each) for each in plan.hosts if not each.applicable}
        failed = 0
        for batch in batches(plan.applicable, request.rollout):
            if failed > request.rollout.max_fail:
                outcomes |= {each.host: _not_begun(each, failed) for each in batch}
                continue
            trusted = {name for name, outcome in outcomes.items() if outcome.ok}
            results = committer.commit({each.host: each for each in batch}, self._facts, trusted)
            failed += sum(not outcome.ok for outcome in results.values())
            outcomes |= results
        unreachable = (each for each in outcomes.values() if each.status == "unreachable")
        self._lost |= {each.host: HostFailure(each.code or "", each.error or "") for each in unreachable}
        if not all(each.ok for each in outcomes.values()):
            self._judged.clear()
        ends = tuple(outcomes[each.host] for each in plan.hosts)
        for end in ends:
            self._watched.observer.outcome(end.host, end.status, end.error)
        return ends

    @property
    def in_progress(self) -> tuple[str, ...]:
        """The hosts that `apply` has asked to change and not seen to their end, in the fleet's order."""
        return tuple(host.name for host in self._request.hosts if host.name in self._underway)

    def status(self, pairs: Collection[Pair] | None = None) -> ProbeReport:
        """Who reaches whom, asked over sessions made after the change. Hosts lost in this run are not gone back to.

        With `pairs`, only these are asked, and the report knows of no other host. Where all hosts have just changed at
        once, and stayed so, what they were judged by is the answer.
        """
        fleet, hosts, lost = self._request.fleet, self._request.hosts, self._lost
        if pairs is None and self._judged and self._judged[0].ok:
            return self._judged[0]
        if pairs is not None:
            names = {name for pair in pairs for name in pair}
            fleet = replace(fleet, hosts=tuple(host for host in fleet.hosts if host.name in names))
            hosts = tuple(host for host in hosts if host.name in names)
        asked = sum(host.name not in lost for host in (*fleet.hosts, *hosts))
        self._watched.observer.phase("probe", asked)
        return probe_mesh(self._prober, fleet, hosts, self._watched.observer.done, lost=lost, pairs=pairs, observe=True)

    def trace(self, question: Traced) -> CaptureSet:
        """One ping, captured wherever it should come by on its two hosts."""
        self._watched.observer.phase("capture", 2)
        return trace_pair(self._prober, question, self._watched.observer.done)

    def explain(self, question: ExplainQuery) -> Evidence:
        """One probe, and what its two hosts show before and after it."""
        self._watched.observer.phase("look", 2)
        return explain_pair(self._prober, question, self._watched.observer.done)

    def _planned(self, host: Host, read: HostFacts | HostError, narrow: SmallestUplink) -> HostPlan:
        if isinstance(read, HostError):
            return _unplanned(host, read)
        try:
            return self._plan(host, read, narrow)
        except HostError as error:
            return _unplanned(host, error)

    def _plan(self, host: Host, facts: HostFacts, narrow: SmallestUplink) -> HostPlan:
        fleet, goal = self._request.fleet, self._request.goal
        against = (*pending_change(facts), *(conflicts(fleet, host, facts, narrow) if goal.joins_mesh else ()))
        try:
            outside = notes(host, facts, narrow) if goal.joins_mesh else ()
            return plan_host(facts, goal.desired(fleet, host, facts, narrow), narrow, against, outside)
        except daemon_json.DaemonJsonError as error:
            found = dict.fromkeys((*against, invalid_daemon_json(error)))
            return HostPlan(host.name, conflicts=tuple(found), basis=facts.basis)

    def _gather(self, host: Host) -> HostFacts:
        fleet, timeout_s = self._request.fleet, self._request.timeout_s
        return read_host(self._sessions.of(host), fleet, host, TEMPLATES, timeout_s=timeout_s)

    def _committer(self) -> Committer:
        request = self._request
        return Committer(
            fleet=request.fleet,
            changer=HostTransaction(request.fleet, TEMPLATES, request.run, request.timeout_s),
            sessions=self._sessions,
            prober=self._prober,
            watched=self._watched,
            probed=request.goal.joins_mesh and request.rollout.confirm,
            save_previous=request.goal.save_previous,
            underway=self._underway,
            judged=self._judged,
        )


def _unplanned(host: Host, error: HostError) -> HostPlan:
    unreachable = isinstance(error, UnreachableError)
    return HostPlan(host.name, error=str(error), unreachable=unreachable, code=error.code)


def _untouched(plan: HostPlan) -> Outcome:
    if plan.error is not None:
        return Outcome(plan.host, "unreachable" if plan.unreachable else "refused", plan.code, plan.error)
    if plan.conflicts:
        return Outcome(plan.host, "refused", OutcomeCode.CONFLICT, "; ".join(map(str, plan.conflicts)))
    return Outcome(plan.host, "unchanged")


def _not_begun(plan: HostPlan, failed: int) -> Outcome:
    told = f"not begun, since {failed} failed before it: see --max-fail"
    return Outcome(plan.host, "refused", OutcomeCode.NOT_BEGUN, told)
