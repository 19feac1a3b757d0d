"""A host's change and its end: each one exec, which answers with what came of it."""

from dataclasses import dataclass

from dockmesh.core import facts, script
from dockmesh.core.model import Fleet, Host
from dockmesh.core.plan import HostPlan, restarts_docker
from dockmesh.core.routing import underlays
from dockmesh.core.sections import split
from dockmesh.core.texts import Texts
from dockmesh.remote.transport import Session

# Containers that ignore SIGTERM have ten seconds each from Docker; the way back may need as long again.
_RESTART_S = 180


@dataclass(frozen=True, slots=True)
class Changer:
    """What changes hosts in a run. `run` is how the hosts know it: only who changed may confirm."""

    fleet: Fleet
    texts: Texts
    run: str
    timeout_s: float

    def change(
        self, session: Session, host: Host, plan: HostPlan, before: facts.HostFacts
    ) -> tuple[script.Answer, facts.HostFacts]:
        """Carry out `plan`: what the transaction made of it, and the host as it is then.

        A host that is changed takes the change back by itself unless `confirm` reaches it in time.

        Raises:
            HostError: the host was lost, or its answer is unreadable; it is in its old state, or will be soon.
        """
        transaction = script.transaction(
            plan,
            before.actual,
            self.texts,
            underlays(self.fleet, host),
            run=self.run,
            confirm_within_s=self.fleet.settings.confirm_within_s,
        )
        output = session.run(transaction, timeout_s=self._patience_s(plan))
        answer = script.answer(split(output)["outcome"])
        # A host that could not be changed may not be readable either, and what it said of that is what counts.
        return answer, facts.parse(host, output) if answer.status == "changed" else before

    def confirm(self, session: Session, *, remember: bool) -> script.Answer:
        """Let the change stay. Over a new session, this proves that the host still lets us in.

        Raises:
            HostError: the host was lost; it takes the change back.
        """
        output = session.run(script.confirmation(self.texts, run=self.run, remember=remember), timeout_s=self.timeout_s)
        return script.answer(split(output)["outcome"])

    def take_back(self, session: Session, plan: HostPlan) -> script.Answer:
        """Take the change back now.

        Raises:
            HostError: the host was lost; it takes the change back by itself.
        """
        output = session.run(script.reversal(self.texts), timeout_s=self._patience_s(plan))
        return script.answer(split(output)["outcome"])

    def _patience_s(self, plan: HostPlan) -> float:
        return self.timeout_s + (_RESTART_S if restarts_docker(plan) else 0)
