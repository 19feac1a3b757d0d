"""Commit-confirm: hosts change, probes verify the mesh, and each host's change is confirmed or reverted.

A host that receives neither reverts by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from dockmesh.core.events import ChangeFinished, ChangeStarted, Event
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.plan import HostPlan, Outcome, OutcomeCode, OutcomeStatus
from dockmesh.core.planning.transaction import TransactionOutcome
from dockmesh.core.results.model import MeshResult
from dockmesh.core.rollout import hosts_to_revert
from dockmesh.core.state.diff import Change, not_applied
from dockmesh.core.state.resources import key_of
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.hosts import HostTransaction
from dockmesh.remote.probe import Prober, probe_mesh
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import Session


class ChangesInProgress:
    """An event sink with the names of the hosts that received a change and have not reported its end.

    Hosts that were lost remain in it. Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._hosts: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        match event:
            case ChangeStarted(host):
                with self._lock:
                    self._hosts.add(host)
            case ChangeFinished(host):
                with self._lock:
                    self._hosts.discard(host)
            case _:
                pass

    @property
    def hosts(self) -> frozenset[str]:
        """The names of the hosts."""
        with self._lock:
            return frozenset(self._hosts)


@dataclass(frozen=True, slots=True)
class CommitResult:
    """The outcomes by host name.

    `fleet_report`: the probes that decided, where all hosts of the fleet changed at once and were probed together.
    """

    outcomes: Mapping[str, Outcome]
    fleet_report: MeshResult | None = None


@dataclass(frozen=True, slots=True)
class Committer:
    """Changes hosts over `sessions`. The prober has separate sessions, opened after the change.

    `probed`: probes of the mesh decide which hosts confirm their change. `save_previous`: rollback restores the state
    before this change.
    """

    fleet: Fleet
    transaction: HostTransaction
    sessions: Sessions
    prober: Prober
    probed: bool
    save_previous: bool

    def commit(
        self, plans: Mapping[str, HostPlan], facts: Mapping[str, HostFacts], trusted: Collection[str]
    ) -> CommitResult:
        """Change the hosts of `plans` in parallel, and confirm or revert each.

        `trusted`: hosts in their final state, which the changed hosts probe as well.
        """
        hosts = [host for host in self.fleet.hosts if host.name in plans]
        within_s = self.fleet.settings.confirm_within_s
        fan_out = self.prober.fan_out

        def change(host: Host) -> Outcome | None:
            return self._change(host, plans[host.name], facts.get(host.name))

        if not self.probed:
            results = fan_out.each("change", hosts, lambda host: change(host) or self._finish(host, plans[host.name]))
            return CommitResult({host.name: _outcome(host, results[host.name], within_s) for host in hosts})
        outcomes: dict[str, Outcome] = {}
        report = None
        # A changed host must be confirmed in time, even if other hosts are slow.
        for wave in fan_out.waves("change", hosts, change, within_s=within_s / 2):
            joined = {*trusted, *(name for name, outcome in outcomes.items() if outcome.ok)}
            result = self._probe_and_confirm(wave, plans, joined)
            outcomes |= result.outcomes
            report = result.fleet_report
        return CommitResult(outcomes, report)

    def _probe_and_confirm(
        self, wave: Mapping[str, Outcome | HostError | None], plans: Mapping[str, HostPlan], joined: Collection[str]
    ) -> CommitResult:
        """Probe the changed hosts of a wave, and confirm or revert each."""
        hosts = [host for host in self.fleet.hosts if host.name in wave]
        within_s = self.fleet.settings.confirm_within_s
        changed = [host for host in hosts if wave[host.name] is None]
        report = self._probe(changed, joined) if changed else None
        failures = _failures(report, changed) if report else {}
        results = self.prober.fan_out.each(
            "confirm", changed, lambda host: self._finish(host, plans[host.name], failures.get(host.name))
        )
        outcomes = {host.name: _outcome(host, results.get(host.name, wave[host.name]), within_s) for host in hosts}
        return CommitResult(outcomes, report if len(changed) == len(self.fleet.hosts) else None)

    def _change(self, host: Host, plan: HostPlan, before: HostFacts | None) -> Outcome | None:
        """Change the host. None if it changed and waits for its confirmation."""
        session = self.sessions.open(host)
        self.prober.fan_out.emit(ChangeStarted(host.name))
        if plan.ends_pending:
            return self._report_end(self._end_pending(session, plan))
        assert before  # noqa: S101 (a host with changes was read)
        transaction, after = self.transaction.change(session, host, plan, before)
        if transaction.status != "changed":
            return self._report_end(_ended(host, transaction.status, transaction))
        if missing := not_applied(plan.changes, after.actual):
            message = (
                f"{host.name}: the change of {_resource_name(missing[0])} had no effect. "
                f"Fix: see which program manages it on the host, then plan again with --limit {host.name}"
            )
            return self._finish(host, plan, HostFailure(OutcomeCode.READ_BACK, message))
        return None

    def _end_pending(self, session: Session, plan: HostPlan) -> Outcome:
        """Revert the pending change of another run, or keep it."""
        assert plan.pending  # noqa: S101 (the plan ends it)
        transaction = replace(self.transaction, run=plan.pending.run)
        if plan.ends_pending == "keep":
            ended, wanted = transaction.confirm(session, save_previous=True), "confirmed"
        else:
            ended, wanted = transaction.revert(session, plan), "reverted"
        if ended.status == "reverted" and (wanted != "reverted" or ended.code is None):
            message = "the change is no longer pending. Fix: repeat the command"
            return Outcome(plan.host, "refused", OutcomeCode.STALE_PLAN, message)
        if ended.status == wanted:
            return Outcome(plan.host, "confirmed", warnings=ended.warnings)
        return Outcome(plan.host, "failed", ended.code, ended.error, ended.warnings)

    def _probe(self, changed: Sequence[Host], joined: Collection[str]) -> MeshResult:
        """Probe all pairs of a changed host with another changed host or a host that joined before.

        Other hosts are not probed, because a host that was down before is no reason to revert a change.
        """
        names = {host.name for host in changed}
        members = tuple(host for host in self.fleet.hosts if host.name in names or host.name in joined)
        part = Fleet(self.fleet.settings, members)
        result = probe_mesh(self.prober, part, members, about=names, observe=True)
        # The changes of this run wait for the decision that this result is for.
        return replace(result, hosts=tuple(replace(each, pending=None) for each in result.hosts))

    def _finish(self, host: Host, plan: HostPlan, failure: HostFailure | None = None) -> Outcome:
        """Confirm over a new session. Revert over the session of the change, because new sessions may be impossible."""
        if failure is not None:
            reverted = self.transaction.revert(self.sessions.open(host), plan)
            return self._report_end(_reverted(host, reverted, failure))
        confirmed = self.transaction.confirm(self.prober.sessions.open(host), save_previous=self.save_previous)
        status = "failed" if confirmed.status == "changed" else confirmed.status
        return self._report_end(_ended(host, status, confirmed))

    def _report_end(self, outcome: Outcome) -> Outcome:
        self.prober.fan_out.emit(ChangeFinished(outcome.host, outcome.status))
        return outcome


def _failures(report: MeshResult, changed: Sequence[Host]) -> dict[str, HostFailure]:
    """The changed hosts that must revert, with the reasons."""
    return {name: _probe_failure(name, report) for name in hosts_to_revert(report, [host.name for host in changed])}


def _outcome(host: Host, result: Outcome | HostError | None, within_s: int) -> Outcome:
    """The outcome of a host. A lost host received no confirmation, so it reverts its change."""
    if isinstance(result, HostError):
        next_step = (
            f"{host.name} reverts an unconfirmed change by itself within {within_s} s. Then repeat the command with "
            f"--limit {host.name}"
        )
        lost = isinstance(result, UnreachableError)
        return Outcome(host.name, "unreachable" if lost else "failed", result.code, f"{result}. {next_step}")
    assert result is not None  # noqa: S101 (a changed host was confirmed or reverted)
    return result


def _resource_name(change: Change) -> str:
    return " ".join(key_of(change.resource))


def _ended(host: Host, status: OutcomeStatus, transaction: TransactionOutcome) -> Outcome:
    return Outcome(host.name, status, transaction.code, transaction.error, transaction.warnings)


def _reverted(host: Host, transaction: TransactionOutcome, reason: HostFailure) -> Outcome:
    if transaction.status == "reverted":
        return Outcome(host.name, "reverted", reason.code, reason.message, transaction.warnings)
    message = f"{reason}. The revert failed as well: {transaction.error}"
    return Outcome(host.name, "failed", OutcomeCode.REVERT_FAILED, message, transaction.warnings)


def _probe_failure(name: str, report: MeshResult) -> HostFailure:
    if name in report.errors:
        return report.errors[name]
    failed = [result for result in report.lost if name in {result.source, result.target}]
    first = failed[0]
    return HostFailure(
        OutcomeCode.PROBES_FAILED,
        f"{len(failed)} {'probe' if len(failed) == 1 else 'probes'} failed after the change. The first is "
        f"{first.source} -> {first.target} ({first.kind}): {first.reason}",
    )
