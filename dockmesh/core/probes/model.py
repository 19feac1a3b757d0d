"""Who reaches whom: what is asked of the mesh, and what comes of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, NamedTuple

from dockmesh.core.addresses import IPV4, Address, Family
from dockmesh.core.facts.links import Link
from dockmesh.core.probes.full_size import FullSizePing
from dockmesh.core.probes.join_state import JoinState
from dockmesh.errors import HostFailure

ProbeKind = Literal["host-bridge", "host-container", "container-container"]


class FailureKind(StrEnum):
    """The coarse class of a failure. `unmade`: no packet was sent."""

    REPLY = "reply"
    TTL = "ttl"
    MTU = "mtu"
    SOURCE = "source"
    UNMADE = "unmade"


class FailureCode(StrEnum):
    """Why a probe failed, for scripts and tests. Values are stable; the sentences next to them may change."""

    # Ping sent packets, and no reply came.
    NO_REPLY = "no-reply"
    NEXT_HOP_DEAD = "next-hop-dead"
    ICMP_ERROR = "icmp-error"
    # Replies came, and something about the packets is wrong.
    TTL = "ttl"
    MTU = "mtu"
    UPLINK_TOO_SMALL = "uplink-too-small"
    SOURCE = "source"
    MASQUERADED = "masqueraded"
    NOT_MASQUERADED = "not-masqueraded"
    # A host lacks something, which explains all probes that fail for it.
    NOT_JOINED = "not-joined"
    ROUTE_MISSING = "route-missing"
    # No packet was sent.
    NOT_ASKED = "not-asked"
    NO_ADDRESS = "no-address"
    NO_CONTAINER = "no-container"
    DOCKER_STOPPED = "docker-stopped"
    NO_PING = "no-ping"
    PING_FAILED = "ping-failed"


class Failure(NamedTuple):
    """Why a probe is not as it should be: the code for scripts, and a sentence for people."""

    code: FailureCode
    reason: str


# What a reply's TTL is when the packet takes the way it should: 64 where the replying address is the peer host's own,
# one less for each host that forwards the reply.
EXPECTED_TTL: Mapping[ProbeKind, int] = {"host-bridge": 64, "host-container": 63, "container-container": 62}
_OWN_TTL = 64


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """What a host offers to be probed, and where probes from a container of its own start (`pid`).

    `held`: the container is a namespace made for the purpose. An address is None where there is none, and `error`
    gives the reason. `standing` is None where the host could not be read. `mtu` is the container's, `uplink` the host's
    interface for its peers, `own` all addresses of the host.
    """

    bridge: IPv4Address | None = None
    container: IPv4Address | None = None
    pid: int | None = None
    held: bool = False
    error: Failure | None = None
    join_state: JoinState | None = None
    bridge6: IPv6Address | None = None
    container6: IPv6Address | None = None
    mtu: int | None = None
    uplink: Link | None = None
    addresses: frozenset[Address] = frozenset()

    def address(self, probe: "Probe") -> Address | None:
        """What such a probe asks of the host; None where it has nothing of the kind."""
        if probe.kind == "host-bridge":
            return self.bridge if probe.family == IPV4 else self.bridge6
        return self.container if probe.family == IPV4 else self.container6


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to the mesh."""

    source: str
    target: str
    kind: ProbeKind
    family: Family = IPV4

    @property
    def expected_ttl(self) -> int:
        """The reply's TTL on the right way."""
        return _OWN_TTL if self.source == self.target else EXPECTED_TTL[self.kind]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The answer to a probe. `code` and `reason` are None where all is well; `probed` is False where it was not sent.

    `whole`: what came of a packet of full size, None where none was sent. `source_seen`: where it came from in the eyes
    of the target, None where that was not observed. `cause`: the reason is what a host lacks, and the same for all the
    probes that fail for it.
    """

    probe: Probe
    sent: int = 0
    received: int = 0
    ttl: int | None = None
    rtt_ms: float | None = None
    code: FailureCode | None = None
    reason: str | None = None
    probed: bool = True
    cause: bool = False
    full_size: FullSizePing | None = None
    rtt_min_ms: float | None = None
    rtt_max_ms: float | None = None
    source_seen: Address | None = None

    @property
    def reached(self) -> bool:
        """Whether any reply came."""
        return self.received > 0

    @property
    def loss(self) -> float | None:
        """The share of the packets that got no reply; None where none was sent."""
        return (self.sent - self.received) / self.sent if self.sent else None

    @property
    def reply_ok(self) -> bool:
        """Whether replies came, and by the way they should."""
        return self.reached and self.ttl == self.probe.expected_ttl

    @property
    def mtu_ok(self) -> bool | None:
        """Whether packets of full size arrive as well; None where none was sent, or none of any size arrives."""
        return None if self.full_size is None or not self.reached else self.full_size.received > 0

    @property
    def ok(self) -> bool:
        """Whether all is as it should be."""
        return self.reason is None

    @property
    def failure(self) -> FailureKind | None:
        """The kind of failure; None where all is well."""
        if self.ok:
            return None
        if not self.probed:
            return FailureKind.UNMADE
        if not self.reply_ok:
            return FailureKind.TTL if self.reached else FailureKind.REPLY
        return FailureKind.MTU if self.mtu_ok is False else FailureKind.SOURCE

    def failed(self, failure: Failure, *, cause: bool = False) -> "ProbeResult":
        """The same answer, failed for that reason."""
        return replace(self, code=failure.code, reason=failure.reason, cause=cause)


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a run of probes found: the answers, and the hosts that could not be asked.

    `tags` has those of the hosts that have any. `part`: not all that its sources could ask was asked.
    """

    hosts: tuple[str, ...]
    results: tuple[ProbeResult, ...]
    errors: Mapping[str, HostFailure] = field(default_factory=dict)
    tags: Mapping[str, Collection[str]] = field(default_factory=dict)
    partial: bool = False

    @property
    def failed(self) -> tuple[ProbeResult, ...]:
        """The answers that are not as they should be."""
        return tuple(answer for answer in self.results if not answer.ok)

    @property
    def lost(self) -> tuple[ProbeResult, ...]:
        """Of the failed, those by which the mesh does not stand."""
        return tuple(answer for answer in self.failed if not answer.reply_ok)

    @property
    def not_sent(self) -> tuple[ProbeResult, ...]:
        """Of the failed, the probes that could not be made."""
        return tuple(answer for answer in self.failed if not answer.probed)

    @property
    def ok(self) -> bool:
        """Whether everything that should be reached is."""
        return not self.failed and not self.errors
