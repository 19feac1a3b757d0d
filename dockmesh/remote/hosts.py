"""A host's change and its end: each one exec, which answers with what came of it."""

from dataclasses import dataclass

from dockmesh.core.desired.routing import underlays
from dockmesh.core.facts import host_facts
from dockmesh.core.host_output import split
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning import transaction
from dockmesh.core.planning.plan import HostPlan, restarts_docker
from dockmesh.core.templates import Templates
from dockmesh.remote.transport import Session

# Containers that ignore SIGTERM have ten seconds each from Docker; the way back may need as long again.
_RESTART_S = 180


@dataclass(frozen=True, slots=True)
class HostTransaction:
    """What changes hosts in a run. `run` is how the hosts know it: only who changed may confirm."""

    fleet: Fleet
    texts: Templates
    run: str
    timeout_s: float

    def change(
        self, session: Session, host: Host, plan: HostPlan, before: host_facts.HostFacts
    ) -> tuple[transaction.TransactionOutcome, host_facts.HostFacts]:
        """Carry out `plan`: what the transaction made of it, and the host as it is then.

        A host that is changed takes the change back by itself unless `confirm` reaches it in time.

        Raises:
            HostError: the host was lost, or its answer is unreadable; it is in its old state, or will be soon.
        """
        script = transaction.transaction_script(
            plan,
            before.actual,
            self.texts,
            underlays(self.fleet, host),
            run=self.run,
            confirm_within_s=self.fleet.settings.confirm_within_s,
        )
        output = session.run(script, timeout_s=self._patience_s(plan))
        answer = transaction.parse_outcome(split(output)["outcome"])
        # A host that could not be changed may not be readable either, and what it said of that is what counts.
        return answer, host_facts.parse_facts(host, output) if answer.status == "changed" else before

    def confirm(self, session: Session, *, save_previous: bool) -> transaction.TransactionOutcome:
        """Let the change stay. Over a new session, this proves that the host still lets us in.

        Raises:
            HostError: the host was lost; it takes the change back.
        """
        output = session.run(
            transaction.confirm_script(self.texts, run=self.run, remember=save_previous), timeout_s=self.timeout_s
        )
        return transaction.parse_outcome(split(output)["outcome"])

    def revert(self, session: Session, plan: HostPlan) -> transaction.TransactionOutcome:
        """Take the change back now.

        Raises:
            HostError: the host was lost; it takes the change back by itself.
        """
        output = session.run(transaction.revert_script(self.texts), timeout_s=self._patience_s(plan))
        return transaction.parse_outcome(split(output)["outcome"])

    def _patience_s(self, plan: HostPlan) -> float:
        return self.timeout_s + (_RESTART_S if restarts_docker(plan) else 0)
