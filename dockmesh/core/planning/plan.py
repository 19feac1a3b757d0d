"""The plan: for each host the changes from actual to desired, their reasons, conflicts and notes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange
from dockmesh.core.planning.findings import Conflict, Note, StartWarning
from dockmesh.core.planning.reasons import reason
from dockmesh.core.planning.stopped_containers import StoppedContainers, stopped_containers
from dockmesh.core.state.diff import ACTIONS, Action, Change, difference, with_reasons
from dockmesh.core.state.resources import HostState

PendingEnd = Literal["revert", "keep"]


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The plan of one host. Apply skips a host with conflicts or an error.

    `error` is the reason why the host could not be read, and `code` its HostErrorCode. `basis` is the checksum of the
    facts. `stopped` is empty unless Docker restarts. `pending`, `reverted`: the host's changes without confirmation.
    `ends_pending`: apply reverts the pending change, or gives up its revert and keeps the host as it is.
    """

    host: str
    changes: Sequence[Change] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[Note, ...] = ()
    basis: str = ""
    error: str | None = None
    unreachable: bool = False
    code: str | None = None
    stopped: StoppedContainers = field(default_factory=StoppedContainers)
    pending: PendingChange | None = None
    reverted: RevertedChange | None = None
    ends_pending: PendingEnd | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the host is in its desired state."""
        return not (self.changes or self.ends_pending or self.conflicts) and self.error is None

    @property
    def applicable(self) -> bool:
        """Whether apply may change this host."""
        return bool(self.changes or self.ends_pending) and not self.conflicts and self.error is None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a run, hosts in the fleet's order."""

    hosts: tuple[HostPlan, ...]

    @property
    def counts(self) -> Mapping[Action, int]:
        """How many changes of each action there are, also where there are none."""
        found = Counter(change.action for host in self.hosts for change in host.changes)
        return {action: found[action] for action in ACTIONS}

    @property
    def empty(self) -> bool:
        """Whether no host has changes."""
        return not any(host.changes or host.ends_pending for host in self.hosts)

    @property
    def clean(self) -> bool:
        """Whether every host was read and none has a conflict."""
        return not any(host.conflicts or host.error is not None for host in self.hosts)

    @property
    def applicable(self) -> tuple[HostPlan, ...]:
        """The hosts that apply would change."""
        return tuple(host for host in self.hosts if host.applicable)


class OutcomeCode(StrEnum):
    """Why a host is not in its desired state, besides the HostErrorCodes. Scripts may rely on the codes."""

    # Set by the controller.
    CONFLICT = "conflict"
    NOT_BEGUN = "not-begun"
    READ_BACK = "read-back"
    PROBES_FAILED = "probes-failed"
    MOVE_REVERTED = "move-reverted"
    # Written by templates/transaction.sh.
    LOCKED = "locked"
    CHANGE_PENDING = "change-pending"
    STALE_PLAN = "stale-plan"
    NO_SPACE = "no-space"
    READ_ONLY = "read-only"
    DOCKER_FAILED = "docker-failed"
    STEP_FAILED = "step-failed"
    NOT_CONFIRMED = "not-confirmed"
    REVERT_FAILED = "revert-failed"


OutcomeStatus = Literal["confirmed", "unchanged", "reverted", "refused", "failed", "unreachable"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run on one host. `code`: an OutcomeCode or a HostErrorCode; None if the host is `ok`.

    `warnings`: the containers and units that did not start again with Docker. They decide nothing.
    """

    host: str
    status: OutcomeStatus
    code: str | None = None
    error: str | None = None
    warnings: tuple[StartWarning, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the host is in its desired state."""
        return self.status in {"confirmed", "unchanged"}


def restarts_docker(plan: HostPlan) -> bool:
    """Whether the plan restarts the host's Docker."""
    return _restart_docker(plan.changes)


def _restart_docker(changes: Iterable[Change]) -> bool:
    return any(change.action == "restart" for change in changes)


def plan_host(
    facts: HostFacts,
    wanted: HostState,
    smallest: SmallestUplink,
    conflicts: Iterable[Conflict] = (),
    notes: Iterable[Note] = (),
) -> HostPlan:
    """Return the plan of a host from its facts and its desired state."""
    changes = difference(facts.actual, wanted)
    containers = facts.docker.containers if facts.docker and _restart_docker(changes) else ()
    stopped = stopped_containers(containers)
    return HostPlan(
        facts.host,
        with_reasons(changes, lambda change: reason(change, stopped, smallest)),
        tuple(conflicts),
        tuple(notes),
        facts.basis,
        stopped=stopped,
        reverted=facts.reverted,
    )
