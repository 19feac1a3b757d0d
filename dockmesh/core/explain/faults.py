"""What every fault means and what mends it, for people who meet its code: docs/troubleshooting.md is made from this."""

from dataclasses import dataclass
from enum import StrEnum


class FaultCode(StrEnum):
    """The faults that `explain` names, for scripts and tests. Values are stable."""

    NO_LOGIN = "no-login"
    LINK_DOWN = "link-down"
    DOCKER_STOPPED = "docker-stopped"
    NO_DOCKER = "no-docker"
    BRIDGE_MISSING = "bridge-missing"
    BRIDGE_ADDRESS_WRONG = "bridge-address-wrong"
    NO_CONTAINER = "no-container"
    CONTAINER_WITHOUT_DEFAULT_ROUTE = "container-without-default-route"
    IP_FORWARD_OFF = "ip-forward-off"
    NOT_JOINED = "not-joined"
    PEER_NOT_IN_INVENTORY = "peer-not-in-inventory"
    UNDERLAY_MISSING = "underlay-missing"
    ROUTE_MISSING = "route-missing"
    WRONG_NEXT_HOP = "wrong-next-hop"
    FOREIGN_ROUTE_WINS = "foreign-route-wins"
    ROUTING_RULE = "routing-rule"
    NO_ROUTE = "no-route"
    NO_NEIGHBOUR = "no-neighbour"
    STALE_NEIGHBOUR = "stale-neighbour"
    STRICT_RP_FILTER = "strict-rp-filter"
    RAW_ACCEPTS_MISSING = "raw-accepts-missing"
    RAW_DROP = "raw-drop"
    DOCKER_USER_FLUSHED = "docker-user-flushed"
    FORWARD_FLUSHED = "forward-flushed"
    HOST_FIREWALL_DROP = "host-firewall-drop"
    FIREWALLD_REFUSES = "firewalld-refuses"
    NOT_ACCEPTED = "not-accepted"
    DIRECT_ROUTING_REFUSED = "direct-routing-refused"
    MARK_NOT_ACCEPTED = "mark-not-accepted"
    MARKS_MISSING = "marks-missing"
    MASQUERADED = "masqueraded"
    MTU_TOO_SMALL = "mtu-too-small"
    NO_ANSWER = "no-answer"
    LOST_BETWEEN = "lost-between"


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """Of one fault: what it means, and what to do; `explain` gives the command with the names of the case in it."""

    meaning: str
    remedy: str


_APPLY = "`dockmesh apply --limit HOST`"

CATALOGUE: dict[FaultCode, FaultInfo] = {
    FaultCode.NO_LOGIN: FaultInfo(
        "the host cannot be looked at: SSH refuses, or nothing answers", "`ssh ADDRESS`, and what the cause says"
    ),
    FaultCode.LINK_DOWN: FaultInfo(
        "an interface on the way is off: the uplink, docker0, the container's own, or its leg in the bridge; or a "
        "cable is out",
        "`ip link set DEVICE up`; where the host is off the LAN, on its console",
    ),
    FaultCode.DOCKER_STOPPED: FaultInfo("Docker does not run", "`systemctl start docker`"),
    FaultCode.NO_DOCKER: FaultInfo(
        "Docker is not installed, and the inventory says nothing of that",
        "`docker: false` for that host, or install it",
    ),
    FaultCode.BRIDGE_MISSING: FaultInfo("Docker runs, and docker0 is gone", "`systemctl restart docker`"),
    FaultCode.BRIDGE_ADDRESS_WRONG: FaultInfo("docker0 has another address than in the inventory", _APPLY),
    FaultCode.NO_CONTAINER: FaultInfo(
        "there is nothing to reach: no such container, or it does not run", "`docker ps --all`"
    ),
    FaultCode.CONTAINER_WITHOUT_DEFAULT_ROUTE: FaultInfo(
        "the container sends its replies nowhere, or to somebody else", "`nsenter … ip route replace default via …`"
    ),
    FaultCode.IP_FORWARD_OFF: FaultInfo(
        "the host forwards nothing, or nothing that comes in by that interface",
        "`sysctl -w net.ipv4.ip_forward=1`; then see who switches it off, in /etc/sysctl.d",
    ),
    FaultCode.NOT_JOINED: FaultInfo("nothing of dockmesh's is on the host", _APPLY),
    FaultCode.PEER_NOT_IN_INVENTORY: FaultInfo(
        "the host was last joined by an inventory without the other one",
        "`dockmesh apply --limit HOST`, by one with it",
    ),
    FaultCode.UNDERLAY_MISSING: FaultInfo(
        "no interface has the address that the peers send to",
        "correct `address` or `underlay` in the inventory, or give the host that address",
    ),
    FaultCode.ROUTE_MISSING: FaultInfo("the route to the other's prefix was removed", _APPLY),
    FaultCode.WRONG_NEXT_HOP: FaultInfo("the route leads to another machine", _APPLY),
    FaultCode.FOREIGN_ROUTE_WINS: FaultInfo(
        "a route of somebody else's is more specific, or has the better metric",
        "`ip route del …`, and where it comes from",
    ),
    FaultCode.ROUTING_RULE: FaultInfo(
        "`ip rule` sends it past the main table", "`ip rule del pref …`, and where it comes from"
    ),
    FaultCode.NO_ROUTE: FaultInfo(
        "the kernel knows no way to the other end", "`ip route get ADDRESS` says what it would do"
    ),
    FaultCode.NO_NEIGHBOUR: FaultInfo("the two hosts share no LAN", "`arping -c 3 ADDRESS`; dockmesh needs one LAN"),
    FaultCode.STALE_NEIGHBOUR: FaultInfo(
        "frames go to another card than the other host's: an old entry, one made by hand, or two machines with one "
        "address",
        "`ip neigh del ADDRESS dev DEVICE`",
    ),
    FaultCode.STRICT_RP_FILTER: FaultInfo(
        "the host would answer by another interface, and therefore refuses the packet",
        "`sysctl -w net.ipv4.conf.DEVICE.rp_filter=2`; in /etc/sysctl.d to keep it",
    ),
    FaultCode.RAW_ACCEPTS_MISSING: FaultInfo(
        "Docker's own rules in table raw drop it; the accept before them is gone", _APPLY
    ),
    FaultCode.RAW_DROP: FaultInfo("somebody's rule in table raw, or in PREROUTING, drops it", "`iptables -t raw -D …`"),
    FaultCode.DOCKER_USER_FLUSHED: FaultInfo("the jump by which peers are let in was removed", _APPLY),
    FaultCode.FORWARD_FLUSHED: FaultInfo("as before, on a host without Docker", _APPLY),
    FaultCode.HOST_FIREWALL_DROP: FaultInfo(
        "a rule or policy of the host's own firewall drops it (iptables, nft, ufw)",
        "`iptables -D …`, `nft delete rule …`; for good, in that firewall's configuration",
    ),
    FaultCode.FIREWALLD_REFUSES: FaultInfo(
        "its table of nft refuses what iptables has accepted: Docker before 27 does not have it let anything through "
        "to containers; or Docker was started before firewalld; or pings are blocked",
        "a policy of its own for peers, or `systemctl restart docker`; see [guides/firewall.md](guides/firewall.md)",
    ),
    FaultCode.NOT_ACCEPTED: FaultInfo("no rule of dockmesh's lets it in by the interface it comes by", _APPLY),
    FaultCode.DIRECT_ROUTING_REFUSED: FaultInfo("Docker with nftables runs without `allow-direct-routing`", _APPLY),
    FaultCode.MARK_NOT_ACCEPTED: FaultInfo("Docker with nftables runs without `bridge-accept-fwmark`", _APPLY),
    FaultCode.MARKS_MISSING: FaultInfo(
        "the table that marks what peers send, where Docker uses nftables, was flushed", _APPLY
    ),
    FaultCode.MASQUERADED: FaultInfo(
        "peers see the host's address instead of the container's, though `source_nat` is false; packets get through",
        "`dockmesh apply --limit HOST`; where another rule comes first, `nft list ruleset` finds it",
    ),
    FaultCode.MTU_TOO_SMALL: FaultInfo(
        "packets of full size do not fit an uplink, or what is between the hosts; small ones get through",
        "`ip link set DEVICE mtu …`, or `dockmesh apply`, which gives docker0 the smaller one",
    ),
    FaultCode.NO_ANSWER: FaultInfo(
        "it is handed to the container, which does not answer: a firewall of its own, perhaps", "`dockmesh trace A B`"
    ),
    FaultCode.LOST_BETWEEN: FaultInfo(
        "it leaves the one host and does not come to the other, as in a cloud that checks source and destination",
        "`dockmesh trace A B`; in a cloud, see [guides/cloud.md](guides/cloud.md)",
    ),
}
