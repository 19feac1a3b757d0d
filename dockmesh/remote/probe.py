"""Probes of the mesh: one script per host sends all its probes, on all hosts in parallel."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange, parse_pending, parse_reverted
from dockmesh.core.host_output import ABSENT, split
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes import batch
from dockmesh.core.probes.diagnosis import with_causes
from dockmesh.core.probes.ids import nonce, probe_ids
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.probes.observed import ObservedPing, parse_observed
from dockmesh.core.probes.pairs import Pair
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.probes.source_check import with_sources
from dockmesh.core.probes.targets import HOLD_S, held_target_script, parse_target, unreachable_target
from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult
from dockmesh.core.templates import Templates
from dockmesh.errors import HostFailure
from dockmesh.remote.fanout import HostResults, ObservedFanOut, PhaseEvents, fan_out
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import HeldScript


@dataclass(frozen=True, slots=True)
class HeldTarget:
    """A target with the script that holds its container and its addresses, and its changes without confirmation."""

    target: ProbeTarget
    held: HeldScript
    pending: PendingChange | None
    reverted: RevertedChange | None


@dataclass(frozen=True, slots=True)
class Prober:
    """Probes hosts over `sessions`. `offset` separates its targets from those of other runs at the same time.

    `forks`: the number of hosts that the executor of the fan-out serves in parallel. `seed`: a random number, for the
    ICMP ids of the probes. `phases`: the number of the next probes of the mesh, because each has other ids.
    """

    fan_out: ObservedFanOut
    forks: int
    sessions: Sessions
    templates: Templates
    offset: int
    timeout_s: float
    seed: int = 0
    phases: Iterator[int] = field(default_factory=count)

    def hold_target(self, host: Host, *, hold_s: int, observe: bool) -> HeldTarget:
        """Prepare the host as a target until its release or the end of the session, at most `hold_s` seconds."""
        script = held_target_script(host, self.templates, offset=self.offset, hold_s=hold_s, observe=observe)
        held = self.sessions.open(host).hold(script, timeout_s=self.timeout_s)
        sections, now = split(held.output), datetime.now(UTC)
        return HeldTarget(
            parse_target(host, sections), held, parse_pending(sections, now), parse_reverted(sections, now)
        )

    def release(self, held: HeldScript) -> frozenset[ObservedPing]:
        """End the script of a held target. Returns the pings that the target observed."""
        output = held.release(timeout_s=self.timeout_s)
        return parse_observed(split(output).get("observed_pings", ABSENT))

    def run_batch(
        self,
        host: Host,
        probes: Sequence[Probe],
        targets: Mapping[str, ProbeTarget],
        *,
        positions: Mapping[str, int],
        phase: int,
        packets: int = 1,
    ) -> tuple[ProbeResult, ...]:
        """Send all probes of one host. `positions`: the place of each host in the fleet."""
        own, texts, position = targets.get(host.name), self.templates, positions[host.name]
        row = batch.row_script(
            probes,
            targets,
            texts,
            pid=own.pid if own else None,
            ids=probe_ids(self.seed, phase, position),
            nonce=nonce(self.seed, phase, position),
            positions=positions,
            count=packets,
        )
        script = f"{texts.output}\n{texts.probe}\n{row}run_section end true\n"
        timeout_s = self.timeout_s + batch.row_s(len(probes), packets)
        output = self.sessions.open(host).run(script, timeout_s=timeout_s)
        return tuple(batch.parse_row(probes, targets, split(output)["probes"]))


def probe_mesh(
    prober: Prober,
    fleet: Fleet,
    sources: Iterable[Host],
    *,
    about: Collection[str] | None = None,
    pairs: Collection[Pair] | None = None,
    lost: Mapping[str, HostFailure] | None = None,
    observe: bool = False,
    packets: int = 1,
) -> MeshResult:
    """Probe from every host of `sources`, which are hosts of the fleet, to every host of the fleet.

    `about`: probe only pairs with one of these hosts. `pairs`: probe only these pairs. `lost`: hosts that receive no
    script, with the reasons. `observe`: the targets report the source address of each probe. `packets`: the number of
    packets per probe.
    """
    lost = lost or {}
    probes = _probes_by_source(fleet, tuple(sources), about, pairs)
    present = [host for host in fleet.hosts if host.name not in lost]
    executor = prober.fan_out.executor
    hold_s, phase = _hold_s(probes, len(fleet.hosts), prober.forks, packets), next(prober.phases)
    events = PhaseEvents.start(prober.fan_out.emit, "probe", len(present))

    prepared = fan_out(executor, present, lambda host: prober.hold_target(host, hold_s=hold_s, observe=observe))
    held = HostResults.collect(events.watch(prepared, unfinished=probes))
    targets = {
        host.name: held.values[host.name].target if host.name in held.values else unreachable_target(host)
        for host in fleet.hosts
    }

    positions = {host.name: position for position, host in enumerate(fleet.hosts)}
    ready = [host for host in present if host.name in probes and host.name in held.values]
    sent = fan_out(
        executor,
        ready,
        lambda host: prober.run_batch(
            host, probes[host.name], targets, positions=positions, phase=phase, packets=packets
        ),
    )
    probed = HostResults.collect(events.watch(sent))

    # Lost hosts are not released, because other hosts wait for a confirmation. Their scripts end with their sessions.
    holding = [host for host in present if host.name in held.values and host.name not in probed.errors]
    observed = HostResults.collect(
        fan_out(executor, holding, lambda host: prober.release(held.values[host.name].held))
    ).values
    errors = {**lost, **held.errors, **probed.errors}
    result = with_causes(batch.mesh_result(fleet, probes, probed.values, errors), fleet, targets)
    hosts = tuple(_with_unconfirmed(each, held.values.get(each.host)) for each in result.hosts)
    time = datetime.now(UTC).replace(microsecond=0)
    ids = {name: probe_ids(prober.seed, phase, position) for name, position in positions.items()}
    sourced = with_sources(result, fleet, targets, observed, ids)
    return replace(sourced, hosts=hosts, time=time, partial=pairs is not None)


def _with_unconfirmed(host: HostResult, held: HeldTarget | None) -> HostResult:
    return replace(host, pending=held.pending, reverted=held.reverted) if held else host


def _probes_by_source(
    fleet: Fleet, sources: Sequence[Host], about: Collection[str] | None, pairs: Collection[Pair] | None
) -> dict[str, list[Probe]]:
    probes: dict[str, list[Probe]] = {host.name: [] for host in sources}
    for probe in plan_probes(fleet, sources, about, pairs):
        probes[probe.source].append(probe)
    return probes


def _hold_s(probes: Mapping[str, Sequence[Probe]], hosts: int, forks: int, packets: int) -> int:
    """Seconds for which targets are held. The first target must last until the last turn of `forks` hosts ends."""
    turns = -(-hosts // forks)
    return turns * (HOLD_S + int(max((batch.row_s(len(row), packets) for row in probes.values()), default=0)))
