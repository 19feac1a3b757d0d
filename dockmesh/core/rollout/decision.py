"""Which changed hosts revert after failed probes, and why."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from dockmesh.core.planning.plan import OutcomeCode
from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.model import MeshResult, ProbeKey, ProbeResult
from dockmesh.core.text import listed
from dockmesh.errors import HostFailure


def hosts_to_revert(
    result: MeshResult,
    changed: Collection[str],
    *,
    broken_before: Collection[ProbeKey] = (),
    follows: Mapping[str, AbstractSet[str]] | None = None,
) -> dict[str, HostFailure]:
    """The hosts of `changed` to revert, with the reasons, so that no lost probe involves a host that stays changed.

    `broken_before`: the probes that failed before the change as well. They are no reason to revert. Where two hosts are
    equally suspect, they show which one is at fault. `follows`: see `Batch`.
    """
    candidates = set(changed)
    ends = {probe: _suspects(probe, result, candidates) for probe in result.lost}
    new = {probe: suspects for probe, suspects in ends.items() if probe.key not in broken_before}
    evidence = Counter(name for suspects in ends.values() for name in suspects)
    chosen = culprits(new.values(), candidates & set(result.errors), evidence=evidence)
    failures = {name: _probe_failure(name, result, [*new]) for name in chosen}
    while followers := dict(_followers(candidates, failures, follows or {})):
        failures |= followers
    return failures


def follower_failure(moved: Sequence[str]) -> HostFailure:
    """Why a host reverts that follows the hosts `moved`."""
    message = f"it follows the move of {listed(moved)}, which reverted. Fix: remove the cause there, and apply again"
    return HostFailure(OutcomeCode.MOVE_REVERTED, message)


def _suspects(probe: ProbeResult, result: MeshResult, candidates: AbstractSet[str]) -> AbstractSet[str]:
    """The changed hosts that may be at fault for a lost probe.

    A probe that was not made has one suspect at most. An unchanged host that could not be asked proves nothing.
    """
    ends = {probe.about} if probe.about and not probe.made else {probe.source, probe.target}
    return frozenset() if (ends - candidates) & result.errors.keys() else ends & candidates


def _followers(
    candidates: AbstractSet[str], failures: Mapping[str, HostFailure], follows: Mapping[str, AbstractSet[str]]
) -> Iterator[tuple[str, HostFailure]]:
    for name, moved in follows.items():
        if name in candidates and name not in failures and (reverted := sorted(moved & failures.keys())):
            yield name, follower_failure(reverted)


def _probe_failure(name: str, result: MeshResult, lost: Sequence[ProbeResult]) -> HostFailure:
    if name in result.errors:
        return result.errors[name]
    own = [probe for probe in lost if name in {probe.source, probe.target, probe.about}]
    first = own[0]
    return HostFailure(
        OutcomeCode.PROBES_FAILED,
        f"{len(own)} {'probe' if len(own) == 1 else 'probes'} failed after the change. The first is "
        f"{first.source} -> {first.target} ({first.kind}): {first.reason}",
    )
