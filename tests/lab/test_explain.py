"""`explain` on hosts with one fault at a time: it names the fault, and its remedy repairs it."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import host_view
import mesh
import pytest
from accidents import container_stopped, eventually, output_of, partitioned, paused, temporarily
from lab_state import difference
from mesh import CommandResult, Mesh

from dockmesh.lab import network
from dockmesh.lab.process import poll, run
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
_PID = "$(docker inspect -f '{{.State.Pid}}' web)"
_LEG = "$(ip -o link | sed -n 's/^[0-9]*: \\(veth[^@]*\\)@.* master docker0 .*/\\1/p')"
RULES = "/root/rules-before"
# An interface that is up again forwards packets a moment later.
MENDED_WITHIN_S = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on a host, and the output of `explain A B` for it.

    `names`: the hosts, addresses, interfaces and rules in the cause. `remedy` is exact but for
    `*`, which stands for what differs from run to run.
    """

    code: str
    host: str
    do: tuple[str, ...]
    undo: tuple[str, ...]
    names: tuple[str, ...]
    remedy: str
    ends: tuple[str, str] = ("host1", "host3")
    reached: bool = False
    mends: bool = True


def apply_command(host: str) -> str:
    return f"dockmesh apply --limit {host}"


_OWN = "proto 201 metric 4201"
_ACCEPT = "-d 10.128.32.0/20 -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
_KEEP = f"iptables-save -t filter >{RULES}"
_RESTORE = f"iptables-restore -T filter <{RULES}; rm {RULES}"
FAULTS = {
    "route missing": Fault(
        "route-missing",
        "host1",
        (f"ip route del 10.128.32.0/20 {_OWN}",),
        (),
        ("host1", "10.128.32.0/20", "host3"),
        apply_command("host1"),
    ),
    "route missing on the way back": Fault(
        "route-missing",
        "host3",
        (f"ip route del 10.128.0.0/20 {_OWN}",),
        (),
        ("host3", "10.128.0.0/20", "host1"),
        apply_command("host3"),
    ),
    "wrong next hop": Fault(
        "wrong-next-hop",
        "host1",
        (f"ip route replace 10.128.32.0/20 via 192.168.18.129 dev eth0 {_OWN}",),
        (),
        ("host1", "host3", "10.128.32.0/20 via 192.168.18.129"),
        apply_command("host1"),
    ),
    "foreign route wins": Fault(
        "foreign-route-wins",
        "host1",
        ("ip route add 10.128.32.0/24 via 192.168.18.129 metric 5",),
        ("ip route del 10.128.32.0/24",),
        ("host1", "host3", "10.128.32.0/24 via 192.168.18.129"),
        "on host1: ip route del 10.128.32.0/24 via 192.168.18.129 dev eth0 metric 5",
    ),
    "foreign route that discards": Fault(
        "foreign-route-wins",
        "host3",
        ("ip route add unreachable 10.128.0.0/20 metric 5",),
        ("ip route del unreachable 10.128.0.0/20",),
        ("host3", "host1", "unreachable 10.128.0.0/20"),
        "on host3: ip route del unreachable 10.128.0.0/20 metric 5",
    ),
    "routing rule": Fault(
        "routing-rule",
        "host1",
        ("ip route add blackhole default table 77", "ip rule add from 10.128.0.0/20 lookup 77 pref 90"),
        ("ip rule del pref 90", "ip route flush table 77"),
        ("host1", "host3", "90: from 10.128.0.0/20 lookup 77"),
        "on host1: ip rule del pref 90",
    ),
    "DOCKER-USER flushed": Fault(
        "docker-user-flushed",
        "host3",
        (_KEEP, "iptables -F DOCKER-USER"),
        (_RESTORE,),
        ("host3", "DOCKER-USER"),
        apply_command("host3"),
    ),
    "DOCKER-USER flushed on the oldest Docker": Fault(
        "docker-user-flushed",
        "host1",
        (_KEEP, "iptables -F DOCKER-USER"),
        (_RESTORE,),
        ("host1", "DOCKER-USER"),
        apply_command("host1"),
        ends=("host3", "host1"),
    ),
    "DOCKER-USER flushed where replies still come in": Fault(
        "docker-user-flushed",
        "host1",
        (_KEEP, "iptables -F DOCKER-USER"),
        (_RESTORE,),
        ("host1", "DOCKER-USER"),
        apply_command("host1"),
        reached=True,
    ),
    "raw drop": Fault(
        "raw-drop",
        "host2",
        ("iptables -t raw -I PREROUTING -d 10.128.16.0/20 -i eth0 -m comment --comment 'no $(touch /x)' -j DROP",),
        ("iptables -t raw -D PREROUTING -d 10.128.16.0/20 -i eth0 -m comment --comment 'no $(touch /x)' -j DROP",),
        ("host2", "iptables -t raw -A PREROUTING -d 10.128.16.0/20 -i eth0"),
        "on host2: iptables -t raw -D PREROUTING -d 10.128.16.0/20 -i eth0 -m comment --comment 'no $(touch /x)'"
        " -j DROP",
        ends=("host1", "host2"),
    ),
    "raw accepts missing": Fault(
        "raw-accepts-missing",
        "host3",
        (f"iptables -t raw -D PREROUTING {_ACCEPT}",),
        (),
        ("host3", "raw PREROUTING", "iptables -t raw -A PREROUTING -d 10.128.32.2/32"),
        apply_command("host3"),
    ),
    "raw accepts missing on the way back": Fault(
        "raw-accepts-missing",
        "host3",
        (f"iptables -t raw -D PREROUTING {_ACCEPT}",),
        (),
        ("host3", "raw PREROUTING", "iptables -t raw -A PREROUTING -d 10.128.32.2/32"),
        apply_command("host3"),
        ends=("host3", "host2"),
    ),
    "marks missing": Fault(
        "marks-missing",
        "host3",
        ("nft flush table ip dockmesh",),
        (),
        ("host3", "ip dockmesh"),
        apply_command("host3"),
    ),
    "marks missing on the oldest Docker": Fault(
        "marks-missing",
        "host1",
        ("nft delete table ip dockmesh",),
        (),
        ("host1", "ip dockmesh"),
        apply_command("host1"),
        ends=("host3", "host1"),
    ),
    "marks missing on the way back": Fault(
        "marks-missing",
        "host3",
        ("nft flush chain ip dockmesh inbound",),
        (),
        ("host3", "ip dockmesh"),
        apply_command("host3"),
        ends=("host3", "host2"),
    ),
    "marks missing, because of another rule": Fault(
        "marks-missing",
        "host3",
        ("nft insert rule ip dockmesh forward counter drop",),
        (),
        ("host3", "ip dockmesh", "host1"),
        apply_command("host3"),
    ),
    "peer missing from the set": Fault(
        "marks-missing",
        "host3",
        ("nft delete element ip dockmesh peers '{ 10.128.0.0/20 }'",),
        (),
        ("host3", "ip dockmesh", "10.128.0.0/20", "host1"),
        apply_command("host3"),
    ),
    "ip_forward off": Fault(
        "ip-forward-off",
        "host3",
        ("sysctl -w net.ipv4.ip_forward=0",),
        ("sysctl -w net.ipv4.ip_forward=1",),
        ("host3", "net.ipv4.ip_forward"),
        "on host3: sysctl -w net.ipv4.ip_forward=1",
    ),
    "ip_forward off at the sender": Fault(
        "ip-forward-off",
        "host1",
        ("sysctl -w net.ipv4.ip_forward=0",),
        ("sysctl -w net.ipv4.ip_forward=1",),
        ("host1", "net.ipv4.ip_forward"),
        "on host1: sysctl -w net.ipv4.ip_forward=1",
    ),
    "link down: docker0": Fault(
        "link-down",
        "host3",
        ("ip link set docker0 down",),
        ("ip link set docker0 up",),
        ("host3", "docker0"),
        "on host3: ip link set docker0 up",
    ),
    "link down: the container's leg": Fault(
        "link-down",
        "host2",
        (f"ip link set {_LEG} down",),
        (f"ip link set {_LEG} up",),
        ("host2", "10.128.16.2", "docker0"),
        "on host2: ip link set * up",
        ends=("host1", "host2"),
    ),
    "link down: the uplink": Fault(
        "link-down",
        "host2",
        ("ip link set eth0 down",),
        ("ip link set eth0 up", "systemctl start dockmesh.service"),
        ("host2", "host1", "192.168.18.129", "SSH"),
        "on the console of host2: ip link; ip addr",
        ends=("host1", "host2"),
        mends=False,
    ),
    "docker stopped": Fault(
        "docker-stopped",
        "host3",
        ("systemctl stop docker.socket docker.service",),
        ("systemctl start docker.socket docker.service", "docker start web"),
        ("host3",),
        "on host3: systemctl start docker",
    ),
    "docker stopped at the sender": Fault(
        "docker-stopped",
        "host2",
        ("systemctl stop docker.socket docker.service",),
        ("systemctl start docker.socket docker.service", "docker start web"),
        ("host2",),
        "on host2: systemctl start docker",
        ends=("host2", "host1"),
    ),
    "bridge address wrong": Fault(
        "bridge-address-wrong",
        "host3",
        ("ip addr add 10.200.0.1/24 dev docker0", "ip addr del 10.128.32.1/24 dev docker0"),
        ("docker start web",),
        ("host3", "docker0", "10.200.0.1/24", "10.128.32.1/24"),
        apply_command("host3"),
    ),
    "container without default route": Fault(
        "container-without-default-route",
        "host3",
        (f"nsenter -n -t {_PID} ip route del default",),
        (f"nsenter -n -t {_PID} ip route replace default via 10.128.32.1",),
        ("host3", "10.128.32.2", "via 10.128.32.1"),
        "on host3: nsenter --target * --net ip route replace default via 10.128.32.1",
    ),
    "MTU too small": Fault(
        "mtu-too-small",
        "host1",
        ("ip link set eth0 mtu 1400",),
        ("ip link set eth0 mtu 1500",),
        ("host1", "eth0", "1400", "1500"),
        "on host1: ip link set eth0 mtu 1500",
        reached=True,
    ),
    "MTU too small at the receiver": Fault(
        "mtu-too-small",
        "host3",
        ("ip link set eth0 mtu 1400",),
        ("ip link set eth0 mtu 1500",),
        ("host3", "eth0", "1400", "1500"),
        "on host3: ip link set eth0 mtu 1500",
        reached=True,
    ),
    "host firewall drop": Fault(
        "host-firewall-drop",
        "host3",
        ("iptables -I FORWARD -s 10.128.0.0/20 -j REJECT --reject-with icmp-port-unreachable",),
        ("iptables -D FORWARD -s 10.128.0.0/20 -j REJECT --reject-with icmp-port-unreachable",),
        ("host3", "iptables -A FORWARD -s 10.128.0.0/20 -j REJECT"),
        "on host3: iptables -D FORWARD -s 10.128.0.0/20 -j REJECT --reject-with icmp-port-unreachable",
    ),
    "host firewall drop, of what leaves": Fault(
        "host-firewall-drop",
        "host1",
        ("iptables -I DOCKER-USER -o eth0 -p icmp -j DROP",),
        ("iptables -D DOCKER-USER -o eth0 -p icmp -j DROP",),
        ("host1", "iptables -A DOCKER-USER -o eth0 -p icmp -j DROP"),
        "on host1: iptables -D DOCKER-USER -o eth0 -p icmp -j DROP",
    ),
    "host firewall drop, by nft without a counter": Fault(
        "host-firewall-drop",
        "host3",
        (
            "nft add table inet fw; nft add chain inet fw in '{ type filter hook forward priority 10; }'",
            "nft add rule inet fw in ip saddr 10.128.0.0/20 drop",
        ),
        ("nft delete table inet fw",),
        ("host3", "inet fw in", "ip saddr 10.128.0.0/20 drop"),
        "on host3: nft delete rule inet fw in handle *",
    ),
    "stale neighbour": Fault(
        "stale-neighbour",
        "host1",
        ("ip neigh replace 192.168.18.130 lladdr 02:00:00:00:de:ad dev eth0 nud permanent",),
        ("ip neigh del 192.168.18.130 dev eth0",),
        ("host1", "192.168.18.130", "02:00:00:00:de:ad", "host3", "02:00:c0:a8:12:82"),
        "on host1: ip neigh del 192.168.18.130 dev eth0",
    ),
    "stale neighbour on the way back": Fault(
        "stale-neighbour",
        "host3",
        ("ip neigh replace 192.168.18.128 lladdr 02:00:00:00:de:ad dev eth0 nud permanent",),
        ("ip neigh del 192.168.18.128 dev eth0",),
        ("host3", "192.168.18.128", "02:00:00:00:de:ad", "host1", "02:00:c0:a8:12:80"),
        "on host3: ip neigh del 192.168.18.128 dev eth0",
    ),
    "masqueraded": Fault(
        "masqueraded",
        "host1",
        ("nft delete table ip dockmesh",),
        (),
        ("host3", "192.168.18.128", "10.128.0.2", "host1"),
        apply_command("host1"),
        reached=True,
    ),
    "masqueraded, for one peer": Fault(
        "masqueraded",
        "host1",
        ("nft delete element ip dockmesh peers '{ 10.128.32.0/20 }'",),
        (),
        ("host1", "ip dockmesh"),
        apply_command("host1"),
        reached=True,
    ),
    "not accepted": Fault(
        "not-accepted",
        "host3",
        (f"iptables -R DOCKER-USER 1 {_ACCEPT.replace('0x1000', '0x2000')}",),
        (),
        ("host3", "iptables -A DOCKER ! -i docker0 -o docker0 -j DROP"),
        apply_command("host3"),
    ),
    "no answer": Fault(
        "no-answer",
        "host3",
        (f"nsenter -n -t {_PID} sysctl -w net.ipv4.icmp_echo_ignore_all=1",),
        (f"nsenter -n -t {_PID} sysctl -w net.ipv4.icmp_echo_ignore_all=0",),
        ("host3", "10.128.32.2"),
        "dockmesh trace host1 host3",
        mends=False,
    ),
}


_CONTAINERS = {"host1": "10.128.0.2", "host2": "10.128.16.2", "host3": "10.128.32.2"}
# The background traffic that each host drops: pings of this length, and UDP to this port.
DROPPED = {host: (100 + number, 7000 + number) for number, host in enumerate(HOSTS, 1)}
_SEND_UDP = """
use Socket;
socket(my $socket, PF_INET, SOCK_DGRAM, 0);
my ($to, @ports) = @ARGV;
while (1) { send($socket, "x", 0, sockaddr_in($_, inet_aton($to))) for @ports; select(undef, undef, undef, 0.012) }
"""


@contextmanager
def background_traffic(lab: Lab, ends: tuple[str, str]) -> Iterator[None]:
    """1,000 packets per second through the hosts, and rules that drop some of them, but never a probe.

    Pings and UDP from the container of the first end and from that of a third host, all to the second end.
    """
    source, target = ends
    (other,) = set(HOSTS) - set(ends)
    to = _CONTAINERS[target]
    flows = [
        (source, f"ping -q -i 0.004 {to}"),
        (other, f"ping -q -i 0.004 {to}"),
        *((source, f"ping -q -i 0.008 -s {DROPPED[host][0] - 28} {to}") for host in ends),
        (source, f"perl -e {shlex.quote(_SEND_UDP)} {to} {' '.join(str(port) for _, port in DROPPED.values())}"),
    ]
    with ExitStack() as stack:
        for host, (length, port) in DROPPED.items():
            rule = f"FORWARD -p icmp -m length --length {length} -j DROP"
            chain = "'{ type filter hook forward priority 20; }'"
            table = f"nft add table inet busy; nft add chain inet busy gate {chain}"
            drop = f"nft add rule inet busy gate udp dport {port} counter drop"
            do = (f"iptables -I {rule}", f"{table}; {drop}")
            stack.enter_context(
                temporarily(lab, host, do=do, undo=(f"iptables -D {rule}", "nft delete table inet busy"))
            )
        for host, command in flows:
            stack.enter_context(running(lab, host, command))
        yield


@contextmanager
def running(lab: Lab, host: str, command: str) -> Iterator[None]:
    """Run a program in the network of the host's container, or of the host if the container does not run."""
    enter = "pid=$(docker inspect -f '{{.State.Pid}}' web) && [ $pid != 0 ] || pid=1"
    start = f"{enter}; timeout 60 nsenter -n -t $pid {command} >/dev/null 2>&1 & echo $!"
    pid = output_of(lab, host, "sh", "-c", start)
    try:
        yield
    finally:
        lab.run(host, ("kill", pid))


@contextmanager
def repair_paused(lab: Lab) -> Iterator[None]:
    """Stop the repair timer of the hosts for the block, and repair them at its end."""
    stop, start = ("systemctl stop dockmesh.timer",), ("systemctl start dockmesh.service dockmesh.timer",)
    with (
        temporarily(lab, "host1", do=stop, undo=start),
        temporarily(lab, "host2", do=stop, undo=start),
        temporarily(lab, "host3", do=stop, undo=start),
    ):
        yield


def explain_fault(asked: Mesh, fault: Fault) -> CommandResult:
    return asked.dockmesh("explain", *fault.ends, "--json", "--timeout", "5")


def run_remedy(lab: Lab, asked: Mesh, remedy: str) -> None:
    """Run the commands of the remedy."""
    if there := re.fullmatch(r"on (host\d): (.*)", remedy):
        output_of(lab, there[1], "sh", "-c", there[2])
    else:
        words = shlex.split(remedy)
        assert words[0] == "dockmesh"
        ended = asked.dockmesh(*words[1:], "--yes")
        assert ended.status == 0, ended


def assert_expected(fault: Fault, document: dict[str, Any]) -> None:
    assert document["code"] == fault.code, document
    assert [name for name in fault.names if name not in document["cause"]] == [], document["cause"]
    assert re.fullmatch(re.escape(fault.remedy).replace(r"\*", r"\S+"), document["remedy"]), document["remedy"]
    broken = {step["host"] for step in document["steps"] if step["detail"].startswith(document["cause"])}
    assert broken == {fault.host} or fault.code == "no-answer", document


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_explain_names_the_fault_and_its_remedy_repairs_it(joined: Mesh, lab: Lab, fault: Fault) -> None:
    with repair_paused(lab), temporarily(lab, fault.host, do=fault.do, undo=()):
        try:
            broken = explain_fault(joined, fault)
            assert broken.status == (0 if fault.reached else 3), broken
            assert_expected(fault, broken.document)
            assert broken.document["reached"] is fault.reached
            with background_traffic(lab, fault.ends):
                busy = explain_fault(joined, fault)
            assert_expected(fault, busy.document)
            assert (busy.status, busy.document["reached"]) == (broken.status, fault.reached), busy
            if fault.mends:
                run_remedy(lab, joined, broken.document["remedy"])
                mended = poll(lambda: explain_fault(joined, fault).status == 0, MENDED_WITHIN_S)
                assert mended, explain_fault(joined, fault)
        finally:
            for command in fault.undo:
                lab.run(fault.host, ("sh", "-c", command))


def test_a_peer_missing_from_the_applied_inventory_is_named(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    fault = Fault(
        "peer-not-in-inventory",
        "host1",
        (),
        (),
        ("host1", "host3"),
        apply_command("host1"),
    )
    without = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {}})
    try:
        assert without.dockmesh("apply", "--yes", "--limit", "host1").status == 0
        broken = explain_fault(joined, fault)
        assert broken.status == 3, broken
        assert_expected(fault, broken.document)
        # From the other side, the return path is missing.
        back = explain_fault(joined, replace(fault, ends=("host3", "host1")))
        assert back.status == 3, back
        assert_expected(fault, back.document)
    finally:
        run_remedy(lab, joined, fault.remedy)
    assert explain_fault(joined, fault).status == 0


@contextmanager
def two_homed(lab: Lab) -> Iterator[None]:
    """host2 with a second interface in the same LAN, through which it replies to host1."""
    own, fabric = lab.topology.host("host2").handle, lab.topology.fabric
    second = "ip addr add 192.168.19.129/20 dev eth1; ip link set eth1 up"
    by_it = f"ip route replace 10.128.0.0/20 via 192.168.18.128 dev eth1 {_OWN}"
    run(("ip", "-n", fabric, "link", "add", "second", "type", "veth", "peer", "name", "eth1", "netns", own))
    run(("ip", "-n", fabric, "link", "set", "second", "master", network.SWITCH, "up"))
    try:
        with temporarily(lab, "host2", do=(second, by_it), undo=()):
            yield
    finally:
        run(("ip", "-n", fabric, "link", "del", "second"))


def test_strict_rp_filter_is_named_and_its_remedy_repairs_it(joined: Mesh, lab: Lab) -> None:
    before = output_of(lab, "host2", "sysctl", "-n", "net.ipv4.conf.eth0.rp_filter")
    fault = Fault(
        "strict-rp-filter",
        "host2",
        ("sysctl -w net.ipv4.conf.eth0.rp_filter=1",),
        (f"sysctl -w net.ipv4.conf.eth0.rp_filter={before}",),
        ("host2", "10.128.0.2", "eth0", "eth1", "rp_filter"),
        "on host2: sysctl -w net/ipv4/conf/eth0/rp_filter=2",
        ends=("host1", "host2"),
    )
    with repair_paused(lab), two_homed(lab), temporarily(lab, fault.host, do=fault.do, undo=fault.undo):
        broken = explain_fault(joined, fault)
        assert broken.status == 3, broken
        assert_expected(fault, broken.document)
        run_remedy(lab, joined, broken.document["remedy"])
        # The reply comes from another MAC address, which is no fault if the probe passes.
        mended = explain_fault(joined, fault)
        assert (mended.status, mended.document["code"]) == (0, None), mended


@pytest.mark.usefixtures("joined")
def test_an_interface_that_is_down_is_named(lab: Lab, tmp_path: Path) -> None:
    by_second = mesh.write_inventory(
        lab,
        tmp_path,
        {
            host: {"address": "192.168.19.129", "underlay": "192.168.18.129"} if host == "host2" else {}
            for host in HOSTS
        },
        connection={"host_key_policy": "accept-new", "known_hosts": str(tmp_path / "known_hosts")},
    )
    with (
        repair_paused(lab),
        two_homed(lab),
        temporarily(lab, "host2", do=("ip link set eth0 down",), undo=("ip link set eth0 up",)),
    ):
        broken = by_second.dockmesh("explain", "host1", "host2", "--json", "--timeout", "5")
    assert (broken.status, broken.document["code"]) == (3, "link-down"), broken
    assert all(name in broken.document["cause"] for name in ("eth0", "host2"))
    assert broken.document["remedy"] == "on host2: ip link set eth0 up"


def test_a_host_that_is_cut_off_differs_from_one_that_is_frozen(joined: Mesh, lab: Lab) -> None:
    with partitioned(lab, "host2"):
        cut = joined.dockmesh("explain", "host1", "host2", "--json", "--timeout", "5")
        back = joined.dockmesh("explain", "host2", "host1", "--json", "--timeout", "5")
    with paused(lab, "host2"):
        frozen = joined.dockmesh("explain", "host1", "host2", "--json", "--timeout", "5")
    assert (cut.status, cut.document["code"]) == (3, "link-down"), cut
    assert (back.status, back.document["code"]) == (3, "link-down"), back
    assert (frozen.status, frozen.document["code"]) == (3, "no-login"), frozen


def test_hosts_that_have_not_joined_are_the_cause(fresh: Mesh) -> None:
    ended = fresh.dockmesh("explain", "host1", "host3", "--json")
    assert (ended.status, ended.document["code"]) == (3, "not-joined"), ended
    assert ended.document["remedy"] == apply_command("host1")


def test_a_host_that_left_the_mesh_is_the_cause(joined: Mesh) -> None:
    try:
        assert joined.dockmesh("destroy", "--yes", "--limit", "host3").status == 0
        ended = joined.dockmesh("explain", "host1", "host3", "--json")
    finally:
        assert joined.dockmesh("apply", "--yes").status == 0
    assert (ended.status, ended.document["code"]) == (3, "not-joined"), ended
    assert ended.document["remedy"] == apply_command("host3")


def test_an_explanation_changes_nothing_on_the_hosts(joined: Mesh, lab: Lab) -> None:
    before = host_view.read_hosts(lab, HOSTS)
    assert joined.dockmesh("explain", "host2", "host3").status == 0
    assert difference(before, host_view.read_hosts(lab, HOSTS)) == ""
    assert [output_of(lab, host, "find", "/root", "-name", ".nft*") for host in ("host2", "host3")] == ["", ""]


def test_a_killed_explanation_leaves_nothing_on_the_hosts(joined: Mesh, lab: Lab) -> None:
    table = "nft list tables | grep -o 'inet dockmesh-explain' || true"
    with subprocess.Popen(
        joined.argv("explain", "host2", "host3"), stdout=subprocess.DEVNULL, env=joined.environment()
    ) as explaining:
        assert all(eventually(lab, host, table, "inet dockmesh-explain") for host in ("host2", "host3"))
        explaining.kill()
    left = f"{table}; pgrep -a -x nft; find /tmp /root -maxdepth 1 -name 'tmp.*' -o -name '.nft*'"
    assert all(eventually(lab, host, left, "") for host in ("host2", "host3"))


def test_without_a_trace_no_rule_is_deleted_that_other_traffic_met(joined: Mesh, lab: Lab) -> None:
    """A host whose nft cannot trace."""
    fault = FAULTS["no answer"]
    no_trace = 'mv /usr/sbin/nft /usr/sbin/nft.real; printf \'#!/bin/sh\\ncase "$*" in *monitor*) exit 1 ;; esac\\n'
    no_trace += 'exec nft.real "$@"\\n\' >/usr/sbin/nft; chmod 755 /usr/sbin/nft'
    with (
        temporarily(lab, "host3", do=(no_trace,), undo=("mv /usr/sbin/nft.real /usr/sbin/nft",)),
        temporarily(lab, fault.host, do=fault.do, undo=fault.undo),
    ):
        quiet = explain_fault(joined, fault)
        with background_traffic(lab, fault.ends):
            busy = explain_fault(joined, fault)
    assert_expected(fault, quiet.document)
    assert busy.document["code"] == "host-firewall-drop", busy
    assert busy.document["remedy"] == "dockmesh trace host1 host3"
    # A rule that matches no ping is no possible cause.
    found = [rule in busy.document["cause"] for rule in (f"--length {DROPPED['host3'][0]} ", "udp dport")]
    assert found == [True, False]


def test_explanations_at_the_same_time_do_not_mix_their_probes(joined: Mesh, lab: Lab) -> None:
    rule = "FORWARD -s 10.128.16.2/32 -p icmp -j DROP"
    fault = FAULTS["no answer"]
    with (
        temporarily(lab, "host3", do=(f"iptables -I {rule}",), undo=(f"iptables -D {rule}",)),
        temporarily(lab, fault.host, do=fault.do, undo=fault.undo),
        ThreadPoolExecutor(max_workers=2) as pool,
    ):
        ends = [("host1", "host3"), ("host2", "host3")]
        kept, dropped = pool.map(lambda pair: explain_fault(joined, replace(fault, ends=pair)).document, ends)
    assert_expected(fault, kept)
    assert (dropped["code"], dropped["remedy"]) == ("host-firewall-drop", f"on host3: iptables -D {rule}")


def test_a_temporary_namespace_replaces_a_missing_container(joined: Mesh, lab: Lab) -> None:
    before = output_of(lab, "host1", "sh", "-c", "pgrep -c sleep || true")
    with container_stopped(lab, "host1"):
        ended = joined.dockmesh("explain", "host1", "host3", "--json")
    assert (ended.status, ended.document["code"]) == (0, None), ended
    assert output_of(lab, "host1", "sh", "-c", "pgrep -c sleep || true") == before


def test_a_missing_container_is_reported_and_other_networks_work(joined: Mesh, lab: Lab) -> None:
    begin = "docker network create app && docker run --detach --init --name api --network app busybox sleep infinity"
    none = joined.dockmesh("explain", "host1", "host2:api", "--json")
    assert (none.status, none.document["code"]) == (3, "no-container"), none
    assert all(name in none.document["cause"] for name in ("api", "host2"))
    with temporarily(lab, "host2", do=[begin], undo=["docker rm --force api; docker network rm app"]):
        there = joined.dockmesh("explain", "host1:web", "host2:api", "--json")
        back = joined.dockmesh("explain", "host2:api", "host3", "--json")
    assert (there.status, there.document["code"]) == (0, None), there
    assert (back.status, back.document["code"]) == (0, None), back


def test_with_source_nat_masquerade_is_not_a_fault(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    hiding = mesh.write_inventory(lab, tmp_path, {host: {} for host in HOSTS}, mesh={"source_nat": True})
    try:
        assert hiding.dockmesh("apply", "--yes").status == 0
        ended = hiding.dockmesh("explain", "host1", "host3", "--json")
    finally:
        assert joined.dockmesh("apply", "--yes").status == 0
    assert (ended.status, ended.document["code"]) == (0, None), ended


def test_hosts_without_docker_can_be_ends(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    hosts: dict[str, Mapping[str, Any]] = {host: {} for host in HOSTS}
    four = mesh.write_inventory(lab, tmp_path, hosts | {"host4": {"docker": False, "prefix": None, "bridge": None}})
    # host1 masquerades towards an unknown host4, which then needs no return route.
    masked = four.dockmesh("explain", "host1", "host4", "--json")
    assert (masked.status, masked.document["code"]) == (0, "peer-not-in-inventory"), masked
    try:
        assert four.dockmesh("apply", "--yes", "--limit", "host1").status == 0
        unjoined = four.dockmesh("explain", "host1", "host4", "--json")
        assert four.dockmesh("apply", "--yes").status == 0
        there, back = (four.dockmesh("explain", *ends, "--json") for ends in (("host1", "host4"), ("host4", "host1")))
        block = "iptables -I INPUT -s 10.128.0.0/20 -j DROP"
        with temporarily(lab, "host4", do=[block], undo=[block.replace("-I", "-D")]):
            dropped = four.dockmesh("explain", "host1", "host4", "--json")
    finally:
        four.dockmesh("destroy", "--yes", "--limit", "host4")
        assert joined.dockmesh("apply", "--yes").status == 0
    assert (unjoined.status, unjoined.document["code"]) == (3, "not-joined"), unjoined
    assert unjoined.document["remedy"] == apply_command("host4")
    assert (there.status, there.document["code"]) == (0, None), there
    assert (back.status, back.document["code"]) == (0, None), back
    assert (dropped.status, dropped.document["code"]) == (3, "host-firewall-drop"), dropped
    assert dropped.document["remedy"] == f"on host4: {block.replace('-I', '-D')}"


def test_rules_of_docker_that_were_removed_are_named(joined: Mesh, lab: Lab) -> None:
    """The remedy restarts Docker, which the next tests do not expect, so it does not run here."""
    with repair_paused(lab), temporarily(lab, "host3", do=(_KEEP, "iptables -F FORWARD"), undo=(_RESTORE,)):
        found = joined.dockmesh("explain", "host1", "host3", "--json")
    assert (found.status, found.document["code"]) == (3, "docker-rules-missing"), found
    assert found.document["remedy"] == "on host3: systemctl restart docker"


def test_explain_prints_the_steps_the_cause_and_the_remedy(joined: Mesh, lab: Lab) -> None:
    fault = FAULTS["ip_forward off"]
    with temporarily(lab, fault.host, do=fault.do, undo=fault.undo):
        document = explain_fault(joined, fault).document
        ended = joined.dockmesh("explain", *fault.ends)
    assert ended.status == 3
    assert "host1 does not reach host3" in ended.stdout
    assert f"cause {fault.code}: {document['cause']}" in ended.words
    assert f"remedy {fault.remedy}" in ended.words
