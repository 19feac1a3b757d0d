"""What is asked of the mesh."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from dockmesh.core.addresses import IPV4, Address, Family
from dockmesh.core.facts.links import Link
from dockmesh.core.probes.join_state import JoinState
from dockmesh.core.results.model import Failure, ProbeResult

ProbeKind = Literal["host-bridge", "host-container", "container-container"]


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

    def address(self, kind: str, family: Family) -> Address | None:
        """The address that such a probe asks for; None where the host has none of the kind."""
        if kind == "host-bridge":
            return self.bridge if family == IPV4 else self.bridge6
        return self.container if family == IPV4 else self.container6


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

    def result(
        self,
        sent: int = 0,
        received: int = 0,
        ttl: int | None = None,
        rtt_ms: float | None = None,
        *,
        rtt_min_ms: float | None = None,
        rtt_max_ms: float | None = None,
        mtu_ok: bool | None = None,
    ) -> ProbeResult:
        """The result of the probe; without packets where none were sent."""
        return ProbeResult(
            self.source,
            self.target,
            self.kind,
            sent,
            received,
            ttl,
            self.expected_ttl,
            rtt_ms,
            rtt_min_ms,
            rtt_max_ms,
            mtu_ok,
            family=self.family,
        )
