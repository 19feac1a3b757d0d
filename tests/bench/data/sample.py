"""Types of the measurements of the data path."""

from dataclasses import dataclass

# What is measured, with its unit, and whether more is better.
KINDS = {"tcp": ("TCP", "Gbit/s", True), "udp": ("UDP, 64 bytes", "kpps", True), "rr": ("request", "µs", False)}


@dataclass(frozen=True, slots=True)
class Place:
    """Hosts of one Docker generation: the release, Docker's version, and the number of containers on each host."""

    release: str
    docker: str
    containers: int

    def __str__(self) -> str:
        return (
            f"{self.release}, Docker {self.docker}, {self.containers} container{'s' * (self.containers != 1)} per host"
        )


@dataclass(frozen=True, slots=True)
class DataSample:
    """A figure of one kind of traffic, with its unit as in KINDS. `peers` is None for variants without peers."""

    place: Place
    variant: str
    peers: int | None
    kind: str
    round: int
    value: float

    @property
    def speed(self) -> float:
        """The figure so that more is better."""
        return self.value if KINDS[self.kind][2] else 1 / self.value
