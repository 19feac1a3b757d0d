"""Which running containers a restart of Docker starts again."""

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
    lost = {each.id for each in removed}
    gone, more = removed, removed
    while more:
        names = {text for each in gone for text in (each.id, each.name)}
        more = [each for each in running if each.id not in lost and each.needs & names]
        lost |= {each.id for each in more}
        gone = [*gone, *more]
    return StoppedContainers(
        tuple(each.name for each in running if each.id not in lost),
        tuple(each.name for each in removed),
        tuple(each.name for each in running if each.id in lost and not each.auto_remove),
    )
