"""What one run of one tool cost."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """A cold process from start to end. `host_cpu_s` is the hosts' own work, `cpu_s` that of the controller alone.

    `peak_mib` is that of the largest process. `parts`: the share of a verb's phases in its wall time, in seconds.
    """

    tool: str
    verb: str
    hosts: int
    rtt_ms: int
    round: int
    wall_s: float
    cpu_s: float
    host_cpu_s: float
    peak_mib: float
    docker: bool = False
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Samples:
    """All that was measured, in the order of measuring."""

    taken: tuple[Sample, ...]

    def of(
        self, tool: str, verb: str, *, hosts: int | None = None, rtt_ms: int | None = None, docker: bool = False
    ) -> tuple[Sample, ...]:
        """Those of a tool's verb, of any fleet and round trip that is not told, in the order of rounds."""
        return tuple(
            each
            for each in self.taken
            if (each.tool, each.verb, each.docker) == (tool, verb, docker)
            and hosts in {None, each.hosts}
            and rtt_ms in {None, each.rtt_ms}
        )

    @property
    def places(self) -> tuple[tuple[bool, int, int], ...]:
        """Each (Docker or not, hosts, round trip) that was measured, once."""
        return tuple(dict.fromkeys((each.docker, each.hosts, each.rtt_ms) for each in self.taken))
