"""In which order hosts change, and which of them to take back when the mesh does not stand afterwards."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockmesh.core.planning.plan import HostPlan, restarts_docker
from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.model import MeshResult


@dataclass(frozen=True, slots=True)
class Rollout:
    """How to go about it.

    `serial` hosts restart Docker at once, a count or a share of them; when more than `max_fail` hosts failed, the rest
    is left alone; with `confirm`, a change must stand the test of the mesh to stay.
    """

    serial: int = 1
    percent: bool = False
    max_fail: int = 0
    confirm: bool = True


def batches(plans: Sequence[HostPlan], rollout: Rollout) -> Iterator[tuple[HostPlan, ...]]:
    """The hosts in their order, in groups that change at once.

    First those that only get routes and rules: nothing stops there, and those who follow find their way back. Then
    those whose Docker restarts, a few at a time.
    """
    gentle = tuple(plan for plan in plans if not restarts_docker(plan))
    if gentle:
        yield gentle
    restarting = [plan for plan in plans if restarts_docker(plan)]
    size = batch_size(len(restarting), rollout)
    for at in range(0, len(restarting), size):
        yield tuple(restarting[at : at + size])


def batch_size(restarting: int, rollout: Rollout) -> int:
    """Of so many hosts whose Docker restarts, how many do so at the same time."""
    return max(1, restarting * rollout.serial // 100) if rollout.percent else rollout.serial


def hosts_to_revert(result: MeshResult, changed: Iterable[str]) -> set[str]:
    """The changed hosts to take back so that no lost probe is left that touches one."""
    candidates = set(changed)
    pairs = ({probe.source, probe.target} & candidates for probe in result.lost)
    return set(culprits(pairs, candidates & set(result.errors)))
