"""Defines an explanation: its query, its steps and its fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.model import Fleet
from dockmesh.core.trace.model import EndpointPair, parse_ends
from dockmesh.errors import HostFailure

Direction = Literal["there", "back"]


class Check(StrEnum):
    """The subject of a step, for scripts and tests. Values are stable."""

    LOGIN = "login"
    DOCKER = "docker"
    BRIDGE = "bridge"
    CONTAINER = "container"
    FORWARDING = "forwarding"
    UPLINK = "uplink"
    ROUTE = "route"
    NEIGHBOUR = "neighbour"
    RP_FILTER = "rp-filter"
    FIREWALL = "firewall"
    MARKS = "marks"
    RAW = "raw"
    FILTER = "filter"
    NFT = "nft"
    FIREWALLD = "firewalld"
    SOURCE = "source"
    MTU = "mtu"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class ExplainQuery(EndpointPair):
    """The path to explain, between two ends of a fleet.

    `size` is the payload of the probe in bytes; it distinguishes the probe from other pings.
    """

    fleet: Fleet
    size: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on the path, with its cause and remedy.

    `remedy` is a command. The prefix `on HOST: ` marks a command for the shell of that host. `blocks` is False for a
    fault that does not stop the probe, such as a wrong source address.
    """

    code: FaultCode
    cause: str
    remedy: str
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One check on the path. `ok` is None if the result is unknown."""

    host: str
    direction: Direction
    check: Check
    ok: bool | None
    detail: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All steps, whether the target replied, and the fault if there is one.

    `reached` is None if no probe was possible, so that reachability is unknown. `errors` has the hosts that could not
    be read.
    """

    source: str
    target: str
    reached: bool | None
    steps: tuple[Step, ...]
    fault: Fault | None
    errors: Mapping[str, HostFailure] = field(default_factory=dict)


def explain_query(fleet: Fleet, source: str, target: str, *, size: int) -> ExplainQuery:
    """Build the query for an explanation. The other arguments and the errors are those of `parse_ends`."""
    return ExplainQuery(*parse_ends(fleet, source, target), fleet, size)
