"""Probes of the mesh: a host's whole row in one exec, all hosts at once."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from dockmesh.core.host_output import ABSENT, split
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes import batch
from dockmesh.core.probes.diagnosis import with_causes
from dockmesh.core.probes.model import Probe, ProbeReport, ProbeResult, ProbeTarget
from dockmesh.core.probes.observed import ObservedPing, parse_observed
from dockmesh.core.probes.pairs import Pair
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.probes.source_check import with_sources
from dockmesh.core.probes.targets import HOLD_S, held_target_script, parse_target, unreachable_target
from dockmesh.core.templates import Templates
from dockmesh.errors import HostError, HostFailure
from dockmesh.remote.fanout import fan_out
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import HeldScript

T = TypeVar("T")
Done = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class HeldTarget:
    """What a host offers to be probed, for as long as it is held."""

    target: ProbeTarget
    held: HeldScript


@dataclass(frozen=True, slots=True)
class Prober:
    """What a verification works with. `offset` sets it apart from others that run at the same time.

    `forks`: how many hosts the executor serves at once.
    """

    executor: Executor
    forks: int
    sessions: Sessions
    texts: Templates
    offset: int
    timeout_s: float

    def hold_target(self, host: Host, *, hold_s: int, observe: bool) -> HeldTarget:
        """What a host offers to be probed, until it is let go, the session ends, or `hold_s` seconds are over."""
        script = held_target_script(host, self.texts, offset=self.offset, hold_s=hold_s, observe=observe)
        held = self.sessions.of(host).hold(script, timeout_s=self.timeout_s)
        return HeldTarget(parse_target(host, split(held.output)), held)

    def release(self, offers: Mapping[str, HeldTarget], host: Host) -> frozenset[ObservedPing]:
        """End what a host holds; where pings came from meanwhile, if it observed that."""
        said = offers[host.name].held.release(timeout_s=self.timeout_s)
        return parse_observed(split(said).get("observed_pings", ABSENT))

    def batch(
        self,
        targets: Mapping[str, ProbeTarget],
        questions: Mapping[str, Sequence[Probe]],
        numbers: Mapping[str, int],
        host: Host,
    ) -> list[ProbeResult]:
        """Ask all of a host's questions."""
        own = targets.get(host.name)
        asked = questions[host.name]
        pid = own.pid if own else None
        script = batch.batch_script(asked, targets, self.texts, pid=pid, number=numbers[host.name])
        output = split(self.sessions.of(host).run(script, timeout_s=self.timeout_s + batch.duration_s(asked)))
        return list(batch.parse_batch(asked, targets, output["probes"]))


def probe_mesh(
    prober: Prober,
    fleet: Fleet,
    sources: Iterable[Host],
    done: Done,
    *,
    about: Collection[str] | None = None,
    pairs: Collection[Pair] | None = None,
    lost: Mapping[str, HostFailure] | None = None,
    observe: bool = False,
) -> ProbeReport:
    """Probe from every host of `sources` to every host of the fleet; only what touches a host of `about`, if given.

    `pairs`: the only ones to be asked. `lost`: hosts that are not asked, and why. `observe`: let the targets say where
    probes come from.
    """
    asking = tuple(sources)
    questions: dict[str, list[Probe]] = {host.name: [] for host in asking}
    for probe in plan_probes(fleet, asking, about, pairs):
        questions[probe.source].append(probe)
    numbers = {host.name: number for number, host in enumerate(fleet.hosts)}
    # Hosts take turns: what the first offers must be there for the last.
    turns = -(-max(len(fleet.hosts), len(asking)) // prober.forks)
    hold_s = turns * (HOLD_S + int(max(map(batch.duration_s, questions.values()), default=0)))
    errors = dict(lost or {})
    there = [host for host in fleet.hosts if host.name not in errors]
    offers = _each(prober, there, partial(prober.hold_target, hold_s=hold_s, observe=observe), errors, done)
    targets = {
        host.name: offers[host.name].target if host.name in offers else unreachable_target(host) for host in fleet.hosts
    }
    able = [host for host in asking if host.name not in errors]
    answers = _each(prober, able, partial(prober.batch, targets, questions, numbers), errors, done)
    # What cannot be let go ends by itself, as all of it does with the sessions where this is left early. A host that
    # has just been lost is not waited for: others wait for their confirmation.
    held = [host for host in there if host.name in offers and host.name not in errors]
    ends = fan_out(prober.executor, held, partial(prober.release, offers))
    observed = {host.name: end for host, end in ends if not isinstance(end, HostError)}
    found = with_causes(batch.build_report(fleet, questions, answers, errors), fleet, targets)
    return replace(with_sources(found, fleet, targets, observed), partial=pairs is not None)


def _each(
    prober: Prober, hosts: Iterable[Host], job: Callable[[Host], T], errors: dict[str, HostFailure], done: Done
) -> dict[str, T]:
    """What came of the job on each host; where nothing did, `errors` has why."""
    results = {}
    for host, result in fan_out(prober.executor, hosts, job):
        if isinstance(result, HostError):
            errors[host.name] = result.failure
        else:
            results[host.name] = result
        done(host.name, str(errors[host.name]) if host.name in errors else None)
    return results
