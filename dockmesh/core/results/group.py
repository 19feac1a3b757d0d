"""Failures by cause: one cause for all probes that fail alike, so that people read each once."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TypeVar

from dockmesh.core.compact import compact_names
from dockmesh.core.results.model import MeshResult, ProbeResult

K = TypeVar("K")
V = TypeVar("V")

# So many causes that differ in the host alone are one; `_HOST` stands for the host in their reason.
_ALIKE = 3
_HOST = "\0"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A reason, and the probes that fail for it, which are all `made` or all not.

    `host`: the host that could not be asked, where that is the reason. `about`: the hosts whose state is the reason;
    empty where it is not the state of single hosts.
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
    """Probes that are alike: from each of the sources to each of the targets, of these kinds.

    A host among both is not probed from itself. `why` is empty where all is well.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    why: str


def group_by_cause(result: MeshResult) -> tuple[FailureCause, ...]:
    """Every failing probe under one cause: first the hosts that could not be asked, then what fails most probes."""
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
    causes = (FailureCause(code, why, tuple(its), about=_about(its)) for (_made, code, why), its in grouped.items())
    return *first, *sorted(_folded(causes, result.tags), key=lambda cause: -len(cause.probes))


def group_probes(probes: Iterable[ProbeResult]) -> Iterator[ProbeGroup]:
    """The probes in as few groups as it takes, in their order."""
    kinds = _grouped(((each.source, each.target, "" if each.ok else each.why), each.what) for each in probes)
    sources = _grouped(((target, tuple(each), why), source) for (source, target, why), each in kinds.items())
    targets = _grouped(((tuple(froms), each, why), target) for (target, each, why), froms in sources.items())
    return (ProbeGroup(froms, tuple(to), each, why) for (froms, each, why), to in targets.items())


def _about(probes: Iterable[ProbeResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(probe.about for probe in probes if probe.about))


def _folded(causes: Iterable[FailureCause], tags: Mapping[str, Collection[str]]) -> Iterator[FailureCause]:
    """The causes; those of one code that differ in the host alone are one, where they are several."""
    forms = _grouped(((cause.made, cause.code, _form(cause)), cause) for cause in causes)
    for (_made, code, form), alike in forms.items():
        if _HOST not in form or len(alike) < _ALIKE:
            yield from alike
            continue
        about = tuple(name for cause in alike for name in cause.about)
        names = ",".join(compact_names(about, tags))
        # A glob is for dockmesh, not for the shell that the command is typed into.
        reason = form.replace(f"--limit {_HOST}", f"--limit {quote(names)}").replace(_HOST, names)
        yield FailureCause(code, reason, tuple(probe for cause in alike for probe in cause.probes), about=about)


def _form(cause: FailureCause) -> str:
    """The reason without the host that it is about."""
    if len(cause.about) != 1:
        return cause.reason
    return re.sub(rf"(?<![\w.-]){re.escape(cause.about[0])}(?![\w-])", _HOST, cause.reason)


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
