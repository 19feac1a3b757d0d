"""The job, round by round. All tools take turns within a round, so that other load affects all of them."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.cold import Cost, run
from tests.bench.fleet import Fleet
from tests.bench.rivals import mesh
from tests.bench.rivals.tool import Command, Tool
from tests.bench.sample import Sample

_OK, _PENDING = frozenset({0}), frozenset({2})
_PHASES = ("reading", "changing", "probing", "confirming")
_WORDS = ("--serial", "100%", "--yes")


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a round: the fleet, the controller's network namespace, and the round-trip time between them."""

    fleet: Fleet
    within: str
    rtt_ms: int
    docker: bool

    def run(self, command: Command, ends: frozenset[int]) -> Cost:
        """Run a command as a cold process."""
        fleet = self.fleet
        return run(command(fleet), within=self.within, home=fleet.folder, ends=ends)

    def sample(self, tool: str, verb: str, number: int, cost: Callable[[], Cost]) -> Sample:
        """Measure one run, including the CPU time of the hosts."""
        before = self.fleet.host_cpu_s()
        taken = cost()
        hosts_s = self.fleet.host_cpu_s() - before
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
            docker=self.docker,
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


def rounds(place: Place, tools: tuple[Tool, ...], number: int) -> Iterator[Sample]:
    """One round: all tools read, the other tools apply, dockmesh does its whole job. The hosts end unchanged."""
    readers = [(tool.name, tool.verbs["read"], _OK) for tool in tools if "read" in tool.verbs]
    readers.append((mesh.NAME, mesh.call("plan"), _PENDING))
    turn = number % len(readers)
    for name, command, ends in (*readers[turn:], *readers[:turn]):
        yield place.sample(name, "read", number, lambda: place.run(command, ends))  # noqa: B023
    for tool in tools:
        yield place.sample(
            tool.name,
            "apply",
            number,
            lambda: place.run(tool.verbs["apply"], _OK),  # noqa: B023
        )
        place.fleet.compare(tool.name, joined=True)
        place.fleet.flush()
    yield from _mesh(place, tools, number)


def _mesh(place: Place, tools: tuple[Tool, ...], number: int) -> Iterator[Sample]:
    """Apply, recheck, status; a host leaves (not timed) and joins; destroy."""

    def timed(verb: str, command: Command) -> Sample:
        return place.sample(mesh.NAME, verb, number, lambda: place.run(command, _OK))

    yield timed("apply", mesh.call("apply", *_WORDS))
    place.fleet.compare(mesh.NAME, joined=True)
    for tool in tools:
        if "recheck" in tool.verbs:
            yield place.sample(
                tool.name,
                "recheck",
                number,
                lambda: place.run(tool.verbs["recheck"], _OK),  # noqa: B023
            )
    yield timed("recheck", mesh.call("plan"))
    yield timed("status", mesh.call("status"))
    place.run(mesh.call("destroy", "--limit", mesh.last(place.fleet), *_WORDS), _OK)
    place.run(mesh.call("apply", *_WORDS, inventory="fewer.yml"), _OK)
    yield timed("add-one-host", mesh.call("apply", *_WORDS))
    place.fleet.compare(mesh.NAME, joined=True)
    yield timed("destroy", mesh.call("destroy", *_WORDS))
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
    sys.stderr.write(f"{where}: {sample.tool} {sample.verb} {sample.wall_s:.2f} s\n")
