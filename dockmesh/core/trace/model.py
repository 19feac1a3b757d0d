"""Defines the ends of a trace, its capture points and its captures."""

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
    """One end of a trace. Without `container`, it is the probe target of the host, as for `dockmesh status`."""

    host: Host
    container: str | None = None

    def __str__(self) -> str:
        """HOST or HOST:CONTAINER, as on the command line."""
        return f"{self.host.name}:{self.container}" if self.container else self.host.name


@dataclass(frozen=True, slots=True)
class EndpointPair:
    """The source and the target of a trace or an explanation."""

    source: Endpoint
    target: Endpoint

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Both ends, the source first."""
        return self.source, self.target


@dataclass(frozen=True, slots=True)
class TraceQuery(EndpointPair):
    """A trace to run.

    `run` names the captures on the hosts. `size` is the payload of the pings in bytes; it distinguishes them from
    other pings.
    """

    run: str
    size: int


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """The address of an end.

    `pid` is a process in its network namespace, 0 for the host's own namespace. `held`: the namespace was created for
    this run.
    """

    address: IPv4Address
    pid: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """An interface on which packets are captured.

    `mac` is None for a container or an interface without MAC address. `error` is the reason if the capture failed.
    """

    host: str
    place: CapturePlace
    interface: str
    mac: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        """The interface and its host, for messages."""
        return f"{self.interface} of {'the container on ' if self.place == 'container' else ''}{self.host}"


@dataclass(frozen=True, slots=True)
class Capture:
    """The packets captured at a point, as a pcap file."""

    point: Point
    pcap: bytes


@dataclass(frozen=True, slots=True)
class CaptureSet:
    """All captures of a run, ordered from the source's container to the target's.

    `addresses` has the address of each end by host. `errors` has the hosts that failed.
    """

    query: TraceQuery
    addresses: Mapping[str, EndpointAddress] = field(default_factory=dict)
    captures: tuple[Capture, ...] = ()
    ping_output: str = ""
    errors: Mapping[str, HostFailure] = field(default_factory=dict)


def parse_endpoint(fleet: Fleet, text: str) -> Endpoint:
    """Read HOST or HOST:CONTAINER.

    Raises:
        UsageError: the host is unknown or has no Docker, or the container name is invalid.
    """
    name, colon, container = text.partition(":")
    host = next((host for host in fleet.hosts if host.name == name), None)
    if host is None:
        near = did_you_mean(name, sorted(host.name for host in fleet.hosts), most=3)
        raise UsageError(f"the inventory has no host {quoted(name)}{near}", code=UsageCode.UNKNOWN_HOST)
    if colon and not _CONTAINER.fullmatch(container):
        raise UsageError(
            f"{quoted(text)}: invalid container name. Fix: use HOST or HOST:CONTAINER", code=UsageCode.BAD_CONTAINER
        )
    if colon and not host.docker:
        raise UsageError(
            f"{quoted(text)}: {name} has docker: false in the inventory. Fix: use {name} without a container",
            code=UsageCode.NO_DOCKER,
        )
    return Endpoint(host, container or None)


def parse_ends(fleet: Fleet, source: str, target: str) -> tuple[Endpoint, Endpoint]:
    """Read the two ends of the command line.

    Raises:
        UsageError: see `parse_endpoint`, or both ends are on one host.
    """
    ends = parse_endpoint(fleet, source), parse_endpoint(fleet, target)
    if ends[0].host == ends[1].host:
        raise UsageError(
            f"{quoted(source)} and {quoted(target)} are on the same host. Fix: name two hosts", code=UsageCode.SAME_HOST
        )
    return ends


def trace_query(fleet: Fleet, source: str, target: str, *, run: str, size: int) -> TraceQuery:
    """Build the query for a trace. Arguments and errors are those of `parse_ends`."""
    return TraceQuery(*parse_ends(fleet, source, target), run, size)
