"""Work on one host, each one exec: read it, change it, confirm or revert the change."""

from dataclasses import dataclass

from dockmesh.core.desired.routing import underlays
from dockmesh.core.facts.host_facts import HostFacts, parse_facts
from dockmesh.core.facts.script import facts_script
from dockmesh.core.host_output import split
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.plan import HostPlan, restarts_docker
from dockmesh.core.planning.transaction import (
    TransactionOutcome,
    confirm_script,
    parse_outcome,
    revert_script,
    transaction_script,
)
from dockmesh.core.templates import Templates
from dockmesh.remote.transport import Session

# Containers that ignore SIGTERM have ten seconds each from Docker; the way back may need as long again.
_RESTART_S = 180


def read_host(session: Session, fleet: Fleet, host: Host, texts: Templates, *, timeout_s: float) -> HostFacts:
    """Read `host`.

    Raises:
        HostError: the host cannot be read, or is none that dockmesh works with.
    """
    read = facts_script(texts, underlays(fleet, host))
    return parse_facts(host, session.run(read, timeout_s=timeout_s))


@dataclass(frozen=True, slots=True)
class HostTransaction:
    """What changes hosts in a run. `run` is how the hosts know it: only who changed may confirm."""

    fleet: Fleet
    texts: Templates
    run: str
    timeout_s: float

    def change(
        self, session: Session, host: Host, plan: HostPlan, before: HostFacts
    ) -> tuple[TransactionOutcome, HostFacts]:
        """Carry out `plan`: what the transaction made of it, and the host as it is then.

        A host that is changed takes the change back by itself unless `confirm` reaches it in time.

        Raises:
            HostError: the host was lost, or its answer is unreadable; it is in its old state, or will be soon.
        """
        script = transaction_script(
            plan,
            before.actual,
            self.texts,
            underlays(self.fleet, host),
            run=self.run,
            confirm_within_s=self.fleet.settings.confirm_within_s,
        )
        output = session.run(script, timeout_s=self._patience_s(plan))
        answer = parse_outcome(split(output)["outcome"])
        # A host that could not be changed may not be readable either, and what it said of that is what counts.
        return answer, parse_facts(host, output) if answer.status == "changed" else before

    def confirm(self, session: Session, *, save_previous: bool) -> TransactionOutcome:
        """Let the change stay. Over a new session, this proves that the host still lets us in.

        Raises:
            HostError: the host was lost; it takes the change back.
        """
        output = session.run(confirm_script(self.texts, run=self.run, remember=save_previous), timeout_s=self.timeout_s)
        return parse_outcome(split(output)["outcome"])

    def revert(self, session: Session, plan: HostPlan) -> TransactionOutcome:
        """Take the change back now.

        Raises:
            HostError: the host was lost; it takes the change back by itself.
        """
        output = session.run(revert_script(self.texts), timeout_s=self._patience_s(plan))
        return parse_outcome(split(output)["outcome"])

    def _patience_s(self, plan: HostPlan) -> float:
        return self.timeout_s + (_RESTART_S if restarts_docker(plan) else 0)
