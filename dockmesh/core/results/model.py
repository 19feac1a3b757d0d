"""The result of probing a mesh, from a run or from a file. All reports are made from it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, Field, PlainValidator

from dockmesh.core import addresses
from dockmesh.core.addresses import FAMILIES, IPV4, IPV6, Family, parse_address, parse_network
from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange
from dockmesh.core.host_output import printable
from dockmesh.core.inventory.scalars import NAME, TAG
from dockmesh.core.model import Fleet, Host
from dockmesh.errors import HostFailure

_LONGEST = 4000


class FailureKind(StrEnum):
    """The broad class of a failure. `unmade`: the probe could not be made."""

    REPLY = "reply"
    TTL = "ttl"
    MTU = "mtu"
    SOURCE = "source"
    UNMADE = "unmade"


class FailureCode(StrEnum):
    """Why a probe failed, for scripts and tests. The values are stable; the reasons in plain text may change."""

    # Ping sent packets and received no reply.
    NO_REPLY = "no-reply"
    NEXT_HOP_DEAD = "next-hop-dead"
    ICMP_ERROR = "icmp-error"
    # Ping received replies, but the packets have a wrong property.
    TTL = "ttl"
    MTU = "mtu"
    UPLINK_TOO_SMALL = "uplink-too-small"
    SOURCE = "source"
    MASQUERADED = "masqueraded"
    NOT_MASQUERADED = "not-masqueraded"
    # A host lacks its address or a route. That explains all of its failed probes.
    NOT_JOINED = "not-joined"
    ROUTE_MISSING = "route-missing"
    # Ping could not send.
    NO_PING = "no-ping"
    PING_FAILED = "ping-failed"
    # The probe was not made.
    NOT_ASKED = "not-asked"
    NO_ADDRESS = "no-address"
    NO_CONTAINER = "no-container"
    DOCKER_STOPPED = "docker-stopped"


# Ping can fail before it sends a packet, for example without a route. Such a probe still counts as made.
_MADE_WITHOUT_PACKETS = frozenset(
    {FailureCode.NO_PING, FailureCode.PING_FAILED, FailureCode.NOT_JOINED, FailureCode.ROUTE_MISSING}
)


class Failure(NamedTuple):
    """Why a probe failed: a code for scripts and a reason for people.

    `about`: the host whose state is the reason, if it is the state of one host.
    """

    code: FailureCode
    reason: str
    about: str | None = None


def line(text: str) -> str:
    """Convert a host's text for a result: one line of printable characters, with limited length."""
    return printable(text[:_LONGEST])


def _address(text: object) -> addresses.Address:
    if "%" in str(text):
        raise ValueError("expected an address without a zone")
    return parse_address(str(text))


# The types of a document's values. `load_result` checks them.
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Tag = Annotated[str, Field(pattern=f"^{TAG}$")]
Kind = Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")]
Code = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]
Line = Annotated[str, AfterValidator(line)]
Address = Annotated[addresses.Address, PlainValidator(_address)]
Prefix = Annotated[addresses.Network, PlainValidator(lambda text: parse_network(str(text)))]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Ttl = Annotated[int, Field(ge=0, le=255)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]

State = Literal["reached", "failed", "unmade"]
# Source, target, kind and family of a probe.
ProbeKey = tuple[str, str, str, Family]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe and its result. `kind` is a ProbeKind, or an unknown kind if a later version wrote the file.

    `sent`, `received`: numbers of packets. `rtt_ms`: the mean round trip. `mtu_ok`: whether full-size packets arrive;
    None if none was sent, or if small packets are lost too. `source_seen`: the source address that the target saw; None
    if the target did not observe. `code` (a FailureCode) and `reason`: None if the probe succeeded. `about`: see
    `Failure`.
    """

    source: Name
    target: Name
    kind: Kind
    sent: Count
    received: Count
    ttl: Ttl | None = None
    expected_ttl: Ttl | None = None
    rtt_ms: Milliseconds | None = None
    rtt_min_ms: Milliseconds | None = None
    rtt_max_ms: Milliseconds | None = None
    mtu_ok: bool | None = None
    source_seen: Address | None = None
    code: Code | None = None
    reason: Line | None = None
    about: Name | None = None
    family: Family = IPV4

    @property
    def key(self) -> ProbeKey:
        """The identity of a probe across results."""
        return self.source, self.target, self.kind, self.family

    @property
    def what(self) -> str:
        """The kind, with a suffix for IPv6."""
        return f"{self.kind}{' (IPv6)' * (self.family == IPV6)}"

    @property
    def reached(self) -> bool:
        """Whether the source received any reply."""
        return self.received > 0

    @property
    def reply_ok(self) -> bool:
        """Whether the source received replies with the expected TTL."""
        return self.received > 0 and self.ttl == self.expected_ttl

    @property
    def ok(self) -> bool:
        """Whether the probe succeeded."""
        return self.reason is None and self.received > 0

    @property
    def made(self) -> bool:
        """Whether the source could make the probe."""
        return self.sent > 0 or self.code in _MADE_WITHOUT_PACKETS

    @property
    def state(self) -> State:
        """`unmade`: the probe could not be made."""
        return "reached" if self.ok else "failed" if self.made else "unmade"

    @property
    def failure(self) -> FailureKind | None:
        """The kind of failure; None if the probe succeeded."""
        if self.ok:
            return None
        if not self.made:
            return FailureKind.UNMADE
        if not self.reply_ok:
            return FailureKind.TTL if self.reached else FailureKind.REPLY
        return FailureKind.MTU if self.mtu_ok is False else FailureKind.SOURCE

    @property
    def why(self) -> str:
        """The reason of a failed probe."""
        return self.reason or "no reply"

    @property
    def loss(self) -> float | None:
        """The share of packets without a reply, from 0 to 1; None if no packet was sent."""
        return max(self.sent - self.received, 0) / self.sent if self.sent else None

    def failed(self, failure: Failure) -> "ProbeResult":
        """A copy of the result with that failure."""
        return replace(self, code=failure.code, reason=line(failure.reason), about=failure.about)


@dataclass(frozen=True, slots=True)
class HostResult:
    """One host: its values in the inventory, and the error if it could not be asked.

    `code`: the code of that error, a HostErrorCode. `pending`, `reverted`: the host's changes without confirmation.
    """

    host: Name
    error: Line | None = None
    underlay: Address | None = None
    prefix: Prefix | None = None
    docker: bool | None = None
    tags: tuple[Tag, ...] = ()
    underlay6: Address | None = None
    prefix6: Prefix | None = None
    code: Code | None = None
    pending: PendingChange | None = None
    reverted: RevertedChange | None = None


def host_result(host: Host, failure: HostFailure | None = None) -> HostResult:
    """The result of a host of the inventory."""
    return HostResult(
        host.name,
        line(failure.message) if failure else None,
        host.underlay,
        host.prefix,
        host.docker,
        tuple(sorted(host.tags)),
        host.ipv6.underlay if host.ipv6 else None,
        host.ipv6.prefix if host.ipv6 else None,
        failure.code if failure else None,
    )


@dataclass(frozen=True)
class MeshResult:
    """The reachability of a mesh, in the order of the fleet. `time`: the end of the probes, in UTC.

    `partial`: only some of the pairs of its sources were probed. `unprobed`: the number of the other pairs of the
    fleet.
    """

    hosts: tuple[HostResult, ...]
    probes: tuple[ProbeResult, ...]
    mesh: Name | None = None
    time: AwareDatetime | None = None
    partial: bool = False
    unprobed: Count = 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the hosts."""
        return tuple(each.host for each in self.hosts)

    @cached_property
    def tags(self) -> dict[str, tuple[str, ...]]:
        """The tags of each host, by name."""
        return {each.host: each.tags for each in self.hosts}

    @cached_property
    def errors(self) -> dict[str, HostFailure]:
        """The errors of hosts that could not be asked, by name."""
        return {each.host: HostFailure(each.code or "", each.error) for each in self.hosts if each.error is not None}

    @cached_property
    def pending(self) -> dict[str, PendingChange]:
        """The pending changes, by the name of the host."""
        return {each.host: each.pending for each in self.hosts if each.pending}

    @cached_property
    def failed(self) -> tuple[ProbeResult, ...]:
        """The failed probes."""
        return tuple(probe for probe in self.probes if not probe.ok)

    @property
    def lost(self) -> tuple[ProbeResult, ...]:
        """The failed probes without a correct reply."""
        return tuple(probe for probe in self.failed if not probe.reply_ok)

    @cached_property
    def pairs(self) -> dict[tuple[str, str], tuple[ProbeResult, ...]]:
        """The probes by source and target."""
        pairs: dict[tuple[str, str], list[ProbeResult]] = {}
        for probe in self.probes:
            pairs.setdefault((probe.source, probe.target), []).append(probe)
        return {ends: tuple(probes) for ends, probes in pairs.items()}

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The families of the probes; IPv4 if there are no probes."""
        probed = {probe.family for probe in self.probes} or {IPV4}
        return tuple(family for family in FAMILIES if family in probed)

    @property
    def ok(self) -> bool:
        """Whether all hosts could be asked, all probes succeeded, and no change is pending."""
        return not self.failed and not self.errors and not self.pending


def merged(fleet: Fleet, results: Iterable[MeshResult]) -> MeshResult:
    """Partial results of a fleet as one. Of hosts and probes that several results have, the last counts."""
    hosts: dict[str, HostResult] = {}
    probes: dict[ProbeKey, ProbeResult] = {}
    time = None
    for result in results:
        hosts |= {each.host: each for each in result.hosts}
        probes |= {each.key: each for each in result.probes}
        time = result.time
    ordered = tuple(hosts[name] for name in fleet.positions if name in hosts)
    return MeshResult(ordered, tuple(probes.values()), fleet.settings.name, time, partial=True)


def slowest_ms(probes: Iterable[ProbeResult]) -> float | None:
    """The slowest round trip in milliseconds, without replies that came from another host."""
    slowest = (probe.rtt_ms if probe.rtt_max_ms is None else probe.rtt_max_ms for probe in probes if probe.reply_ok)
    return max((rtt_ms for rtt_ms in slowest if rtt_ms is not None), default=None)


def count(probes: Iterable[ProbeResult], state: State) -> int:
    """The number of probes in that state."""
    return sum(probe.state == state for probe in probes)
