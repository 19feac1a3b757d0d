"""What every fault means and what mends it, for people who meet its name: docs/troubleshooting.md is made from this."""

from dataclasses import dataclass
from typing import Literal

FaultName = Literal[
    "no login",
    "link down",
    "docker stopped",
    "no docker",
    "bridge missing",
    "bridge address wrong",
    "no container",
    "container without default route",
    "ip_forward off",
    "not joined",
    "peer not in the inventory",
    "underlay missing",
    "route missing",
    "wrong next hop",
    "foreign route wins",
    "routing rule",
    "no way",
    "no neighbour",
    "stale neighbour",
    "strict rp_filter",
    "raw accepts missing",
    "raw drop",
    "DOCKER-USER flushed",
    "FORWARD flushed",
    "host firewall drop",
    "firewalld refuses",
    "not let in",
    "direct routing refused",
    "mark not let in",
    "marks missing",
    "masqueraded",
    "MTU too small",
    "no answer",
    "lost between the hosts",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """Of one fault: what it means, and what to do; `explain` gives the command with the names of the case in it."""

    meaning: str
    remedy: str


_APPLY = "`dockmesh apply --limit HOST`"

CATALOGUE: dict[FaultName, Entry] = {
    "no login": Entry(
        "the host cannot be looked at: SSH refuses, or nothing answers", "`ssh ADDRESS`, and what the cause says"
    ),
    "link down": Entry(
        "an interface on the way is off: the uplink, docker0, the container's own, or its leg in the bridge; or a "
        "cable is out",
        "`ip link set DEVICE up`; where the host is off the LAN, on its console",
    ),
    "docker stopped": Entry("Docker does not run", "`systemctl start docker`"),
    "no docker": Entry(
        "Docker is not installed, and the inventory says nothing of that",
        "`docker: false` for that host, or install it",
    ),
    "bridge missing": Entry("Docker runs, and docker0 is gone", "`systemctl restart docker`"),
    "bridge address wrong": Entry("docker0 has another address than in the inventory", _APPLY),
    "no container": Entry("there is nothing to reach: no such container, or it does not run", "`docker ps --all`"),
    "container without default route": Entry(
        "the container sends its replies nowhere, or to somebody else", "`nsenter … ip route replace default via …`"
    ),
    "ip_forward off": Entry(
        "the host forwards nothing, or nothing that comes in by that interface",
        "`sysctl -w net.ipv4.ip_forward=1`; then see who switches it off, in /etc/sysctl.d",
    ),
    "not joined": Entry("nothing of dockmesh's is on the host", _APPLY),
    "peer not in the inventory": Entry(
        "the host was last joined by an inventory without the other one",
        "`dockmesh apply --limit HOST`, by one with it",
    ),
    "underlay missing": Entry(
        "no interface has the address that the peers send to",
        "correct `address` or `underlay` in the inventory, or give the host that address",
    ),
    "route missing": Entry("the route to the other's prefix was removed", _APPLY),
    "wrong next hop": Entry("the route leads to another machine", _APPLY),
    "foreign route wins": Entry(
        "a route of somebody else's is more specific, or has the better metric",
        "`ip route del …`, and where it comes from",
    ),
    "routing rule": Entry("`ip rule` sends it past the main table", "`ip rule del pref …`, and where it comes from"),
    "no way": Entry("the kernel knows no way to the other end", "`ip route get ADDRESS` says what it would do"),
    "no neighbour": Entry("the two hosts share no LAN", "`arping -c 3 ADDRESS`; dockmesh needs one LAN"),
    "stale neighbour": Entry(
        "frames go to another card than the other host's: an old entry, one made by hand, or two machines with one "
        "address",
        "`ip neigh del ADDRESS dev DEVICE`",
    ),
    "strict rp_filter": Entry(
        "the host would answer by another interface, and therefore refuses the packet",
        "`sysctl -w net.ipv4.conf.DEVICE.rp_filter=2`; in /etc/sysctl.d to keep it",
    ),
    "raw accepts missing": Entry("Docker's own rules in table raw drop it; the accept before them is gone", _APPLY),
    "raw drop": Entry("somebody's rule in table raw, or in PREROUTING, drops it", "`iptables -t raw -D …`"),
    "DOCKER-USER flushed": Entry("the jump by which peers are let in was removed", _APPLY),
    "FORWARD flushed": Entry("as before, on a host without Docker", _APPLY),
    "host firewall drop": Entry(
        "a rule or policy of the host's own firewall drops it (iptables, nft, ufw)",
        "`iptables -D …`, `nft delete rule …`; for good, in that firewall's configuration",
    ),
    "firewalld refuses": Entry(
        "its table of nft refuses what iptables has accepted: Docker before 27 does not have it let anything through "
        "to containers; or Docker was started before firewalld; or pings are blocked",
        "the policy `docker-forwarding`, or `systemctl restart docker`; see [guides/firewall.md](guides/firewall.md)",
    ),
    "not let in": Entry("no rule of dockmesh's lets it in by the interface it comes by", _APPLY),
    "direct routing refused": Entry("Docker with nftables runs without `allow-direct-routing`", _APPLY),
    "mark not let in": Entry("Docker with nftables runs without `bridge-accept-fwmark`", _APPLY),
    "marks missing": Entry("the table that marks what peers send, where Docker uses nftables, was flushed", _APPLY),
    "masqueraded": Entry(
        "peers see the host's address instead of the container's, though `source_nat` is false; packets get through",
        "`dockmesh apply --limit HOST`; where another rule comes first, `nft list ruleset` finds it",
    ),
    "MTU too small": Entry(
        "packets of full size do not fit an uplink, or what is between the hosts; small ones get through",
        "`ip link set DEVICE mtu …`, or `dockmesh apply`, which gives docker0 the smaller one",
    ),
    "no answer": Entry(
        "it is handed to the container, which does not answer: a firewall of its own, perhaps", "`dockmesh trace A B`"
    ),
    "lost between the hosts": Entry(
        "it leaves the one host and does not come to the other, as in a cloud that checks source and destination",
        "`dockmesh trace A B`; in a cloud, see [guides/cloud.md](guides/cloud.md)",
    ),
}
