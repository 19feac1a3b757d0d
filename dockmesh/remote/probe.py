"""Probes of the mesh: each host is held as a target, and one script per host sends all its probes, on all at once."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange, parse_pending, parse_reverted
from dockmesh.core.host_output import ABSENT, split
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes import batch
from dockmesh.core.probes.diagnosis import with_causes
from dockmesh.core.probes.ids import ProbeIds, nonce, probe_ids
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.probes.observed import ObservedPing, parse_observed
from dockmesh.core.probes.pairs import Selection
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.probes.source_check import with_sources
from dockmesh.core.probes.targets import continued_script, held_target_script, parse_target, unreachable_target
from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult
from dockmesh.core.templates import Templates
from dockmesh.errors import HostFailure
from dockmesh.remote.fanout import HostResults, ObservedFanOut, PhaseEvents, fan_out
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import HeldScript

# How long in seconds a target waits for its next script. If the controller is lost without a trace, it then ends.
HOLD_S = 120
# Containers come and go, so an older target is prepared again.
_FRESH_S = 60


@dataclass(frozen=True, slots=True)
class HeldTarget:
    """A target with the shell that holds its container and its addresses, and its changes without confirmation.

    `fresh_until`: the monotonic time at which it is too old.
    """

    host: Host
    target: ProbeTarget
    held: HeldScript
    pending: PendingChange | None
    reverted: RevertedChange | None
    fresh_until: float

    def run(self, script: str, *, timeout_s: float) -> str:
        """Run a script in the shell of the target; see `transport.Session.run`."""
        self.held.send(continued_script("(", script, ")"), timeout_s=timeout_s)
        return self.held.receive(timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class Prober:
    """Probes hosts over `sessions`. `offset` separates its targets from those of other runs at the same time.

    `seed`: a random number, for the ICMP ids of the probes. `phases`: the number of the next probes of the mesh,
    because each has other ids.
    """

    fan_out: ObservedFanOut
    sessions: Sessions
    templates: Templates
    offset: int
    timeout_s: float
    seed: int = 0
    phases: Iterator[int] = field(default_factory=count)

    def hold(self, host: Host, sessions: Sessions | None = None, *, hold_s: int = HOLD_S) -> HeldTarget:
        """Prepare the host as a target, until its release, the end of the session, or `hold_s` without a script."""
        fresh_until = time.monotonic() + min(_FRESH_S, hold_s / 2)
        script = held_target_script(host, self.templates, offset=self.offset, hold_s=hold_s, observe=True)
        held = (sessions or self.sessions).open(host).hold(script, timeout_s=self.timeout_s)
        sections, now = split(held.output), datetime.now(UTC)
        pending, reverted = parse_pending(sections, now), parse_reverted(sections, now)
        return HeldTarget(host, parse_target(host, sections), held, pending, reverted, fresh_until)

    def release(self, target: HeldTarget) -> frozenset[ObservedPing]:
        """End the shell of a target. Returns the pings that the target observed."""
        output = target.held.release(timeout_s=self.timeout_s)
        return parse_observed(split(output).get("observed_pings", ABSENT))


@dataclass(frozen=True, slots=True)
class ProbedPairs:
    """The result of probes before their source addresses are checked, with their targets, and their ids by source."""

    result: MeshResult
    targets: Mapping[str, ProbeTarget]
    ids: Mapping[str, ProbeIds]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of all sources in one phase. `packets`: the packets of each probe.

    `grace_s`: how much longer than its longest duration a row may take.
    """

    probes: Mapping[str, Sequence[Probe]]
    targets: Mapping[str, ProbeTarget]
    ids: Mapping[str, ProbeIds]
    phase: int
    packets: int
    grace_s: float


class HeldMesh:
    """The held targets of a run, by host name, and the probes between them. For one thread."""

    def __init__(self, prober: Prober, fleet: Fleet) -> None:
        self._prober = prober
        self._fleet = fleet
        self._executor = prober.fan_out.executor
        self.targets: dict[str, HeldTarget] = {}
        self.errors: dict[str, HostFailure] = {}
        self._observed: dict[str, frozenset[ObservedPing]] = {}

    def hold(
        self,
        hosts: Sequence[Host],
        *,
        sessions: Sessions | None = None,
        hold_s: int = HOLD_S,
        events: PhaseEvents | None = None,
        unfinished: Collection[str] = (),
    ) -> None:
        """Hold further hosts. Hosts that cannot be held become `errors`.

        `hold_s`: see `Prober.hold`. `unfinished`: see `PhaseEvents.watch`.
        """
        watched = events or PhaseEvents.start(self._prober.fan_out.emit, "hold", len(hosts))
        results = fan_out(self._executor, hosts, lambda host: self._prober.hold(host, sessions, hold_s=hold_s))
        held = HostResults.collect(watched.watch(results, unfinished=unfinished))
        self.targets |= held.values
        self.errors |= held.errors

    def probe(
        self,
        selection: Selection,
        *,
        wanted: Callable[[Probe], bool] | None = None,
        packets: int = 1,
        grace_s: float | None = None,
        events: PhaseEvents | None = None,
    ) -> ProbedPairs:
        """Send the probes of the selected pairs. The result has the hosts of these pairs, in the order of the fleet.

        `wanted`: whether to send a probe of a selected pair. `grace_s`: how much longer than expected a row may take.
        """
        names = {*selection, *(name for targets in selection.values() for name in targets)}
        part = replace(self._fleet, hosts=tuple(host for host in self._fleet.hosts if host.name in names))
        sources = tuple(host for host in part.hosts if host.name in selection)
        ready = [host for host in sources if host.name in self.targets]
        watched = events or PhaseEvents.start(self._prober.fan_out.emit, "probe", len(ready))
        probes: dict[str, list[Probe]] = {host.name: [] for host in sources}
        for probe in filter(wanted, plan_probes(part, sources, selection)):
            probes[probe.source].append(probe)
        targets, phase = self._probe_targets(part), next(self._prober.phases)
        ids = {name: probe_ids(self._prober.seed, phase, at) for name, at in self._fleet.positions.items()}
        grace_s = self._prober.timeout_s if grace_s is None else grace_s
        rows = self._rows(ready, _Rows(probes, targets, ids, phase, packets, grace_s), watched)
        errors = {name: error for name, error in {**self.errors, **rows.errors}.items() if name in names}
        result = with_causes(batch.mesh_result(part, probes, rows.values, errors), part, targets)
        ended = datetime.now(UTC).replace(microsecond=0)
        hosts = tuple(map(self._with_unconfirmed, result.hosts))
        return ProbedPairs(replace(result, hosts=hosts, time=ended), targets, ids)

    def release_outdated(self) -> None:
        """Release the targets that are too old."""
        now = time.monotonic()
        self.release([name for name, target in self.targets.items() if target.fresh_until < now])

    def release(self, names: Iterable[str]) -> None:
        """Release some targets."""
        released = [self.targets.pop(name) for name in [*names] if name in self.targets]
        by_host = {each.host.name: each for each in released}
        hosts = [each.host for each in released]
        results = fan_out(self._executor, hosts, lambda host: self._prober.release(by_host[host.name]))
        # A target that is lost now has served its purpose: it only does not report what it observed.
        for name, observed in HostResults.collect(results).values.items():
            self._observed[name] = self._observed.get(name, frozenset()) | observed

    def with_observed_sources(self, probed: ProbedPairs) -> MeshResult:
        """The result with the source addresses that the targets reported when they were released."""
        return with_sources(probed.result, self._fleet, probed.targets, self._observed, probed.ids)

    def _probe_targets(self, part: Fleet) -> dict[str, ProbeTarget]:
        return {
            host.name: self.targets[host.name].target if host.name in self.targets else unreachable_target(host)
            for host in part.hosts
        }

    def _rows(self, sources: Sequence[Host], rows: _Rows, events: PhaseEvents) -> HostResults[tuple[ProbeResult, ...]]:
        """Send the rows of all sources, and then receive the results: the rows run on all hosts at the same time."""
        timeout_s = self._prober.timeout_s

        def send(host: Host) -> None:
            position = self._fleet.positions[host.name]
            row = batch.row_script(
                rows.probes[host.name],
                rows.targets,
                self._prober.templates,
                pid=rows.targets[host.name].pid,
                ids=rows.ids[host.name],
                nonce=nonce(self._prober.seed, rows.phase, position),
                positions=self._fleet.positions,
                count=rows.packets,
            )
            self.targets[host.name].held.send(continued_script(row), timeout_s=timeout_s)

        def receive(host: Host) -> tuple[ProbeResult, ...]:
            probes = rows.probes[host.name]
            row_s = batch.row_s(len(probes), rows.packets)
            output = self.targets[host.name].held.receive(timeout_s=rows.grace_s + row_s)
            return tuple(batch.parse_row(probes, rows.targets, split(output)["probes"]))

        sent = HostResults.collect(fan_out(self._executor, sources, send))
        waiting = [host for host in sources if host.name not in sent.errors]
        received = HostResults.collect(events.watch(fan_out(self._executor, waiting, receive)))
        for name, failure in sent.errors.items():
            events.finish(name, failure.message)
        errors = {**sent.errors, **received.errors}
        for name in errors:
            # The shell ends with its session.
            self.targets.pop(name, None)
        return HostResults(received.values, errors)

    def _with_unconfirmed(self, host: HostResult) -> HostResult:
        held = self.targets.get(host.host)
        return replace(host, pending=held.pending, reverted=held.reverted) if held else host


def probe_mesh(
    prober: Prober,
    fleet: Fleet,
    sources: Iterable[Host],
    *,
    selection: Selection | None = None,
    lost: Mapping[str, HostFailure] | None = None,
    packets: int = 1,
) -> MeshResult:
    """Probe from every host of `sources`, which are hosts of the fleet, to every host of the fleet.

    `selection`: probe only these pairs. `lost`: hosts that receive no script, with the reasons. `packets`: the packets
    of each probe.
    """
    mesh = HeldMesh(prober, fleet)
    mesh.errors |= lost or {}
    names = frozenset(fleet.positions)
    chosen = selection if selection is not None else dict.fromkeys((host.name for host in sources), names)
    present = [host for host in fleet.hosts if host.name not in mesh.errors]
    events = PhaseEvents.start(prober.fan_out.emit, "probe", len(present))
    mesh.hold(present, events=events, unfinished=chosen)
    probed = mesh.probe(chosen, packets=packets, events=events)
    mesh.release([*mesh.targets])
    return replace(mesh.with_observed_sources(probed), partial=selection is not None)
