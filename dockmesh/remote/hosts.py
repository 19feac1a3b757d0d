"""Work on one host, one script for each step: read it, change it, confirm or revert the change."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from dockmesh.core.desired.routing import underlays
from dockmesh.core.facts.host_facts import HostFacts, parse_facts
from dockmesh.core.facts.listings import Listings
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

# Docker waits ten seconds for each container that ignores SIGTERM. A revert may need the same time again.
_RESTART_S = 180
# Equals LOCK_S of templates/transaction.sh.
LOCK_S = 30


class Runner(Protocol):
    """A session, or the shell of a held target."""

    def run(self, script: str, *, timeout_s: float) -> str:
        """See `transport.Session.run`."""


def read_host(
    session: Session, fleet: Fleet, host: Host, templates: Templates, listings: Listings, *, timeout_s: float
) -> HostFacts:
    """Read the facts of `host`. `listings`: those of the fleet.

    Raises:
        HostError: the host cannot be read, or dockmesh does not support it.
    """
    script = facts_script(templates, underlays(fleet, host))
    return parse_facts(host, session.run(script, timeout_s=timeout_s), datetime.now(UTC), listings)


@dataclass(frozen=True, slots=True)
class HostTransaction:
    """Changes hosts. `run` is the name of the run; a host accepts a confirmation only from the run that changed it.

    `listings`: those of the fleet.
    """

    fleet: Fleet
    templates: Templates
    run: str
    timeout_s: float
    listings: Listings = field(default_factory=Listings)

    def change(
        self, session: Session, host: Host, plan: HostPlan, before: HostFacts
    ) -> tuple[TransactionOutcome, HostFacts]:
        """Apply `plan`. Returns the outcome of the transaction and the facts of the host after it.

        A changed host reverts by itself unless it is confirmed in time.

        Raises:
            HostError: the host was lost, or its output is unreadable. It is in its old state, or reverts to it.
        """
        script = transaction_script(
            plan,
            before.actual,
            self.templates,
            underlays(self.fleet, host),
            run=self.run,
            confirm_within_s=self.fleet.settings.confirm_within_s,
        )
        output = session.run(script, timeout_s=self._change_timeout_s(plan))
        outcome = parse_outcome(split(output)["outcome"])
        # A host that rejects the change may be unreadable too. Its reason matters more than the parser's error.
        changed = outcome.status == "changed"
        return outcome, parse_facts(host, output, datetime.now(UTC), self.listings) if changed else before

    def confirm(self, runner: Runner, *, save_previous: bool) -> TransactionOutcome:
        """Confirm the change. A session opened after it also proves that the host still accepts logins.

        Raises:
            HostError: the host was lost. It reverts by itself.
        """
        output = runner.run(
            confirm_script(self.templates, run=self.run, remember=save_previous), timeout_s=self.timeout_s + LOCK_S
        )
        return parse_outcome(split(output)["outcome"])

    def revert(self, session: Session, plan: HostPlan) -> TransactionOutcome:
        """Revert the change now. The outcome has no code if the change is no longer pending.

        Raises:
            HostError: the host was lost. It reverts by itself.
        """
        output = session.run(revert_script(self.templates, run=self.run), timeout_s=self._change_timeout_s(plan))
        return parse_outcome(split(output)["outcome"])

    def _change_timeout_s(self, plan: HostPlan) -> float:
        return self.timeout_s + LOCK_S + (_RESTART_S if restarts_docker(plan) or plan.ends_pending else 0)
