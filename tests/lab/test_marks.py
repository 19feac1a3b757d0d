"""Other software that uses packet marks, and packets that have no mark."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations

import docker_api
import pytest
from accidents import container_address, output_of, temporarily, ttl
from mesh import Mesh

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
PORT = 7100
# The rules that each software installs, as far as they meet traffic of the mesh.
MARKING = {
    "wg-quick": [
        "-t mangle {} PREROUTING -p udp -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
        "-t mangle {} POSTROUTING -p udp -m mark --mark 0xca6c -j CONNMARK --save-mark",
    ],
    "swarm": [
        f"-t mangle {{}} PREROUTING -p {each} --dport {PORT} -j MARK --set-mark 0x104" for each in ("tcp", "udp")
    ],
    "tailscale": [
        "{} FORWARD -i eth0 -j MARK --set-xmark 0x40000/0xff0000",
        "{} FORWARD -m mark --mark 0x40000/0xff0000 -m comment --comment tailscale -j ACCEPT",
    ],
    "a saved mark": [
        "-t mangle {} POSTROUTING -j CONNMARK --save-mark",
        "-t mangle {} PREROUTING -j CONNMARK --restore-mark",
    ],
}
_SERVER = (
    "use Socket; socket(S, PF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in({port}, INADDR_ANY)) or die; alarm 120;"
    "while (my $from = recv(S, $text, 99, 0)) {{ send(S, $text, 0, $from) }}"
)
_CLIENT = (
    'use Socket; socket(S, PF_INET, SOCK_DGRAM, 0); connect(S, sockaddr_in({port}, inet_aton("{address}"))) or die;'
    'send(S, "hello", 0); alarm 2; recv(S, $text, 99, 0); print $text'
)
_ENTER = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' web)"


@contextmanager
def echo_servers(lab: Lab) -> Iterator[dict[str, str]]:
    """The addresses of the containers, each of which returns what it receives by UDP and TCP."""
    with ExitStack() as stack:
        for host in HOSTS:
            udp = f"{_ENTER} perl -e {shlex.quote(_SERVER.format(port=PORT))} >/dev/null 2>&1 & echo $! >/root/echo"
            tcp = f"docker exec --detach web nc -ll -p {PORT} -e cat"
            undo = ["kill $(cat /root/echo); rm /root/echo", "docker exec web pkill nc"]
            stack.enter_context(temporarily(lab, host, do=[udp, tcp], undo=undo))
        yield {host: container_address(lab, host) for host in HOSTS}


def failing(lab: Lab, addresses: dict[str, str]) -> list[tuple[str, str, str]]:
    """The pairs of hosts whose containers do not reach each other, by protocol."""
    found = []
    for source, target in permutations(HOSTS, 2):
        client = _CLIENT.format(port=PORT, address=addresses[target])
        udp = lab.run(source, ("sh", "-c", f"{_ENTER} perl -e {shlex.quote(client)}")).stdout
        connect = f"echo hello | busybox nc -w 1 {addresses[target]} {PORT}"
        tcp = lab.run(source, (*docker_api.enter_network(lab, source, "web"), "sh", "-c", connect)).stdout
        found += [(source, target, "udp")] * (udp != "hello") + [(source, target, "tcp")] * (tcp != "hello\n")
    return found


@contextmanager
def iptables(lab: Lab, hosts: Sequence[str], rules: Sequence[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for host in hosts:
            do, undo = ([f"iptables -w 10 {rule.format(verb)}" for rule in rules] for verb in ("-A", "-D"))
            stack.enter_context(temporarily(lab, host, do=do, undo=undo))
        yield


@pytest.mark.parametrize("software", MARKING)
def test_traffic_passes_rules_that_change_marks(joined: Mesh, lab: Lab, software: str) -> None:
    with echo_servers(lab) as addresses, iptables(lab, HOSTS, MARKING[software]):
        assert failing(lab, addresses) == []
        assert joined.dockmesh("status").status == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_mark_that_other_software_sets_lets_no_stranger_in(joined: Mesh, lab: Lab, host: str) -> None:
    assert joined
    prefix, underlay = lab.topology.host(host).prefix, lab.topology.host(host).underlay.ip
    stranger = lab.topology.host("host4").underlay.ip
    route = f"{prefix} via {underlay}"
    marking = [f"-t mangle {{}} PREROUTING -s {stranger} -j MARK --set-xmark 0x1000/0x1000"]
    with temporarily(lab, "host4", do=[f"ip route add {route}"], undo=[f"ip route del {route}"]):
        for rules in ([], marking):
            with iptables(lab, [host], rules):
                assert ttl(lab, "host4", container_address(lab, host)) is None
                plan = joined.dockmesh("plan", "--json").document
        (notes,) = (row["notes"] for row in plan["hosts"] if row["host"] == host)
        assert [each["code"] for each in notes] == ["mark-in-use"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_peer_that_left_the_set_has_no_new_connection(joined: Mesh, lab: Lab, host: str) -> None:
    """The kernel still accepts replies, and pings with the id of an earlier one."""
    assert joined
    peer = next(each for each in HOSTS if each != host)
    element = lab.topology.host(peer).underlay.ip
    address = container_address(lab, host)
    assert ttl(lab, peer, address) == 63
    with temporarily(
        lab,
        host,
        do=["systemctl stop dockmesh.timer", f"nft delete element ip dockmesh peers {{ {element} }}"],
        undo=["systemctl start dockmesh.timer dockmesh.service"],
    ):
        assert ttl(lab, peer, address) is None
    assert ttl(lab, peer, address) == 63
    assert output_of(lab, host, "systemctl", "is-active", "dockmesh.timer") == "active"


@pytest.mark.parametrize("host", HOSTS)
def test_own_rules_return_to_the_front_of_their_chains(joined: Mesh, lab: Lab, host: str) -> None:
    drop = "-s 203.0.113.9 -j DROP"
    do = [f"iptables -I DOCKER-USER {drop}", f"iptables -t raw -I PREROUTING {drop}"]
    undo = [each.replace(" -I ", " -D ") for each in do]
    pause, resume = "systemctl stop dockmesh.timer", "systemctl start dockmesh.timer"
    with temporarily(lab, host, do=[pause, *do], undo=[*undo, resume]):
        plan = joined.dockmesh("plan", "--json").document
        (changes,) = (row["changes"] for row in plan["hosts"] if row["host"] == host)
        assert {"filter/DOCKER-USER", "raw/PREROUTING"} <= {each["key"] for each in changes}
        output_of(lab, host, "systemctl", "start", "dockmesh.service")
        for chain in (("DOCKER-USER",), ("PREROUTING", "-t", "raw")):
            rules = output_of(lab, host, "iptables", "-S", *chain).splitlines()
            assert " --comment dockmesh " in next(each for each in rules if each.startswith("-A"))
    assert joined.dockmesh("plan").status == 0
