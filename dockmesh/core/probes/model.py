"""Probes and their targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from dockmesh.core.addresses import IPV4, Address, Family
from dockmesh.core.facts.links import Link
from dockmesh.core.probes.join_state import JoinState
from dockmesh.core.results.model import Failure, ProbeResult

ProbeKind = Literal["host-bridge", "host-container", "container-container"]


# The TTL of a reply on the expected path: 64 from an address of the peer host itself, and one less for each host that
# forwards the reply.
EXPECTED_TTL: Mapping[ProbeKind, int] = {"host-bridge": 64, "host-container": 63, "container-container": 62}
_OWN_TTL = 64


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """The addresses of a host that probes can use; None for a missing one, with the reason in `error`.

    `pid`: a process in the container's network namespace. Probes from the container start there. `held`: the container
    is a namespace that dockmesh created. `join_state`: None if the host could not be read. `mtu`: of the container, in
    bytes. `uplink`: the interface with the underlay address. `addresses`: all addresses of the host.
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
        """The destination of a probe of that kind; None if the host has no such address."""
        if kind == "host-bridge":
            return self.bridge if family == IPV4 else self.bridge6
        return self.container if family == IPV4 else self.container6


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe: a series of pings from a source host to a target host. The kind decides on the addresses."""

    source: str
    target: str
    kind: ProbeKind
    family: Family = IPV4

    @property
    def expected_ttl(self) -> int:
        """The TTL of a reply that took the expected path."""
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
        """The result of the probe. The defaults describe a probe without packets."""
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
