"""Order of the hosts in a rollout, and the choice of hosts to revert after failed probes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockmesh.core.planning.plan import HostPlan, restarts_docker
from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.model import MeshResult


@dataclass(frozen=True, slots=True)
class Rollout:
    """Options of a rollout.

    At most `serial` hosts restart Docker at the same time; with `percent`, `serial` is a percentage of these hosts.
    After more than `max_fail` failed hosts, the remaining hosts stay unchanged. With `confirm`, dockmesh probes the
    mesh and confirms only changes that pass.
    """

    serial: int = 1
    percent: bool = False
    max_fail: int = 0
    confirm: bool = True


def batches(plans: Sequence[HostPlan], rollout: Rollout) -> Iterator[tuple[HostPlan, ...]]:
    """Group the hosts into batches that change at the same time, in order.

    Hosts that only get routes and rules come first, all at once: no container stops there, and the hosts of later
    batches have their return routes. Hosts whose Docker restarts follow, a few at a time.
    """
    without_restart = tuple(plan for plan in plans if not restarts_docker(plan))
    if without_restart:
        yield without_restart
    restarting = [plan for plan in plans if restarts_docker(plan)]
    size = batch_size(len(restarting), rollout)
    for at in range(0, len(restarting), size):
        yield tuple(restarting[at : at + size])


def batch_size(restarting: int, rollout: Rollout) -> int:
    """Number of hosts that restart Docker at the same time, out of `restarting` hosts."""
    return max(1, restarting * rollout.serial // 100) if rollout.percent else rollout.serial


def hosts_to_revert(result: MeshResult, changed: Iterable[str]) -> set[str]:
    """The changed hosts to revert, so that no lost probe involves a host that stays changed."""
    candidates = set(changed)
    pairs = ({probe.source, probe.target} & candidates for probe in result.lost)
    return set(culprits(pairs, candidates & set(result.errors)))
