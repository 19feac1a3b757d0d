"""Order of the hosts in a rollout: which hosts change at the same time, and which wait for another host."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

from dockmesh.core.model import Fleet
from dockmesh.core.planning.plan import HostPlan, restarts_docker
from dockmesh.core.rollout.affected import followed_hosts, network_owners
from dockmesh.core.rollout.pace import Pace
from dockmesh.errors import TooSlowError

Verify = Literal["changed", "all"]
# A fleet of this size has at most 1,140 probes of a family, which take less than a second.
VERIFY_ALL_HOSTS = 20


@dataclass(frozen=True, slots=True)
class Rollout:
    """Options of a rollout.

    At most `serial` hosts restart Docker at the same time; with `percent`, `serial` is a percentage of these hosts.
    After more than `max_fail` failed hosts, the remaining hosts stay unchanged. With `confirm`, dockmesh probes the
    mesh and confirms only changes that pass. `verify`: the pairs to probe; None for all pairs in a fleet of up to
    VERIFY_ALL_HOSTS hosts, and else the pairs that the change affects.
    """

    serial: int = 1
    percent: bool = False
    max_fail: int = 0
    confirm: bool = True
    verify: Verify | None = None

    def verifies_all(self, hosts: int) -> bool:
        """Whether to probe all pairs of a fleet of `hosts` hosts."""
        return self.verify == "all" or (self.verify is None and hosts <= VERIFY_ALL_HOSTS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Hosts that change, are probed and are confirmed together. Each stage starts when the one before has finished.

    `follows`: by host, the moved hosts whose new prefix or underlay address it gets. It is confirmed after them, and
    reverts with them.
    """

    stages: tuple[tuple[HostPlan, ...], ...]
    follows: Mapping[str, AbstractSet[str]] = field(default_factory=dict)

    @property
    def moved(self) -> AbstractSet[str]:
        """The moved hosts that others follow."""
        return {name for names in self.follows.values() for name in names}

    @property
    def plans(self) -> Mapping[str, HostPlan]:
        """The plans of all stages, by host."""
        return {plan.host: plan for stage in self.stages for plan in stage}


def batches(fleet: Fleet, plans: Sequence[HostPlan], rollout: Rollout, pace: Pace) -> Iterator[Batch]:
    """Group the hosts into batches, in order. Each is small enough that its changes are confirmed in time.

    Hosts that only get routes and rules come first: no container stops there, and the hosts of later batches have their
    return routes. Moved hosts and those that follow them are one batch, in which the moved hosts change first. Hosts
    whose Docker restarts come last, a few at a time.

    Raises:
        TooSlowError: even the smallest batch takes longer.
    """
    follows = _follows(fleet, plans)
    moved = {name for names in follows.values() for name in names}
    alone = [plan for plan in plans if plan.host not in moved and plan.host not in follows]
    together = [plan for plan in plans if plan.host in moved or plan.host in follows]
    restarts = min(pace.largest_batch(restarts=True), batch_size(sum(map(restarts_docker, plans)), rollout))
    yield from _split([plan for plan in alone if not restarts_docker(plan)], pace.largest_batch(restarts=False), pace)
    if together:
        movers = [plan for plan in together if plan.host in moved]
        followers = [plan for plan in together if plan.host not in moved]
        stages = (*_stages(movers, restarts), *_stages(followers, restarts))
        _check(stages, pace, restarts=any(map(restarts_docker, together)))
        yield Batch(stages, follows)
    yield from _split([plan for plan in alone if restarts_docker(plan)], restarts, pace)


def batch_size(restarting: int, rollout: Rollout) -> int:
    """Number of hosts that restart Docker at the same time, out of `restarting` hosts."""
    return max(1, restarting * rollout.serial // 100) if rollout.percent else rollout.serial


def _follows(fleet: Fleet, plans: Sequence[HostPlan]) -> Mapping[str, AbstractSet[str]]:
    """The moved hosts that other hosts follow, by follower. Both change in this run."""
    owners, changing = network_owners(fleet), {plan.host for plan in plans}
    found = {plan.host: followed_hosts(plan, owners) & changing - {plan.host} for plan in plans}
    return {name: moved for name, moved in found.items() if moved}


def _split(plans: Sequence[HostPlan], size: int, pace: Pace) -> Iterator[Batch]:
    for stage in _chunks(plans, size):
        _check((stage,), pace, restarts=restarts_docker(stage[0]))
        yield Batch((stage,))


def _check(stages: Sequence[tuple[HostPlan, ...]], pace: Pace, *, restarts: bool) -> None:
    """Raise TooSlowError if the batch would not be confirmed in time."""
    sizes = [len(stage) for stage in stages]
    if not pace.in_time(sizes, restarts=restarts):
        raise TooSlowError(pace.refusal(sizes, restarts=restarts))


def _stages(plans: Sequence[HostPlan], restarts: int) -> Iterator[tuple[HostPlan, ...]]:
    yield from _chunks([plan for plan in plans if not restarts_docker(plan)], len(plans))
    yield from _chunks([plan for plan in plans if restarts_docker(plan)], restarts)


def _chunks(plans: Sequence[HostPlan], size: int) -> Iterator[tuple[HostPlan, ...]]:
    return (tuple(plans[at : at + max(1, size)]) for at in range(0, len(plans), max(1, size)))
