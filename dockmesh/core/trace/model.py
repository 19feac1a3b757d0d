"""What a trace is about: its two ends, the points a packet is captured at, the captures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostFailure, UsageError

CapturePlace = Literal["container", "bridge", "uplink"]

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a trace. Without `container` it is what status probes: a container, or a host that has no Docker."""

    host: Host
    container: str | None = None

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"{self.host.name}:{self.container}" if self.container else self.host.name


@dataclass(frozen=True, slots=True)
class EndpointPair:
    """From where to where."""

    source: Endpoint
    target: Endpoint

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Both ends, the source first."""
        return self.source, self.target


@dataclass(frozen=True, slots=True)
class TraceQuery(EndpointPair):
    """What is traced. `run` names the run's captures on the hosts; its pings carry `size` bytes, as no other."""

    run: str
    size: int


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """Where an end is. `pid` has its network namespace, 0 stands for the host's own. `held`: made for the trace."""

    address: IPv4Address
    pid: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """Where packets are captured. `mac` is None for a container, or where the interface has none.

    `error` says why nothing can be captured there.
    """

    host: str
    place: CapturePlace
    interface: str
    mac: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        """As people say it."""
        return f"{self.interface} of {'the container on ' if self.place == 'container' else ''}{self.host}"


@dataclass(frozen=True, slots=True)
class Capture:
    """What passed at a point, as a pcap file."""

    point: Point
    pcap: bytes


@dataclass(frozen=True, slots=True)
class CaptureSet:
    """What a run brought home: the captures in the order of the way, from the source's container to the target's.

    `said` is ping's output, `errors` the hosts' that did not do their part.
    """

    query: TraceQuery
    found: Mapping[str, EndpointAddress] = field(default_factory=dict)
    captures: tuple[Capture, ...] = ()
    ping_output: str = ""
    errors: Mapping[str, HostFailure] = field(default_factory=dict)


def parse_endpoint(fleet: Fleet, text: str) -> Endpoint:
    """Read HOST or HOST:CONTAINER.

    Raises:
        UsageError: there is no such host, no container can be called so, or the host has no Docker.
    """
    name, colon, container = text.partition(":")
    host = next((host for host in fleet.hosts if host.name == name), None)
    if host is None:
        near = did_you_mean(name, sorted(host.name for host in fleet.hosts), most=3)
        raise UsageError(f"the inventory has no host called {quoted(name)}{near}", code=UsageCode.UNKNOWN_HOST)
    if colon and not _CONTAINER.fullmatch(container):
        raise UsageError(
            f"{quoted(text)}: no container can be called so; give HOST or HOST:CONTAINER", code=UsageCode.BAD_CONTAINER
        )
    if colon and not host.docker:
        raise UsageError(
            f"{quoted(text)}: the inventory says that {name} has no Docker; give the host alone",
            code=UsageCode.NO_DOCKER,
        )
    return Endpoint(host, container or None)


def parse_ends(fleet: Fleet, source: str, target: str) -> tuple[Endpoint, Endpoint]:
    """Two ends as they are written on the command line.

    Raises:
        UsageError: as `parse_endpoint`, or both are on one host.
    """
    ends = parse_endpoint(fleet, source), parse_endpoint(fleet, target)
    if ends[0].host == ends[1].host:
        raise UsageError(
            f"{quoted(source)} and {quoted(target)} are on the same host: name two hosts", code=UsageCode.SAME_HOST
        )
    return ends


def trace_query(fleet: Fleet, source: str, target: str, *, run: str, size: int) -> TraceQuery:
    """The trace between two ends; arguments and errors as those of `parse_ends`."""
    return TraceQuery(*parse_ends(fleet, source, target), run, size)
