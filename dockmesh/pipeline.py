"""The way of the data: inventory -> facts -> desired -> plan -> apply -> verify."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from dockmesh.assets import template
from dockmesh.core import daemon
from dockmesh.core.conflicts import conflicts
from dockmesh.core.desired import desired, undone
from dockmesh.core.facts import HostFacts
from dockmesh.core.model import Fleet, Host, HostState
from dockmesh.core.plan import HostPlan, Outcome, Plan, difference, plan_host
from dockmesh.core.reach import Report
from dockmesh.core.script import Scripts
from dockmesh.errors import HostError, UnreachableError
from dockmesh.remote.apply import change
from dockmesh.remote.fanout import fan_out
from dockmesh.remote.gather import gather
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import Transport
from dockmesh.remote.verify import Prober, verify

_SCRIPTS = Scripts(template("sections.sh"), template("facts.sh"), template("transaction.sh"))


class Observer(Protocol):
    """Hears how a run goes on."""

    def phase(self, name: str, hosts: int) -> None:
        """A phase begins, in which `done` will be called `hosts` times."""

    def done(self, host: str, error: str | None) -> None:
        """A host is through the phase."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is about. `run` names it to others who find a host locked; `offset` sets its probes apart."""

    fleet: Fleet
    hosts: tuple[Host, ...]
    run: str
    offset: int = 0
    forks: int = 64
    timeout_s: float = 30


@dataclass
class Pipeline:
    """One run over the fleet. A context manager: leaving it ends every session, also those still busy."""

    request: Request
    transport: Callable[[], Transport]
    observer: Observer
    _sessions: Sessions = field(init=False)
    _executor: ThreadPoolExecutor = field(init=False)

    def __enter__(self) -> Self:
        self._sessions = Sessions(self.transport())
        self._executor = ThreadPoolExecutor(max_workers=self.request.forks, thread_name_prefix="host")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()
        self._executor.shutdown(wait=True)

    def plan(self, *, destroy: bool = False) -> Plan:
        """What there is to change: towards the mesh, or with `destroy` back to the hosts as they were found."""
        self.observer.phase("read", len(self.request.hosts))
        wanted = self._undone if destroy else self._desired
        plans: dict[str, HostPlan] = {}
        for host, result in fan_out(self._executor, self.request.hosts, lambda host: self._plan(host, wanted)):
            plan = result if isinstance(result, HostPlan) else _unread(host, result)
            plans[host.name] = plan
            self.observer.done(host.name, plan.error)
        return Plan(tuple(plans[host.name] for host in self.request.hosts))

    def apply(self, plan: Plan, *, destroy: bool = False) -> tuple[Outcome, ...]:
        """Carry `plan` out where it may be; the outcomes of all its hosts, in its order."""
        plans = {host.host: host for host in plan.hosts}
        able = [host for host in self.request.hosts if plans[host.name].applyable]
        self.observer.phase("change", len(able))
        outcomes: dict[str, Outcome] = {}
        wanted = self._undone if destroy else self._desired
        for host, result in fan_out(self._executor, able, lambda host: self._change(host, plans[host.name], wanted)):
            outcome = result if isinstance(result, Outcome) else _failed(host, result)
            outcomes[host.name] = outcome
            self.observer.done(host.name, outcome.error)
        return tuple(outcomes.get(host.host) or _untouched(host) for host in plan.hosts)

    def status(self) -> Report:
        """Who reaches whom, asked over new connections."""
        with Sessions(self.transport()) as sessions:
            prober = Prober(
                self._executor,
                sessions,
                _SCRIPTS.sections,
                template("probe.sh"),
                self.request.offset,
                self.request.timeout_s,
            )
            self.observer.phase("probe", len(self.request.fleet.hosts) + len(self.request.hosts))
            return verify(prober, self.request.fleet, self.request.hosts, self.observer.done)

    def _plan(self, host: Host, wanted: Callable[[Host, HostFacts], HostState]) -> HostPlan:
        fleet, timeout_s = self.request.fleet, self.request.timeout_s
        facts = gather(self._sessions.of(host), fleet, host, _SCRIPTS, timeout_s=timeout_s)
        against = () if wanted == self._undone else tuple(conflicts(fleet, host, facts))
        try:
            return plan_host(facts, wanted(host, facts), against)
        except daemon.DaemonJsonError:
            return HostPlan(host.name, conflicts=against, basis=facts.basis)

    def _change(self, host: Host, plan: HostPlan, wanted: Callable[[Host, HostFacts], HostState]) -> Outcome:
        answer, facts = change(
            self._sessions.of(host),
            self.request.fleet,
            host,
            plan,
            _SCRIPTS,
            run=self.request.run,
            timeout_s=self.request.timeout_s,
        )
        if answer.status != "changed":
            return Outcome(host.name, answer.status, answer.error)
        left = difference(facts.actual, wanted(host, facts))
        if left:
            return Outcome(host.name, "failed", f"read back, the host still differs in {left[0].resource}")
        return Outcome(host.name, "confirmed")

    def _desired(self, host: Host, facts: HostFacts) -> HostState:
        return desired(self.request.fleet, host, facts, template("daemon.json.j2"))

    def _undone(self, _host: Host, facts: HostFacts) -> HostState:
        return undone(facts)


def _unread(host: Host, error: HostError) -> HostPlan:
    return HostPlan(host.name, error=str(error), unreachable=isinstance(error, UnreachableError))


def _failed(host: Host, error: HostError) -> Outcome:
    return Outcome(host.name, "unreachable" if isinstance(error, UnreachableError) else "failed", str(error))


def _untouched(plan: HostPlan) -> Outcome:
    if plan.error is not None:
        return Outcome(plan.host, "unreachable" if plan.unreachable else "refused", plan.error)
    if plan.conflicts:
        return Outcome(plan.host, "refused", "; ".join(f"{c.key} {c.message}" for c in plan.conflicts))
    return Outcome(plan.host, "unchanged")
