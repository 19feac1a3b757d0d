"""Which running containers a restart of Docker starts again."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from dockmesh.core.facts.docker import Container


@dataclass(frozen=True, slots=True)
class StoppedContainers:
    """The running containers that a restart of Docker stops, by name.

    The host starts those of `restarted` again. Docker removes those of `removed`, which run with `--rm`. Those of
    `not_started` cannot start again, because they use the network, IPC or processes of a removed one.
    """

    restarted: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    not_started: tuple[str, ...] = ()


def stopped_containers(running: Sequence[Container]) -> StoppedContainers:
    """Return the fate of the running containers in a restart of Docker."""
    removed = [each for each in running if each.auto_remove]
    dependants: defaultdict[str, list[Container]] = defaultdict(list)
    for each in running:
        for needed in each.needs:
            dependants[needed].append(each)
    lost = {each.id for each in removed}
    pending = deque(removed)
    while pending:
        gone = pending.popleft()
        for needed in {gone.id, gone.name}:
            # pop: on a hostile host many containers may have the same name.
            for each in dependants.pop(needed, ()):
                if each.id not in lost:
                    lost.add(each.id)
                    pending.append(each)
    return StoppedContainers(
        tuple(each.name for each in running if each.id not in lost),
        tuple(each.name for each in removed),
        tuple(each.name for each in running if each.id in lost and not each.auto_remove),
    )
