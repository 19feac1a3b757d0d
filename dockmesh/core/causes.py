"""Why probes failed, where that lies in what a host lacks: one cause for all the probes it fails."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dockmesh.core.model import Fleet
from dockmesh.core.reach import Probe, Report, Target
from dockmesh.core.standing import unjoined

_NAMED = 6


def explained(report: Report, fleet: Fleet, targets: Mapping[str, Target]) -> Report:
    """The report, and in each probe that was made and failed the cause that `targets` shows, if any."""
    known = {name: each for name, each in targets.items() if each.standing}
    hosts = {host.name: host for host in fleet.hosts}
    apart = {name: why for name in known if (why := _unjoined(name, fleet, known))}
    strangers: dict[str, list[str]] = {}
    for name, each in known.items():
        for peer in hosts.values():
            routes = each.standing.routes if each.standing else frozenset()
            if name not in apart and peer.name != name and peer.prefix and peer.prefix not in routes:
                strangers.setdefault(peer.name, []).append(name)
    return replace(
        report,
        answers=tuple(
            replace(answer, reason=cause, cause=True)
            if not answer.ok and answer.probed and (cause := _cause(answer.probe, apart, strangers))
            else answer
            for answer in report.answers
        ),
    )


def _unjoined(name: str, fleet: Fleet, targets: Mapping[str, Target]) -> str | None:
    found = targets[name].standing
    return unjoined(fleet.host(name), found) if found else None


def _cause(probe: Probe, apart: Mapping[str, str], strangers: Mapping[str, list[str]]) -> str | None:
    return next(_causes(probe, apart, strangers), None)


def _causes(probe: Probe, apart: Mapping[str, str], strangers: Mapping[str, list[str]]) -> Iterator[str]:
    ends = ((probe.source, probe.target), (probe.target, probe.source))
    yield from (apart[one] for _other, one in ends if one in apart)
    yield from (_unknown(one, strangers[one]) for other, one in ends if other in strangers.get(one, ()))


def _unknown(name: str, to: list[str]) -> str:
    why = f"no route to {name} (it is new there, or the route was lost)"
    if len(to) > _NAMED:
        return f"{len(to)} hosts have {why}: dockmesh apply"
    return f"{', '.join(to)} {'has' if len(to) == 1 else 'have'} {why}: dockmesh apply --limit {','.join(to)}"
