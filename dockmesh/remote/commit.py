"""Commit-confirm: hosts change, the mesh is probed, and what does not stand is taken back, by us or by the host."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.plan import HostPlan, Outcome, OutcomeCode
from dockmesh.core.planning.transaction import TransactionOutcome
from dockmesh.core.results.model import MeshResult
from dockmesh.core.rollout import hosts_to_revert
from dockmesh.core.state.diff import Change, not_applied
from dockmesh.core.state.resources import key_of
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.fanout import ObservedFanOut
from dockmesh.remote.hosts import HostTransaction
from dockmesh.remote.probe import Prober, probe_mesh
from dockmesh.remote.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Committer:
    """What a run changes hosts with. The prober's sessions are other ones: they are made after the change.

    `probed`: the probes of the mesh decide what stays. `remember`: the state before is what rollback comes back to.
    `underway`: the hosts that were asked to change and have not told of their end; lost ones stay in it. `judged`: the
    probes by which all hosts of the fleet were let stay at once, if they were.
    """

    fleet: Fleet
    changer: HostTransaction
    sessions: Sessions
    prober: Prober
    watched: ObservedFanOut
    probed: bool
    save_previous: bool
    underway: set[str]
    judged: list[MeshResult]

    def commit(
        self, plans: Mapping[str, HostPlan], facts: Mapping[str, HostFacts], trusted: Collection[str]
    ) -> dict[str, Outcome]:
        """Change the hosts of `plans` at once, and see them to their end; `trusted` hosts are as they should be."""
        hosts = [host for host in self.fleet.hosts if host.name in plans]
        within_s = self.fleet.settings.confirm_within_s

        def change(host: Host) -> Outcome | None:
            return self._change(host, plans[host.name], facts[host.name])

        if not self.probed:
            ends = self.watched.each("change", hosts, lambda host: change(host) or self._finish(host, plans[host.name]))
            return {host.name: _outcome(host, ends[host.name], within_s) for host in hosts}
        outcomes: dict[str, Outcome] = {}
        # Who has changed must hear of it in time, whoever else is slow.
        for wave in self.watched.waves("change", hosts, change, within_s=within_s / 2):
            standing = {*trusted, *(name for name, outcome in outcomes.items() if outcome.ok)}
            outcomes |= self._probe_and_confirm(wave, plans, standing)
        return outcomes

    def _probe_and_confirm(
        self, wave: Mapping[str, Outcome | HostError | None], plans: Mapping[str, HostPlan], standing: Collection[str]
    ) -> dict[str, Outcome]:
        """Probe what has changed of a wave, and confirm it or take it back."""
        hosts = [host for host in self.fleet.hosts if host.name in wave]
        within_s = self.fleet.settings.confirm_within_s
        changed = [host for host in hosts if wave[host.name] is None]
        against = self._failures(changed, standing) if changed else {}
        ends = self.watched.each(
            "confirm", changed, lambda host: self._finish(host, plans[host.name], against.get(host.name))
        )
        return {host.name: _outcome(host, ends.get(host.name, wave[host.name]), within_s) for host in hosts}

    def _change(self, host: Host, plan: HostPlan, before: HostFacts) -> Outcome | None:
        """None where the host has changed, and waits."""
        session = self.sessions.of(host)
        self.underway.add(host.name)
        answer, after = self.changer.change(session, host, plan, before)
        if answer.status != "changed":
            self.underway.discard(host.name)
            return Outcome(host.name, answer.status, answer.code, answer.error)
        if left := not_applied(plan.changes, after.actual):
            message = f"read back, the host was not as planned in: {_named(left[0])}"
            return self._finish(host, plan, HostFailure(OutcomeCode.READ_BACK, message))
        return None

    def _failures(self, changed: Sequence[Host], trusted: Collection[str]) -> dict[str, HostFailure]:
        """What speaks against the changed hosts that must be taken back.

        Only pairs of hosts that should stand now are asked: one that was down before is no reason to undo the others.
        """
        names = {host.name for host in changed}
        among = tuple(host for host in self.fleet.hosts if host.name in names or host.name in trusted)
        self.watched.observer.phase("probe", 2 * len(among))
        part = Fleet(self.fleet.settings, among)
        report = probe_mesh(self.prober, part, among, self.watched.observer.done, about=names, observe=True)
        self.judged[:] = [report] if len(names) == len(self.fleet.hosts) else []
        return {name: _complaint(name, report) for name in hosts_to_revert(report, names)}

    def _finish(self, host: Host, plan: HostPlan, against: HostFailure | None = None) -> Outcome:
        """Confirm over a session made after the change; take back over the one that made it, maybe all that is left."""
        if against is not None:
            outcome = _taken_back(host, self.changer.revert(self.sessions.of(host), plan), against)
        else:
            answer = self.changer.confirm(self.prober.sessions.of(host), save_previous=self.save_previous)
            status = "failed" if answer.status == "changed" else answer.status
            outcome = Outcome(host.name, status, answer.code, answer.error)
        self.underway.discard(host.name)
        return outcome


def _outcome(host: Host, result: Outcome | HostError | None, within_s: int) -> Outcome:
    """A host lost on the way: its change, if any was made, is not confirmed, so it does not stay."""
    if isinstance(result, HostError):
        status: Literal["unreachable", "failed"] = "unreachable" if isinstance(result, UnreachableError) else "failed"
        next_ = (
            f"what was changed there, the host takes back by itself, {within_s} s after the change; when that time is "
            f"over, run this again for it (--limit {host.name})"
        )
        return Outcome(host.name, status, result.code, f"{result}; {next_}")
    assert result is not None  # noqa: S101 (a changed host has an end)
    return result


def _named(change: Change) -> str:
    return " ".join(key_of(change.resource))


def _taken_back(host: Host, answer: TransactionOutcome, why: HostFailure) -> Outcome:
    if answer.status == "reverted":
        return Outcome(host.name, "reverted", why.code, why.message)
    return Outcome(host.name, "failed", OutcomeCode.REVERT_FAILED, f"{why}; and on the way back: {answer.error}")


def _complaint(name: str, report: MeshResult) -> HostFailure:
    if name in report.errors:
        return report.errors[name]
    failed = [answer for answer in report.lost if name in {answer.source, answer.target}]
    first = failed[0]
    return HostFailure(
        OutcomeCode.PROBES_FAILED,
        f"{len(failed)} probes failed after the change, first {first.source} -> {first.target} {first.kind}: "
        f"{first.reason}",
    )
