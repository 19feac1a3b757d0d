"""What an explanation is made of: the question, the steps of the way, and the fault that is named."""

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
    """What a step looks at, for scripts and tests. Values are stable."""

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
    RAW = "raw"
    FILTER = "filter"
    NFT = "nft"
    FIREWALLD = "firewalld"
    SOURCE = "source"
    MTU = "mtu"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class ExplainQuery(EndpointPair):
    """What is explained: the way between two ends of that fleet."""

    fleet: Fleet


@dataclass(frozen=True, slots=True)
class Fault:
    """What breaks the way: its code, which scripts may rely on; what it is; and what mends it.

    `remedy` is a command, behind `on HOST: ` where it is for that host's shell. `blocks` is False for what lets the
    probe pass and is not as it should be all the same.
    """

    code: FaultCode
    cause: str
    remedy: str
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at, in the order of the way. `ok` is None where it cannot be said."""

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


def explain_query(fleet: Fleet, source: str, target: str) -> ExplainQuery:
    """The way between two ends; arguments and errors as those of `parse_ends`."""
    return ExplainQuery(*parse_ends(fleet, source, target), fleet)
