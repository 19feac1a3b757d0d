"""Texts for groups of similar probes."""

from collections.abc import Collection

from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.group import ProbeGroup, group_probes
from dockmesh.core.results.model import ProbeResult
from dockmesh.core.text import listed

_NAMED = 6
_MOST = 3


def pair_text(group: ProbeGroup) -> str:
    """The sources and targets of a group."""
    return f"{listed(group.sources, _NAMED)} → {listed(group.targets, _NAMED)}"


def probes_text(probes: Collection[ProbeResult]) -> str:
    """The sources, targets and kinds of probes; with many groups, the hosts that the probes have in common."""
    groups = list(group_probes(probes))
    if len(groups) > _MOST:
        return f"from or to {listed(culprits((each.source, each.target) for each in probes), _NAMED)}"
    return "; ".join(f"{pair_text(group)} ({', '.join(group.kinds)})" for group in groups)
