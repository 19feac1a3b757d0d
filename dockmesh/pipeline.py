"""The way of the data: inventory -> facts -> desired -> plan -> apply -> verify."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self, TypeVar

from dockmesh.assets import template
from dockmesh.core import daemon
from dockmesh.core.conflicts import conflicts, pending
from dockmesh.core.desired import desired, previous, undone
from dockmesh.core.facts import HostFacts
from dockmesh.core.model import Fleet, Host, HostState, key_of
from dockmesh.core.plan import HostPlan, Outcome, Plan, plan_host, unmade
from dockmesh.core.reach import Report
from dockmesh.core.rollout import Rollout, batches, concerned
from dockmesh.core.texts import Texts
from dockmesh.errors import HostError, UnreachableError
from dockmesh.remote.apply import Changer
from dockmesh.remote.fanout import fan_out
from dockmesh.remote.gather import gather
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import Transport
from dockmesh.remote.verify import Prober, verify

TEXTS = Texts(
    sections=template("sections.sh"),
    facts=template("facts.sh"),
    verbs=template("verbs.sh"),
    transaction=template("transaction.sh"),
    probe=template("probe.sh"),
    daemon_json=template("daemon.json.j2"),
    service=template("dockmesh.service.j2"),
    timer=template("dockmesh.timer.j2"),
)


T = TypeVar("T")


class Observer(Protocol):
    """Hears how a run goes on."""

    def phase(self, name: str, hosts: int) -> None:
        """A phase begins, in which `done` will be called `hosts` times."""

    def done(self, host: str, error: str | None) -> None:
        """A host is through the phase."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a run wants the hosts. `meshed`: into the mesh, so conflicts with it count, and its probes decide.

    `remember`: the state before becomes what rollback comes back to.
    """

    wanted: Callable[[Fleet, Host, HostFacts], HostState]
    meshed: bool
    remember: bool


JOIN = Goal(lambda fleet, host, facts: desired(fleet, host, facts, TEXTS), meshed=True, remember=True)
DESTROY = Goal(lambda _fleet, _host, facts: undone(facts), meshed=False, remember=True)
ROLLBACK = Goal(lambda _fleet, _host, facts: previous(facts), meshed=False, remember=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is about. `run` names it to others who find a host locked; `offset` sets its probes apart."""

    fleet: Fleet
    hosts: tuple[Host, ...]
    run: str
    goal: Goal = JOIN
    rollout: Rollout = field(default_factory=Rollout)
    offset: int = 0
    forks: int = 64
    timeout_s: float = 30


@dataclass
class Pipeline:
    """One run over the fleet. A context manager: leaving it ends every session, also those still busy."""

    request: Request
    transport: Callable[[], Transport]
    observer: Observer

    def __enter__(self) -> Self:
        self._sessions = Sessions(self.transport())
        self._verifying = Sessions(self.transport())
        self._executor = ThreadPoolExecutor(max_workers=self.request.forks, thread_name_prefix="host")
        self._facts: dict[str, HostFacts] = {}
        self._changer = Changer(self.request.fleet, TEXTS, self.request.run, self.request.timeout_s)
        self._prober = Prober(self._executor, self._verifying, TEXTS, self.request.offset, self.request.timeout_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()
        self._verifying.close()
        self._executor.shutdown(wait=True)

    def plan(self) -> Plan:
        """What there is to change."""
        results = self._each("read", self.request.hosts, self._plan)
        return Plan(
            tuple(
                _unread(host, result) if isinstance(result := results[host.name], HostError) else result
                for host in self.request.hosts
            )
        )

    def apply(self, plan: Plan) -> tuple[Outcome, ...]:
        """Carry `plan` out where it may be, batch by batch; the outcomes of all its hosts, in its order."""
        outcomes = {each.host: _untouched(each) for each in plan.hosts if not each.applyable}
        failed = 0
        for batch in batches(plan.applyable, self.request.rollout):
            if failed > self.request.rollout.max_fail:
                outcomes |= {each.host: _not_begun(each, failed) for each in batch}
                continue
            trusted = {name for name, outcome in outcomes.items() if outcome.ok}
            results = self._batch(batch, trusted)
            failed += sum(not outcome.ok for outcome in results.values())
            outcomes |= results
        return tuple(outcomes[each.host] for each in plan.hosts)

    def status(self) -> Report:
        """Who reaches whom, asked over connections made after the change."""
        fleet, hosts = self.request.fleet, self.request.hosts
        self.observer.phase("probe", len(fleet.hosts) + len(hosts))
        return verify(self._prober, fleet, hosts, self.observer.done)

    def _batch(self, batch: tuple[HostPlan, ...], trusted: set[str]) -> dict[str, Outcome]:
        """Change, probe, and confirm or take back; `trusted` are the hosts that are as they should be already."""
        plans = {each.host: each for each in batch}
        hosts = [host for host in self.request.hosts if host.name in plans]
        outcomes = self._each("change", hosts, lambda host: self._change(host, plans[host.name]))
        changed = [host for host in hosts if outcomes[host.name] == Outcome(host.name, "confirmed")]
        blamed = self._blamed(changed, trusted)
        ends = self._each("confirm", changed, lambda host: self._end(host, plans[host.name], blamed.get(host.name)))
        results = outcomes | ends
        return {
            host.name: _failed(host, result) if isinstance(result := results[host.name], HostError) else result
            for host in hosts
        }

    def _blamed(self, changed: list[Host], trusted: set[str]) -> dict[str, str]:
        """The changed hosts that must be taken back, with what speaks against each."""
        if not changed or not self.request.goal.meshed or not self.request.rollout.confirm:
            return {}
        names = {host.name for host in changed}
        among = tuple(host for host in self.request.hosts if host.name in names | trusted)
        self.observer.phase("probe", 2 * len(among))
        report = verify(self._prober, Fleet(self.request.fleet.settings, among), among, self.observer.done, about=names)
        return {name: _against(name, report) for name in concerned(report, names)}

    def _plan(self, host: Host) -> HostPlan:
        fleet, goal = self.request.fleet, self.request.goal
        facts = gather(self._sessions.of(host), fleet, host, TEXTS, timeout_s=self.request.timeout_s)
        self._facts[host.name] = facts
        against = (*pending(facts), *(conflicts(fleet, host, facts) if goal.meshed else ()))
        try:
            return plan_host(facts, goal.wanted(fleet, host, facts), against)
        except daemon.DaemonJsonError:
            return HostPlan(host.name, conflicts=against, basis=facts.basis)

    def _change(self, host: Host, plan: HostPlan) -> Outcome:
        answer, facts = self._changer.change(self._sessions.of(host), host, plan, self._facts[host.name])
        if answer.status != "changed":
            return Outcome(host.name, answer.status, answer.error)
        if left := unmade(plan.changes, facts.actual):
            self._changer.take_back(self._sessions.of(host), plan)
            differs = " ".join(key_of(left[0].resource))
            return Outcome(host.name, "reverted", f"read back, the host was not as planned in: {differs}")
        return Outcome(host.name, "confirmed")

    def _end(self, host: Host, plan: HostPlan, against: str | None) -> Outcome:
        """Confirm the change over a connection made after it, or take it back for what speaks against it."""
        session = self._verifying.of(host)
        if against is not None:
            answer = self._changer.take_back(session, plan)
            return Outcome(host.name, "reverted", against if answer.status == "reverted" else answer.error)
        answer = self._changer.confirm(session, remember=self.request.goal.remember)
        return Outcome(host.name, "confirmed" if answer.status == "confirmed" else "reverted", answer.error)

    def _each(self, phase: str, hosts: Collection[Host], job: Callable[[Host], T]) -> dict[str, T | HostError]:
        """`job` on all hosts at once, watched; the results by name."""
        self.observer.phase(phase, len(hosts))
        results: dict[str, T | HostError] = {}
        for host, result in fan_out(self._executor, hosts, job):
            results[host.name] = result
            self.observer.done(host.name, str(result) if isinstance(result, HostError) else _error_of(result))
        return results


def _error_of(result: object) -> str | None:
    return result.error if isinstance(result, HostPlan | Outcome) else None


def _unread(host: Host, error: HostError) -> HostPlan:
    return HostPlan(host.name, error=str(error), unreachable=isinstance(error, UnreachableError))


def _failed(host: Host, error: HostError) -> Outcome:
    """A host lost on the way: its change, if any was made, is not confirmed, so it does not stay."""
    status: Literal["unreachable", "failed"] = "unreachable" if isinstance(error, UnreachableError) else "failed"
    return Outcome(host.name, status, f"{error}; what was changed there, the host takes back by itself")


def _untouched(plan: HostPlan) -> Outcome:
    if plan.error is not None:
        return Outcome(plan.host, "unreachable" if plan.unreachable else "refused", plan.error)
    if plan.conflicts:
        return Outcome(plan.host, "refused", "; ".join(f"{each.key} {each.message}" for each in plan.conflicts))
    return Outcome(plan.host, "unchanged")


def _not_begun(plan: HostPlan, failed: int) -> Outcome:
    return Outcome(plan.host, "refused", f"not begun, since {failed} failed before it: see --max-fail")


def _against(name: str, report: Report) -> str:
    """What speaks against a host's change: its own error, or the first probe that failed with it."""
    if name in report.errors:
        return report.errors[name]
    failed = [answer for answer in report.failed if name in {answer.probe.source, answer.probe.target}]
    first = failed[0].probe
    return (
        f"{len(failed)} probes failed after the change, first {first.source} -> {first.target} {first.kind}: "
        f"{failed[0].reason}"
    )
