"""Groups of failed probes by cause, and groups of similar probes."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TypeVar

from dockmesh.core.compact import compact_names
from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange
from dockmesh.core.results.model import MeshResult, ProbeResult

K = TypeVar("K")
V = TypeVar("V")

# This many causes that differ in the host only become one. `_HOST` replaces the host in their reason.
_SIMILAR = 3
_HOST = "\0"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A reason and the probes that fail because of it. Either all of them were made, or none.

    `host`: the host that could not be asked, if that is the reason. `about`: the hosts whose state is the reason; empty
    if the reason is not the state of single hosts.
    """

    code: str | None
    reason: str
    probes: tuple[ProbeResult, ...]
    host: str | None = None
    about: tuple[str, ...] = ()

    @property
    def made(self) -> bool:
        """Whether the probes could be made."""
        return any(probe.made for probe in self.probes)


@dataclass(frozen=True, slots=True)
class ProbeGroup:
    """Similar probes: of these kinds, from each source to each target. Excludes probes of a host to itself.

    `why`: the common reason; empty if the probes succeeded.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    why: str


def group_by_cause(result: MeshResult) -> tuple[FailureCause, ...]:
    """The causes of all failed probes: first the hosts that could not be asked, then the causes with most probes."""
    not_asked: dict[str, list[ProbeResult]] = {host: [] for host in result.errors}
    others: list[ProbeResult] = []
    for probe in result.failed:
        host = next((end for end in (probe.source, probe.target) if end in not_asked), None)
        (others if host is None or probe.made else not_asked[host]).append(probe)
    failures = result.errors
    first = (
        FailureCause(failures[host].code or None, failures[host].message, tuple(probes), host)
        for host, probes in not_asked.items()
    )
    grouped = _grouped(((probe.made, probe.code, probe.why), probe) for probe in others)
    causes = (FailureCause(code, why, tuple(own), about=_about(own)) for (_made, code, why), own in grouped.items())
    return *first, *sorted(_merged(causes, result.tags), key=lambda cause: -len(cause.probes))


def pending_by_run(result: MeshResult) -> tuple[dict[str, PendingChange], ...]:
    """The pending changes by host, in one group for all hosts with the same run and the same failure of the revert."""
    groups = _grouped((change.message, (host, change)) for host, change in result.pending.items())
    return tuple(dict(members) for members in groups.values())


def reverted_by_run(result: MeshResult) -> tuple[dict[str, RevertedChange], ...]:
    """The changes that hosts reverted by themselves, by host, in one group for all with the same run and reason."""
    groups = _grouped((each.reverted.message, (each.host, each.reverted)) for each in result.hosts if each.reverted)
    return tuple(dict(members) for members in groups.values())


def group_probes(probes: Iterable[ProbeResult]) -> Iterator[ProbeGroup]:
    """The probes in a few groups, in their order."""
    kinds = _grouped(((each.source, each.target, "" if each.ok else each.why), each.what) for each in probes)
    sources = _grouped(((target, tuple(each), why), source) for (source, target, why), each in kinds.items())
    targets = _grouped(((tuple(names), each, why), target) for (target, each, why), names in sources.items())
    return (ProbeGroup(names, tuple(to), each, why) for (names, each, why), to in targets.items())


def _about(probes: Iterable[ProbeResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(probe.about for probe in probes if probe.about))


def _merged(causes: Iterable[FailureCause], tags: Mapping[str, Collection[str]]) -> Iterator[FailureCause]:
    """The causes. Several causes with one code that differ in the host only become one."""
    patterns = _grouped(((cause.made, cause.code, _pattern(cause)), cause) for cause in causes)
    for (_made, code, pattern), similar in patterns.items():
        if _HOST not in pattern or len(similar) < _SIMILAR:
            yield from similar
            continue
        about = tuple(name for cause in similar for name in cause.about)
        names = ",".join(compact_names(about, tags))
        # The shell must not expand a glob in the command.
        reason = pattern.replace(f"--limit {_HOST}", f"--limit {quote(names)}").replace(_HOST, names)
        yield FailureCause(code, reason, tuple(probe for cause in similar for probe in cause.probes), about=about)


def _pattern(cause: FailureCause) -> str:
    """The reason with `_HOST` for its host."""
    if len(cause.about) != 1:
        return cause.reason
    return re.sub(rf"(?<![\w.-]){re.escape(cause.about[0])}(?![\w-])", _HOST, cause.reason)


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
