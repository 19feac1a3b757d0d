"""The job, round by round. All tools take turns within a round, so that other load affects all of them."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median_low

from tests.bench.cold import Cost, run
from tests.bench.fleet import Fleet
from tests.bench.rivals import mesh
from tests.bench.rivals.tool import Command, Tool
from tests.bench.sample import Sample
from tests.far_controller import FarController

_OK, _PENDING = frozenset({0}), frozenset({2})
_PHASES = ("reading", "changing", "probing", "confirming")
_WORDS = ("--serial", "100%", "--yes")


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a round: the fleet, the controller, and the round-trip time between them."""

    fleet: Fleet
    controller: FarController
    rtt_ms: int
    measured_rtt_ms: float
    docker: bool = False
    few: bool = False

    def run(self, command: Command, ends: frozenset[int]) -> Cost:
        """Run a command as a cold process."""
        fleet = self.fleet
        return run(command(fleet), within=self.controller.namespace, home=fleet.folder, ends=ends)

    def measure(self, tool: str, verb: str, number: int, command: Command, ends: frozenset[int] = _OK) -> Sample:
        """Measure one run, including the CPU time and the round trips of the hosts."""
        self.controller.trips()
        before = self.fleet.host_cpu_s()
        taken = self.run(command, ends)
        hosts_s = self.fleet.host_cpu_s() - before
        # In a large fleet, a host replies later than the round trip, which spoils the count.
        trips = self.controller.trips().values() if self.few else ()
        sample = Sample(
            tool=tool,
            verb=verb,
            hosts=len(self.fleet.hosts),
            rtt_ms=self.rtt_ms,
            round=number,
            wall_s=taken.wall_s,
            cpu_s=taken.cpu_s,
            host_cpu_s=hosts_s,
            peak_mib=taken.peak_mib,
            measured_rtt_ms=self.measured_rtt_ms,
            docker=self.docker,
            few=self.few,
            round_trips=median_low(each.round_trips for each in trips) if trips else None,
            connections=median_low(each.connections for each in trips) if trips else None,
            parts=parts(taken) if tool == mesh.NAME else {},
        )
        _print_progress(sample)
        return sample


def warm(place: Place, tools: tuple[Tool, ...]) -> None:
    """Run each tool's read once without measuring, so that file caches and neighbour entries are warm."""
    for tool in tools:
        tool.prepare(place.fleet)
        if "read" in tool.verbs:
            place.run(tool.verbs["read"], _OK)
    place.run(mesh.call("plan"), _PENDING)


def rounds(place: Place, tools: tuple[Tool, ...], number: int, verbs: frozenset[str]) -> Iterator[Sample]:
    """One round: all tools read, the other tools apply, dockmesh does its whole job. The hosts end unchanged."""
    if "read" in verbs:
        yield from _reads(place, tools, number)
    if "apply" in verbs:
        for tool in tools:
            yield place.measure(tool.name, "apply", number, tool.verbs["apply"])
            place.fleet.compare(tool.name, joined=True)
            place.fleet.flush()
    if verbs - {"read"}:
        yield from (each for each in _mesh(place, tools, number, verbs) if each.verb in verbs)


def _reads(place: Place, tools: tuple[Tool, ...], number: int) -> Iterator[Sample]:
    readers = [(tool.name, tool.verbs["read"], _OK) for tool in tools if "read" in tool.verbs]
    readers.append((mesh.NAME, mesh.call("plan"), _PENDING))
    turn = number % len(readers)
    for name, command, ends in (*readers[turn:], *readers[:turn]):
        yield place.measure(name, "read", number, command, ends)


def _mesh(place: Place, tools: tuple[Tool, ...], number: int, verbs: frozenset[str]) -> Iterator[Sample]:
    """Apply, recheck, status; a host leaves (not timed) and joins; destroy. Apply and destroy are necessary."""
    yield place.measure(mesh.NAME, "apply", number, mesh.call("apply", *_WORDS))
    place.fleet.compare(mesh.NAME, joined=True)
    if "recheck" in verbs:
        for tool in tools:
            if "recheck" in tool.verbs:
                yield place.measure(tool.name, "recheck", number, tool.verbs["recheck"])
        yield place.measure(mesh.NAME, "recheck", number, mesh.call("plan"))
    if "status" in verbs:
        yield place.measure(mesh.NAME, "status", number, mesh.call("status"))
    if "add-one-host" in verbs:
        place.run(mesh.call("destroy", "--limit", mesh.last(place.fleet), *_WORDS), _OK)
        place.run(mesh.call("apply", *_WORDS, inventory="fewer.yml"), _OK)
        yield place.measure(mesh.NAME, "add-one-host", number, mesh.call("apply", *_WORDS))
        place.fleet.compare(mesh.NAME, joined=True)
    yield place.measure(mesh.NAME, "destroy", number, mesh.call("destroy", *_WORDS))
    place.fleet.compare(mesh.NAME, joined=False)


def parts(cost: Cost) -> dict[str, float]:
    """Duration of each phase of a call, from the times of its progress lines; the rest is the table."""
    found: dict[str, float] = {}
    before = 0.0
    for at, line in cost.said:
        phase = line.split(" ", 1)[0]
        if phase in _PHASES:
            found[phase] = round(found.get(phase, 0) + at - before, 4)
            before = at
    return found | {"rest": round(cost.wall_s - before, 4)}


def _print_progress(sample: Sample) -> None:
    where = f"{sample.hosts} hosts{' with Docker' * sample.docker}, RTT {sample.rtt_ms} ms, round {sample.round}"
    trips = "" if sample.round_trips is None else f", {sample.round_trips} round trips"
    sys.stderr.write(f"{where}: {sample.tool} {sample.verb} {sample.wall_s:.2f} s{trips}\n")
