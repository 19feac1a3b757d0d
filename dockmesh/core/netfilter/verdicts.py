"""What keeps packets on their way, and what may: by host, with the reason."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dockmesh.core.netfilter.flow import union


class ReasonCode(StrEnum):
    """What blocks a probe, or may block it, for scripts and tests. Values are stable."""

    # Nothing can be predicted for a host.
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
    """Why a packet is blocked, or may be."""

    code: ReasonCode
    text: str


class PacketVerdicts:
    """The packets of the hosts `left` get through."""

    def __init__(self, hosts: int) -> None:
        self.left = hosts
        self.blocks: list[tuple[int, Reason]] = []
        self.uncertainties: list[tuple[int, Reason]] = []

    def block(self, hosts: int, why: Reason) -> None:
        """Take out what does not pass."""
        if hosts := hosts & self.left:
            self.left &= ~hosts
            self.blocks.append((hosts, why))

    def mark_uncertain(self, hosts: int, why: Reason) -> None:
        """Note of what stays in that nobody can say."""
        if hosts := hosts & self.left:
            self.uncertainties.append((hosts, why))

    def merge(self, part: "PacketVerdicts") -> None:
        """What another sieve found of some of the packets."""
        for hosts, why in part.uncertainties:
            self.mark_uncertain(hosts, why)
        for hosts, why in part.blocks:
            self.block(hosts, why)

    @property
    def blocked(self) -> int:
        """Those that do not pass."""
        return sum(hosts for hosts, _ in self.blocks)

    @property
    def uncertain(self) -> int:
        """Those of which nobody can say, some of which may be stopped all the same."""
        return union(hosts for hosts, _ in self.uncertainties)

    def why(self, place: int, *, sure: bool) -> Reason | None:
        """What stops the host's packet, or what may if not `sure`."""
        return next((why for hosts, why in (self.blocks if sure else self.uncertainties) if hosts >> place & 1), None)


@dataclass(slots=True)
class EgressResult:
    """What leaves a host. On packets to the hosts `masked` stands its own address, to `odd` one that it has besides."""

    verdicts: PacketVerdicts
    masqueraded: int = 0
    wrong_source: int = 0
