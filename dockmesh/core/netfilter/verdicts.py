"""The verdicts on packets by host: passed, blocked or uncertain, with reasons."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dockmesh.core.netfilter.flow import union


class ReasonCode(StrEnum):
    """The kinds of reasons for which a probe is blocked, or may be. Scripts may rely on the values."""

    # The host itself.
    NOT_READ = "not-read"
    UNPREDICTABLE = "unpredictable"
    # Interfaces and addresses.
    LINK_DOWN = "link-down"
    UNDERLAY_MISSING = "underlay-missing"
    BRIDGE_ADDRESS_WRONG = "bridge-address-wrong"
    NO_CONTAINER = "no-container"
    ADDRESS_TAKEN = "address-taken"
    OTHER_SOURCE = "other-source"
    # Routes.
    NO_ROUTE = "no-route"
    OTHER_ROUTE = "other-route"
    INSIDE_BRIDGE = "inside-bridge"
    CONTAINER_ROUTE_WRONG = "container-route-wrong"
    RP_FILTER = "rp-filter"
    IP_FORWARD_OFF = "ip-forward-off"
    # The firewall.
    FIREWALL_DROP = "firewall-drop"
    FIREWALLD_REFUSES = "firewalld-refuses"
    NFT_RULE = "nft-rule"
    TRANSLATED = "translated"
    MASQUERADED = "masqueraded"


class Reason(NamedTuple):
    """The reason for which a packet is blocked, or may be."""

    code: ReasonCode
    text: str


class PacketVerdicts:
    """The verdicts on one packet per host. The packets of the hosts `left` are not blocked."""

    def __init__(self, hosts: int) -> None:
        self.left = hosts
        self.blocks: list[tuple[int, Reason]] = []
        self.uncertainties: list[tuple[int, Reason]] = []

    def block(self, hosts: int, why: Reason) -> None:
        """Record the packets of these hosts as blocked."""
        if hosts := hosts & self.left:
            self.left &= ~hosts
            self.blocks.append((hosts, why))

    def mark_uncertain(self, hosts: int, why: Reason) -> None:
        """Record the packets of these hosts as uncertain, unless they are blocked."""
        if hosts := hosts & self.left:
            self.uncertainties.append((hosts, why))

    def merge(self, part: "PacketVerdicts") -> None:
        """Add the verdicts on some of the packets."""
        for hosts, why in part.uncertainties:
            self.mark_uncertain(hosts, why)
        for hosts, why in part.blocks:
            self.block(hosts, why)

    @property
    def blocked(self) -> int:
        """The hosts whose packets are blocked."""
        return sum(hosts for hosts, _ in self.blocks)

    @property
    def uncertain(self) -> int:
        """The hosts whose packets are uncertain; some may also be blocked."""
        return union(hosts for hosts, _ in self.uncertainties)

    def why(self, place: int, *, sure: bool) -> Reason | None:
        """Return the reason that blocks the host's packet, or may block it if not `sure`."""
        return next((why for hosts, why in (self.blocks if sure else self.uncertainties) if hosts >> place & 1), None)


@dataclass(slots=True)
class EgressResult:
    """The verdicts on packets that leave a host.

    Packets to the hosts `masqueraded` get the host's address as source, those to `wrong_source` an unexpected address.
    """

    verdicts: PacketVerdicts
    masqueraded: int = 0
    wrong_source: int = 0
