"""Types of the measurements."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """Cost of a cold process. `cpu_s` is CPU time of the controller, `host_cpu_s` that of all hosts.

    `rtt_ms` is the requested round-trip time, `measured_rtt_ms` the real one. `peak_mib` is the peak of the largest
    process. `parts` has the wall time of each phase, in seconds. `few` marks the measurement of a fleet so small that
    no host waits for another. `round_trips` and `connections` are the median over the hosts, if a relay counted them.
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
    measured_rtt_ms: float = 0.0
    docker: bool = False
    few: bool = False
    round_trips: int | None = None
    connections: int | None = None
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a run, in order."""

    taken: tuple[Sample, ...]

    def of(
        self,
        tool: str,
        verb: str,
        *,
        hosts: int | None = None,
        rtt_ms: int | None = None,
        docker: bool = False,
        few: bool = False,
    ) -> tuple[Sample, ...]:
        """The samples of a tool's verb, in the order of rounds; None selects every fleet size or round trip."""
        return tuple(
            each
            for each in self.taken
            if (each.tool, each.verb, each.docker, each.few) == (tool, verb, docker, few)
            and hosts in {None, each.hosts}
            and rtt_ms in {None, each.rtt_ms}
        )

    @property
    def calls(self) -> tuple[tuple[str, str], ...]:
        """Every measured tool and verb, without duplicates."""
        return tuple(dict.fromkeys((each.tool, each.verb) for each in self.taken))

    @property
    def places(self) -> tuple[tuple[bool, int, int], ...]:
        """Every measured combination (Docker or not, hosts, round trip), without duplicates and few hosts."""
        return tuple(dict.fromkeys((each.docker, each.hosts, each.rtt_ms) for each in self.taken if not each.few))
