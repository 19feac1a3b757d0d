"""The comparison of two results."""

from collections.abc import Iterable
from dataclasses import dataclass

from dockmesh.core.results.model import MeshResult, ProbeResult


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two results. Probes are those of the later result, except in `gone`. Hosts are names.

    lost: failed, reached before. broken: failed, not probed before. still_failing: failed in both results.
    recovered: reached, failed before. changed: reached in both, with another source address or full-size result, as a
    pair (before, after). new: reached, not probed before. unreachable: hosts that could be asked before.
    recovered_hosts: hosts that could not be asked before. rtt_ms: the median round trips (before, after) of the probes
    that both results reached.
    """

    lost: tuple[ProbeResult, ...]
    broken: tuple[ProbeResult, ...]
    still_failing: tuple[ProbeResult, ...]
    recovered: tuple[ProbeResult, ...]
    changed: tuple[tuple[ProbeResult, ProbeResult], ...]
    new: tuple[ProbeResult, ...]
    gone: tuple[ProbeResult, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    unreachable: tuple[str, ...]
    recovered_hosts: tuple[str, ...]
    rtt_ms: tuple[float, float] | None

    @property
    def failing(self) -> tuple[ProbeResult, ...]:
        """The probes that fail now and did not fail before."""
        return (*self.lost, *self.broken)

    @property
    def worse(self) -> bool:
        """Whether a probe or a host fails that did not fail before."""
        return bool(self.failing or self.unreachable)

    @property
    def empty(self) -> bool:
        """Whether the results are equal except for round trips."""
        changes = (self.recovered, self.changed, self.new, self.gone, self.added, self.removed, self.recovered_hosts)
        return not self.worse and not any(changes)


def compare(before: MeshResult, after: MeshResult) -> Comparison:
    """Compare two results."""
    then, now = ({probe.key: probe for probe in result.probes} for result in (before, after))
    both = [(then[key], probe) for key, probe in now.items() if key in then]
    new = tuple(probe for key, probe in now.items() if key not in then)
    hosts_then, hosts_now = ({each.host: each.error for each in result.hosts} for result in (before, after))
    return Comparison(
        lost=tuple(b for a, b in both if a.ok and not b.ok),
        broken=tuple(probe for probe in new if not probe.ok),
        still_failing=tuple(b for a, b in both if not a.ok and not b.ok),
        recovered=tuple(b for a, b in both if not a.ok and b.ok),
        changed=tuple((a, b) for a, b in both if a.ok and b.ok and _path_changed(a, b)),
        new=tuple(probe for probe in new if probe.ok),
        gone=tuple(probe for key, probe in then.items() if key not in now),
        added=tuple(host for host in hosts_now if host not in hosts_then),
        removed=tuple(host for host in hosts_then if host not in hosts_now),
        unreachable=tuple(host for host, error in hosts_now.items() if error and not hosts_then.get(host)),
        recovered_hosts=tuple(host for host, error in hosts_then.items() if error and not hosts_now.get(host, error)),
        rtt_ms=_medians([(a, b) for a, b in both if a.ok and b.ok]),
    )


def _path_changed(before: ProbeResult, after: ProbeResult) -> bool:
    # None means not measured, which is no change.
    values = ((before.mtu_ok, after.mtu_ok), (before.source_seen, after.source_seen))
    return any(None not in each and each[0] != each[1] for each in values)


def _medians(pairs: Iterable[tuple[ProbeResult, ProbeResult]]) -> tuple[float, float] | None:
    """The median round trips of the probes that have one in both results."""
    times = [(a.rtt_ms, b.rtt_ms) for a, b in pairs if a.rtt_ms is not None and b.rtt_ms is not None]
    if not times:
        return None
    before, after = (sorted(side) for side in zip(*times, strict=True))
    return before[len(before) // 2], after[len(after) // 2]
