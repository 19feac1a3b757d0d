"""Defines the meaning and the remedy of each fault, from which `make docs` generates docs/troubleshooting.md."""

from dataclasses import dataclass
from enum import StrEnum


class FaultCode(StrEnum):
    """The faults that `explain` reports, for scripts and tests. Values are stable."""

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
    DOCKER_RULES_MISSING = "docker-rules-missing"
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
    """Meaning and remedy of a fault. `explain` prints the remedy with the names of the actual hosts and interfaces."""

    meaning: str
    remedy: str


_APPLY = "`dockmesh apply --limit HOST`"

CATALOGUE: dict[FaultCode, FaultInfo] = {
    FaultCode.NO_LOGIN: FaultInfo(
        "dockmesh cannot log in to the host or lost the session; without a probe, reachability is unknown",
        "`ssh -i KEY -p PORT USER@ADDRESS`; then correct `connection` in the inventory",
    ),
    FaultCode.LINK_DOWN: FaultInfo(
        "an interface on the path is down or has no carrier: the uplink, docker0, the container's interface or its "
        "veth port on the bridge",
        "`ip link set DEVICE up`; if the host is off the LAN, on its console",
    ),
    FaultCode.DOCKER_STOPPED: FaultInfo("Docker is not running", "`systemctl start docker`"),
    FaultCode.NO_DOCKER: FaultInfo(
        "Docker is not installed, but the inventory does not have `docker: false` for the host",
        "set `docker: false` for the host, or install Docker",
    ),
    FaultCode.BRIDGE_MISSING: FaultInfo("Docker is running, but docker0 is missing", "`systemctl restart docker`"),
    FaultCode.BRIDGE_ADDRESS_WRONG: FaultInfo("docker0 has a different address than in the inventory", _APPLY),
    FaultCode.NO_CONTAINER: FaultInfo("the container does not exist or is not running", "`docker ps --all`"),
    FaultCode.CONTAINER_WITHOUT_DEFAULT_ROUTE: FaultInfo(
        "the container has no default route, or it leads to another machine",
        "`nsenter … ip route replace default via …`",
    ),
    FaultCode.IP_FORWARD_OFF: FaultInfo(
        "the host does not forward packets, or not those from this interface",
        "`sysctl -w net.ipv4.ip_forward=1`; then find the setting in /etc/sysctl.d that disables it",
    ),
    FaultCode.NOT_JOINED: FaultInfo("the host has no routes or rules of dockmesh", _APPLY),
    FaultCode.PEER_NOT_IN_INVENTORY: FaultInfo(
        "the inventory of the last apply on this host did not contain the peer",
        "`dockmesh apply --limit HOST` with an inventory that contains both hosts",
    ),
    FaultCode.UNDERLAY_MISSING: FaultInfo(
        "no interface has the host's underlay address",
        "correct `address` or `underlay` in the inventory, or add the address to the host",
    ),
    FaultCode.ROUTE_MISSING: FaultInfo("the route to the peer's prefix was removed", _APPLY),
    FaultCode.WRONG_NEXT_HOP: FaultInfo("the route to the peer's prefix leads to another machine", _APPLY),
    FaultCode.FOREIGN_ROUTE_WINS: FaultInfo(
        "a foreign route has a longer prefix or a lower metric",
        "`ip route del …`; then find the program that adds it",
    ),
    FaultCode.ROUTING_RULE: FaultInfo(
        "an `ip rule` sends the packet to another routing table",
        "`ip rule del pref …`; then find the program that adds it",
    ),
    FaultCode.NO_ROUTE: FaultInfo(
        "the kernel has no route to the target", "`ip route get ADDRESS` shows the kernel's decision"
    ),
    FaultCode.NO_NEIGHBOUR: FaultInfo(
        "the two hosts do not share a LAN",
        "`arping -c 3 ADDRESS`; without a common LAN, set `off_link` in the inventory",
    ),
    FaultCode.STALE_NEIGHBOUR: FaultInfo(
        "the host sends frames to another MAC address than the peer's, because of an old or manual neighbour entry or "
        "because two machines have the same address",
        "`ip neigh del ADDRESS dev DEVICE`",
    ),
    FaultCode.STRICT_RP_FILTER: FaultInfo(
        "the host's route back uses another interface, so a strict `rp_filter` drops the packet",
        "`sysctl -w net/ipv4/conf/DEVICE/rp_filter=2`; add it to /etc/sysctl.d to make it permanent",
    ),
    FaultCode.RAW_ACCEPTS_MISSING: FaultInfo(
        "dockmesh's accept rule in table raw is missing or comes after Docker's rules, which drop the packet", _APPLY
    ),
    FaultCode.RAW_DROP: FaultInfo(
        "a foreign rule in table raw or in a PREROUTING chain drops the packet", "`iptables -t raw -D …`"
    ),
    FaultCode.DOCKER_USER_FLUSHED: FaultInfo("dockmesh's accept rule in DOCKER-USER was removed", _APPLY),
    FaultCode.FORWARD_FLUSHED: FaultInfo(
        "on a host without Docker, dockmesh's accept rules in FORWARD were removed", _APPLY
    ),
    FaultCode.DOCKER_RULES_MISSING: FaultInfo(
        "FORWARD does not call DOCKER-USER, because rules of Docker were removed", "`systemctl restart docker`"
    ),
    FaultCode.HOST_FIREWALL_DROP: FaultInfo(
        "a rule or policy of the host's own firewall (iptables, nft, ufw) drops the packet, or may drop it",
        "`iptables -D …` or `nft delete rule …`; then change that firewall's configuration. If it is not certain which "
        "rule drops the packet: `dockmesh trace A B`",
    ),
    FaultCode.FIREWALLD_REFUSES: FaultInfo(
        "firewalld rejects a packet that iptables accepted. Docker before 27 adds no firewalld policy for containers; "
        "Docker may also have started before firewalld, or firewalld may block pings",
        "add a firewalld policy for peers, or `systemctl restart docker`; see [guides/firewall.md](guides/firewall.md)",
    ),
    FaultCode.NOT_ACCEPTED: FaultInfo(
        "dockmesh's rules drop the packet or do not accept it, for example because it arrives on another interface",
        _APPLY,
    ),
    FaultCode.DIRECT_ROUTING_REFUSED: FaultInfo(
        "Docker's nftables backend runs without `allow-direct-routing`", _APPLY
    ),
    FaultCode.MARK_NOT_ACCEPTED: FaultInfo("Docker's nftables backend runs without `bridge-accept-fwmark`", _APPLY),
    FaultCode.MARKS_MISSING: FaultInfo(
        "dockmesh's nft table, which marks packets from peers, was deleted or flushed, or lacks the peer", _APPLY
    ),
    FaultCode.MASQUERADED: FaultInfo(
        "peers see the host's address instead of the container's, although `source_nat` is false; packets still arrive",
        "`dockmesh apply --limit HOST`; if another rule comes first, find it with `nft list ruleset`",
    ),
    FaultCode.MTU_TOO_SMALL: FaultInfo(
        "an uplink or the network between the hosts drops full-size packets; small packets still arrive",
        "`ip link set DEVICE mtu …`, or `dockmesh apply`, which sets docker0 to the smaller MTU",
    ),
    FaultCode.NO_ANSWER: FaultInfo(
        "the packet reaches the container, but the container does not reply; it may have its own firewall. Or the host "
        "drops the packet, but by no firewall rule",
        "`dockmesh trace A B`",
    ),
    FaultCode.LOST_BETWEEN: FaultInfo(
        "the packet leaves one host and does not arrive at the other, for example because a cloud network checks "
        "source and destination",
        "`dockmesh trace A B`; in a cloud, see [guides/cloud.md](guides/cloud.md)",
    ),
}
