"""Commit-confirm: hosts change, probes verify the mesh, and each host's change is confirmed or reverted.

A host that receives neither reverts by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from dockmesh.core.events import ChangeFinished, ChangeStarted, Event
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.plan import HostPlan, Outcome, OutcomeCode, OutcomeStatus
from dockmesh.core.planning.transaction import TransactionOutcome
from dockmesh.core.rollout.batches import Batch
from dockmesh.core.rollout.decision import follower_failure
from dockmesh.core.state.diff import Change, not_applied
from dockmesh.core.state.resources import key_of
from dockmesh.core.text import listed
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.fanout import ObservedFanOut
from dockmesh.remote.hosts import HostTransaction, Runner
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import Session
from dockmesh.remote.verify import ChangedHost, Verification


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


# The result of the change of one host.
_Result = ChangedHost | Outcome | HostError


@dataclass(frozen=True, slots=True)
class Committer:
    """Changes hosts over `sessions`, and confirms each over a session of `new_sessions`, opened after the change.

    `verification`: decides by probes which hosts are confirmed; without it, all are. `save_previous`: rollback restores
    the state before this change. `within_s`: the time after which a host reverts an unconfirmed change.
    """

    fleet: Fleet
    transaction: HostTransaction
    sessions: Sessions
    new_sessions: Sessions
    fan_out: ObservedFanOut
    save_previous: bool
    within_s: int
    verification: Verification | None = None

    def commit(self, batch: Batch, facts: Mapping[str, HostFacts]) -> Iterator[dict[str, Outcome]]:
        """Change the hosts of the batch, and confirm or revert each. Yields the outcomes of hosts that end together."""
        if self.verification:
            self.verification.prepare(batch)
        plans = batch.plans

        def change(host: Host) -> ChangedHost | Outcome:
            return self._change(host, plans[host.name], facts.get(host.name))

        *earlier, last = (self._hosts(plan.host for plan in stage) for stage in batch.stages)
        waiting: dict[str, _Result] = {}
        for stage in earlier:
            waiting |= self.fan_out.each("change", stage, change)
            if any(name in batch.moved and not _is_changed(result) for name, result in waiting.items()):
                yield self._stop(waiting, batch)
                return
        # A changed host must be confirmed in time, even if others are slow.
        within_s = self.verification.collect_s(batch) if self.verification else None
        for results in self.fan_out.waves("change", last, change, within_s=within_s):
            yield self._finish(waiting | results, batch)
            waiting = {}

    def _hosts(self, names: Iterable[str]) -> list[Host]:
        return sorted(map(self.fleet.host, names), key=lambda host: self.fleet.positions[host.name])

    def _change(self, host: Host, plan: HostPlan, before: HostFacts | None) -> ChangedHost | Outcome:
        """Change the host, and prepare its probes over a new session at once."""
        session = self.sessions.open(host)
        self.fan_out.emit(ChangeStarted(host.name))
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
            return self._revert(host, plan, HostFailure(OutcomeCode.READ_BACK, message))
        if self.verification is None:
            return self._confirm(host, self.new_sessions.open(host))
        try:
            return ChangedHost(self.verification.hold(host))
        except HostError as error:
            return ChangedHost(failure=error.failure)

    def _finish(self, results: Mapping[str, _Result], batch: Batch) -> dict[str, Outcome]:
        """Probe the changed hosts of a wave, and confirm or revert each."""
        changed, ended = _split(results)
        finished: Mapping[str, Outcome | HostError] = {}
        if changed and self.verification:
            # A login on a lost host could take longer than the changed hosts wait.
            unchanged = [name for name, result in ended.items() if isinstance(result, Outcome)]
            failures = self.verification.failures(changed, unchanged, batch)
            finished = self._confirm_or_revert(changed, failures, batch)
        return {name: self._outcome(name, result) for name, result in {**ended, **finished}.items()}

    def _stop(self, results: Mapping[str, _Result], batch: Batch) -> dict[str, Outcome]:
        """Revert the moved hosts, because one of them did not move, and leave the hosts that follow them unchanged."""
        changed, ended = _split(results)
        failed = listed(sorted(name for name in ended if name in batch.moved))
        failure = HostFailure(OutcomeCode.MOVE_REVERTED, f"{failed} did not move, and other hosts follow both")
        reverted = self._confirm_or_revert(changed, dict.fromkeys(changed, failure), batch)
        outcomes = {name: self._outcome(name, result) for name, result in {**ended, **reverted}.items()}
        message = f"not changed, because {failed} did not move"
        rest = (name for name in batch.plans if name not in outcomes)
        return outcomes | {name: Outcome(name, "refused", OutcomeCode.NOT_BEGUN, f"{name}: {message}") for name in rest}

    def _confirm_or_revert(
        self, changed: Mapping[str, ChangedHost], failures: Mapping[str, HostFailure], batch: Batch
    ) -> dict[str, Outcome | HostError]:
        """Confirm or revert each host. The hosts that follow others come last, and only if these were confirmed."""
        first = [name for name in changed if name in batch.moved or name not in batch.follows]
        finished = self._finish_each(first, changed, failures, batch)
        followers = [name for name in changed if name not in finished]
        lost = {name for name in batch.moved if not _is_changed(finished.get(name))}
        failure = follower_failure(sorted(lost))
        more = {name: failure for name in followers if name not in failures and batch.follows[name] & lost}
        return finished | self._finish_each(followers, changed, {**failures, **more}, batch)

    def _finish_each(
        self,
        names: Iterable[str],
        changed: Mapping[str, ChangedHost],
        failures: Mapping[str, HostFailure],
        batch: Batch,
    ) -> dict[str, Outcome | HostError]:
        plans = batch.plans

        def finish(host: Host) -> Outcome:
            target = changed[host.name].target
            if target is None or host.name in failures:
                return self._revert(host, plans[host.name], failures[host.name])
            return self._confirm(host, target)

        # A revert can take minutes, and confirmations must not wait for it.
        hosts = sorted(self._hosts(names), key=lambda host: host.name in failures)
        fan_out = self.verification.fan_out if self.verification else self.fan_out
        return fan_out.each("confirm", hosts, finish) if hosts else {}

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

    def _confirm(self, host: Host, runner: Runner) -> Outcome:
        """Confirm over a session that was opened after the change."""
        confirmed = self.transaction.confirm(runner, save_previous=self.save_previous)
        status = "failed" if confirmed.status == "changed" else confirmed.status
        return self._report_end(_ended(host, status, confirmed))

    def _revert(self, host: Host, plan: HostPlan, failure: HostFailure) -> Outcome:
        """Revert over the session of the change, because new sessions may be impossible."""
        reverted = self.transaction.revert(self.sessions.open(host), plan)
        return self._report_end(_reverted(host, reverted, failure))

    def _report_end(self, outcome: Outcome) -> Outcome:
        self.fan_out.emit(ChangeFinished(outcome.host, outcome.status))
        return outcome

    def _outcome(self, name: str, result: Outcome | HostError) -> Outcome:
        """The outcome of a host. A lost host received no confirmation, so it reverts its change."""
        if isinstance(result, HostError):
            next_step = (
                f"{name} reverts an unconfirmed change by itself within {self.within_s} s. "
                f"Then repeat the command with --limit {name}"
            )
            lost = isinstance(result, UnreachableError)
            return Outcome(name, "unreachable" if lost else "failed", result.code, f"{result}. {next_step}")
        return result


def _is_changed(result: _Result | None) -> bool:
    return isinstance(result, ChangedHost) or (isinstance(result, Outcome) and result.ok)


def _split(results: Mapping[str, _Result]) -> tuple[dict[str, ChangedHost], dict[str, Outcome | HostError]]:
    """The hosts that wait for their confirmation, and those that have ended."""
    changed = {name: result for name, result in results.items() if isinstance(result, ChangedHost)}
    ended = {name: result for name, result in results.items() if not isinstance(result, ChangedHost)}
    return changed, ended


def _resource_name(change: Change) -> str:
    return " ".join(key_of(change.resource))


def _ended(host: Host, status: OutcomeStatus, transaction: TransactionOutcome) -> Outcome:
    return Outcome(host.name, status, transaction.code, transaction.error, transaction.warnings)


def _reverted(host: Host, transaction: TransactionOutcome, reason: HostFailure) -> Outcome:
    if transaction.status == "reverted":
        return Outcome(host.name, "reverted", reason.code, reason.message, transaction.warnings)
    message = f"{reason}. The revert failed as well: {transaction.error}"
    return Outcome(host.name, "failed", OutcomeCode.REVERT_FAILED, message, transaction.warnings)
