"""Conflicts, which keep apply from changing a host, notes, which do not, and the warnings of a change."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

# The findings of one code that a host can have. Only a fleet without a LAN, or a host that lies, has more.
MAX_PER_CODE = 100


class ConflictCode(StrEnum):
    """The kinds of conflicts. Scripts may rely on the codes; messages and remedies may change."""

    CHANGE_PENDING = "change-pending"
    UNDERLAY_MISSING = "underlay-missing"
    NO_PATH_TO_PEER = "no-path-to-peer"
    UNDERLAY_IS_OWN_ADDRESS = "underlay-is-own-address"
    NEXT_HOP_OFF_LINK = "next-hop-off-link"
    PREFIX_OVERLAP = "prefix-overlap"
    DOCKER_NETWORK_OVERLAP = "docker-network-overlap"
    OWN_PREFIX_OVERLAP = "own-prefix-overlap"
    BRIDGE_OVERLAP = "bridge-overlap"
    FOREIGN_ROUTE_WINS = "foreign-route-wins"
    INSIDE_FOREIGN_NETWORK = "inside-foreign-network"
    IP_FORWARD_OFF = "ip-forward-off"
    IPV6_FORWARDING_OFF = "ipv6-forwarding-off"
    IPV6_MISSING = "ipv6-missing"
    IPV6_WITH_NFTABLES = "ipv6-with-nftables"
    IP6TABLES_MISSING = "ip6tables-missing"
    BRIDGE6_NOT_FIRST = "bridge6-not-first"
    ACCEPT_RA_TOO_LOW = "accept-ra-too-low"
    DOCKER_ROOTLESS = "docker-rootless"
    DOCKER_SWARM = "docker-swarm"
    FIREWALL_BACKEND_UNKNOWN = "firewall-backend-unknown"
    NFT_MISSING = "nft-missing"
    NETWORK_EXPOSED = "network-exposed"
    DOCKER_FLAG = "docker-flag"
    DOCKER_MTU_FLAG = "docker-mtu-flag"
    DOCKER_CONFIG_FILE = "docker-config-file"
    OLD_ADDRESS_NEEDED = "old-address-needed"
    DAEMON_JSON_INVALID = "daemon-json-invalid"
    DAEMON_JSON_BRIDGE = "daemon-json-bridge"
    DAEMON_JSON_IPTABLES = "daemon-json-iptables"
    DAEMON_JSON_FWMARK = "daemon-json-fwmark"
    DAEMON_JSON_DIRECT_ROUTING = "daemon-json-direct-routing"
    DOCKER_USER_MISSING = "docker-user-missing"
    FIREWALLD_REJECTS = "firewalld-rejects"
    FOREIGN_CHAIN_DROPS = "foreign-chain-drops"


class NoteCode(StrEnum):
    """The kinds of notes. Scripts may rely on the codes."""

    MARK_IN_USE = "mark-in-use"
    FORWARD_POLICY_DROP = "forward-policy-drop"
    NETWORK_OUTSIDE_PREFIX = "network-outside-prefix"
    NETWORK_MTU_TOO_LARGE = "network-mtu-too-large"
    MTU_KEPT = "mtu-kept"
    OLD_ADDRESS_NAMED = "old-address-named"
    CHANGE_REVERTED = "change-reverted"


class WarningCode(StrEnum):
    """The kinds of warnings, as templates/host_steps.sh writes them. Scripts may rely on the codes."""

    CONTAINER_NOT_STARTED = "container-not-started"
    UNIT_NOT_STARTED = "unit-not-started"


@dataclass(frozen=True, slots=True)
class _Finding:
    """A fact about one thing on a host, named by `key`. `remedy` is a command or an action, or empty."""

    code: ConflictCode | NoteCode | WarningCode
    key: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.advice}"

    @property
    def advice(self) -> str:
        """The message with its remedy, as printed after the key."""
        return f"{self.message}. Fix: {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True, slots=True)
class Conflict(_Finding):
    """A fact that keeps apply from changing the host."""

    code: ConflictCode


@dataclass(frozen=True, slots=True)
class Note(_Finding):
    """A limit of the mesh on this host that does not prevent its change."""

    code: NoteCode


@dataclass(frozen=True, slots=True)
class StartWarning(_Finding):
    """A container or unit, named by `key`, that ran before a restart of Docker and did not start again."""

    code: WarningCode


F = TypeVar("F", Conflict, Note)


def limited(findings: Iterable[F]) -> Iterator[F]:
    """Yield the first MAX_PER_CODE findings of each code, then one for all further ones of the code."""
    further: dict[str, F] = {}
    counts = Counter[str]()
    for each in findings:
        counts[each.code] += 1
        if counts[each.code] <= MAX_PER_CODE:
            yield each
        else:
            further[each.code] = each
    for code, last in further.items():
        more = counts[code] - MAX_PER_CODE
        yield replace(last, key=f"{more} more", message="the same problem")
