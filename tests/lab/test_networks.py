"""Networks as of Compose: inside the host's prefix, and only peers reach them, with their own addresses."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from itertools import permutations
from pathlib import Path

import docker_api
import mesh
import pytest
from accidents import container_address, output_of, temporarily
from lab_state import SharedHosts
from mesh import Mesh

from dockmesh.lab import lifecycle
from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
PREFIXES = {"host1": "10.128.0.0/20", "host2": "10.128.16.0/20", "host3": "10.128.32.0/20"}
UNDERLAY = {"host1": "192.168.18.128", "host2": "192.168.18.129", "host3": "192.168.18.130", "host4": "192.168.18.131"}
PORT, INNER_PORT, PUBLISHED = 7000, 7001, 8080
MENDED_WITHIN_S = 30
# The container was restarted a moment ago.
SETTLES_WITHIN_S = 5
HEARD = "icmp[icmptype] = icmp-echo or (tcp[tcpflags] & (tcp-syn|tcp-ack)) = tcp-syn"
_NETWORK = r"\d+(?:\.\d+){3}/\d+"
_ADDRESS = "{{.NetworkSettings.Networks.app.IPAddress}}"
_SERVES = f"until echo | docker exec -i app nc -w 1 127.0.0.1 {INNER_PORT}; do sleep 0.1; done"


def network_note(mesh: Mesh, network: str, host: str) -> str:
    """The notes in the plan of a host about a network."""
    (plan,) = (each for each in mesh.dockmesh("plan", "--json").document["hosts"] if each["host"] == host)
    (note,) = (each for each in plan["notes"] if each["key"] == f"network {network}")
    return str(note["message"])


@contextmanager
def app(lab: Lab, *hosts: str) -> Iterator[dict[str, str]]:
    """A network of its own on each host, made by Docker as it likes, with a container that echoes on two ports.

    One of them is published, which Docker before 28 opens to whoever has a route to the container. Gives the addresses
    of the containers by host, which differ from time to time: Docker does not take a network's prefix twice in a row.
    """
    with ExitStack() as stack:
        for host in hosts:
            serving = f"nc -ll -p {PORT} -e cat & nc -ll -p {INNER_PORT} -e cat"
            options = f"--name app --network app --publish {PUBLISHED}:{PORT} --stop-signal KILL"
            make = ["docker network create app", f"docker run --detach {options} busybox sh -c '{serving}'", _SERVES]
            stack.enter_context(temporarily(lab, host, do=make, undo=["docker rm -f app; docker network rm app"]))
        yield {host: output_of(lab, host, "docker", "inspect", "-f", _ADDRESS, "app") for host in hosts}


def run_in_container(lab: Lab, host: str, container: str, command: str) -> str:
    """The output of a shell of the host in the network of a container."""
    return lab.run(host, (*docker_api.enter_network(lab, host, container), "sh", "-c", command)).stdout


def can_ping(lab: Lab, host: str, container: str, address: str) -> bool:
    return " 0% packet loss" in run_in_container(lab, host, container, f"ping -c 1 -W 1 {address}")


def can_connect(lab: Lab, host: str, container: str, address: str, port: int = PORT) -> bool:
    return run_in_container(lab, host, container, f"echo hello | busybox nc -w 1 {address} {port}") == "hello\n"


@contextmanager
def captured_sources(lab: Lab, host: str) -> Iterator[set[tuple[str, str]]]:
    """Who sends pings and opens connections to the host's app, as its own network card sees it."""
    heard: set[tuple[str, str]] = set()
    enter = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' app)"
    tcpdump = f"{enter} tcpdump -lnq -i eth0 '{HEARD}' >/root/heard 2>/root/said & echo $!"
    pid = output_of(lab, host, "sh", "-c", f"{tcpdump}; until grep -q listening /root/said; do sleep 0.1; done")
    yield heard
    text = output_of(lab, host, "sh", "-c", f"sleep 0.3; kill {pid}; cat /root/heard; rm /root/heard /root/said")
    for line in text.splitlines():
        _time, _ip, source, _to, _target, what, *_ = line.split()
        heard.add((what.lower(), ".".join(source.split(".")[:4])))


def assert_all_reach_all_by_their_own_addresses(lab: Lab, addresses: dict[str, str]) -> None:
    for target in HOSTS:
        sources = [host for host in HOSTS if host != target]
        with captured_sources(lab, target) as heard:
            for source in sources:
                assert can_ping(lab, source, "app", addresses[target]), (source, target)
                assert can_connect(lab, source, "app", addresses[target]), (source, target)
        assert heard == {(what, addresses[source]) for source in sources for what in ("icmp", "tcp")}, target


def test_networks_created_after_apply_are_in_the_prefix_and_reachable(joined: Mesh, lab: Lab) -> None:
    with app(lab, *HOSTS) as addresses:
        assert all(IPv4Address(addresses[host]) in IPv4Network(PREFIXES[host]) for host in HOSTS)
        assert_all_reach_all_by_their_own_addresses(lab, addresses)
        assert joined.dockmesh("plan").status == 0, "a network in its own prefix needs no change"


def test_networks_survive_restarts_of_docker_and_reboots(joined: Mesh, lab: Lab) -> None:
    with app(lab, *HOSTS) as addresses:
        for host in ("host1", "host3"):
            output_of(lab, host, "sh", "-c", f"systemctl restart docker && docker start web app && {_SERVES}")
        lifecycle.reboot(lab.topology.name, "host2")
        output_of(lab, "host2", "sh", "-c", f"docker start web app && {_SERVES}")
        assert poll(lambda: can_ping(lab, "host2", "app", addresses["host1"]), MENDED_WITHIN_S)
        assert_all_reach_all_by_their_own_addresses(lab, addresses)
        assert joined.dockmesh("status").status == 0


def test_a_host_outside_the_mesh_reaches_only_published_ports(joined: Mesh, lab: Lab) -> None:
    """It is on the same LAN and has the routes of a peer, so replies could reach it."""
    hosts = [host for host in HOSTS if host in joined.hosts]
    routes = [f"ip route add {PREFIXES[host]} via {UNDERLAY[host]}" for host in hosts]
    with (
        app(lab, *HOSTS) as addresses,
        temporarily(lab, "host4", do=routes, undo=[each.replace("add", "del") for each in routes]),
    ):
        for host in HOSTS:
            assert can_connect(lab, "host4", "web", UNDERLAY[host], PUBLISHED), "published ports keep working"
            docker0 = output_of(lab, host, "docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web")
            for address in (addresses[host], docker0 or addresses[host]):
                assert lab.run("host4", ("ping", "-c", "1", "-W", "1", address)).returncode != 0, address
                assert not can_connect(lab, "host4", "web", address, INNER_PORT), address


def test_networks_of_a_host_stay_isolated_and_ports_stay_published(joined: Mesh, lab: Lab) -> None:
    assert joined.hosts == HOSTS
    with app(lab, *HOSTS) as addresses:
        for source, target in permutations(HOSTS, 2):
            assert not can_ping(lab, source, "web", addresses[source])
            assert not can_connect(lab, source, "web", addresses[source])
            assert can_connect(lab, source, "web", UNDERLAY[target], PUBLISHED)


def test_traffic_to_hosts_outside_the_mesh_is_masqueraded(joined: Mesh, lab: Lab) -> None:
    assert joined.hosts == HOSTS
    with app(lab, "host4"), captured_sources(lab, "host4") as heard:
        for host in HOSTS:
            assert can_connect(lab, host, "web", UNDERLAY["host4"], PUBLISHED)
    assert heard == {("tcp", UNDERLAY[host]) for host in HOSTS}


def test_with_source_nat_peers_see_the_address_of_the_host(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    masked = mesh.write_inventory(lab, tmp_path, {host: {} for host in HOSTS}, mesh={"source_nat": True})
    assert masked.dockmesh("apply", "--yes").status == 0
    with app(lab, *HOSTS) as addresses, captured_sources(lab, "host3") as heard:
        assert can_ping(lab, "host1", "app", addresses["host3"])
        assert can_connect(lab, "host2", "app", addresses["host3"])
    assert heard == {("icmp", UNDERLAY["host1"]), ("tcp", UNDERLAY["host2"])}
    assert joined.dockmesh("apply", "--yes").status == 0


def test_a_host_without_nft_is_refused(fresh: Mesh, lab: Lab) -> None:
    nft = output_of(lab, "host1", "sh", "-c", "command -v nft")
    with temporarily(lab, "host1", do=[f"mv {nft} /root/nft"], undo=[f"mv /root/nft {nft}"]):
        plan = fresh.dockmesh("plan", "--json")
        assert plan.status == 3
        codes = {row["host"]: [each["code"] for each in row["conflicts"]] for row in plan.document["hosts"]}
        assert codes == {"host1": ["nft-missing"], "host2": [], "host3": []}


def test_prefixes_can_grow_shrink_and_move(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    prefixes = {"host1": "10.140.0.0/20", "host2": "10.128.16.0/22", "host3": "10.128.32.0/19"}
    other = mesh.write_inventory(lab, tmp_path, {host: {"prefix": prefix} for host, prefix in prefixes.items()})
    with app(lab, *HOSTS) as addresses:
        assert other.dockmesh("plan").status == 2
        left, prefix = re.findall(_NETWORK, network_note(other, "app", "host1"))
        assert IPv4Address(addresses["host1"]) in IPv4Network(left), "the plan names networks outside the new prefix"
        assert prefix == prefixes["host1"]
        assert other.dockmesh("apply", "--yes", "--serial", "100%").status == 0
        assert other.dockmesh("plan").status == 0
        routes = output_of(lab, "host2", "sh", "-c", "ip route show proto 201 | cut -d ' ' -f 1").split()
        assert routes == ["10.128.32.0/19", "10.140.0.0/20"]
        # Where in the prefix of before Docker has put host2's own network is chance; docker0 is in both.
        assert poll(lambda: can_ping(lab, "host2", "web", addresses["host3"]), SETTLES_WITHIN_S)
        assert poll(lambda: can_ping(lab, "host3", "app", container_address(lab, "host2")), SETTLES_WITHIN_S)
        assert not can_ping(lab, "host2", "web", addresses["host1"]), "no host routes the old prefix"
        assert joined.dockmesh("apply", "--yes", "--serial", "100%").status == 0
        assert_all_reach_all_by_their_own_addresses(lab, addresses)


def test_allow_limits_the_ports_for_peers_and_the_plan_shows_it(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    hosts = {host: {"allow": [f"tcp/{PORT}"]} for host in HOSTS}
    narrow = mesh.write_inventory(lab, tmp_path, hosts)
    plan = narrow.dockmesh("plan", "-v")
    assert f"tcp dport {PORT} meta mark set" in plan.words
    assert narrow.dockmesh("apply", "--yes").status == 0
    assert narrow.dockmesh("plan").status == 0
    with app(lab, *HOSTS) as addresses:
        for source, target in permutations(HOSTS, 2):
            assert can_connect(lab, source, "app", addresses[target])
            assert not can_connect(lab, source, "app", addresses[target], INNER_PORT), "not allowed"
            assert can_ping(lab, source, "app", addresses[target])
            assert can_connect(lab, source, "app", UNDERLAY[target], PUBLISHED), "Docker decides on published ports"
    assert joined.dockmesh("apply", "--yes").status == 0


def test_networks_without_room_in_the_prefix_are_not_in_the_mesh(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    """The tutorial's own prefixes, of which Docker used to take the peer's for its next network."""
    hosts = {
        "host1": {"prefix": "172.18.0.0/16", "bridge": "172.18.0.1/16"},
        "host3": {"prefix": "172.17.0.0/16", "bridge": "172.17.0.1/16"},
    }
    tutorial = mesh.write_inventory(lab, tmp_path, hosts)
    assert tutorial.dockmesh("apply", "--yes").status == 0
    for host in hosts:
        with temporarily(lab, host, do=["docker network create new"], undo=["docker network rm new"]):
            subnet = output_of(
                lab, host, "docker", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "new"
            )
            assert subnet not in {"172.17.0.0/16", "172.18.0.0/16"}
            plan = tutorial.dockmesh("plan", "--json")
            assert plan.status == 0
            ((note,),) = (row["notes"] for row in plan.document["hosts"] if row["host"] == host)
            assert (note["code"], note["key"]) == ("network-outside-prefix", "network new")
            assert subnet in note["message"]
            assert hosts[host]["prefix"] in note["message"]
            assert note["remedy"]
    assert tutorial.dockmesh("destroy", "--yes").status == 0
    assert fresh.hosts == HOSTS


@pytest.mark.parametrize("keys", [{"default-address-pools": [{"base": "10.77.0.0/16", "size": 26}]}])
def test_destroy_restores_foreign_address_pools(
    fresh: Mesh, lab: Lab, shared_hosts: SharedHosts, keys: dict[str, object]
) -> None:
    """Docker has read them again. Its docker0 is from these pools, and Docker remembers that."""
    text = str(keys).replace("'", '"')
    restart = "systemctl reset-failed docker; systemctl restart docker && docker start web"
    with temporarily(
        lab,
        "host1",
        do=[f"mkdir -p /etc/docker && echo '{text}' >/etc/docker/daemon.json", restart],
        undo=[
            """echo '{"bip": "172.17.0.1/16"}' >/etc/docker/daemon.json""",
            restart,
            "rm /etc/docker/daemon.json",
            restart,
        ],
    ):
        assert fresh.dockmesh("apply", "--yes").status == 0
        pools = output_of(lab, "host1", "docker", "info", "-f", "{{json .DefaultAddressPools}}")
        assert "10.77" not in pools
        assert "10.128.1.0" in pools
        assert fresh.dockmesh("destroy", "--yes").status == 0
        pools = output_of(lab, "host1", "docker", "info", "-f", "{{json .DefaultAddressPools}}")
        assert pools == '[{"Base":"10.77.0.0/16","Size":26}]'
        assert output_of(lab, "host1", "cat", "/etc/docker/daemon.json") == text
    assert not shared_hosts.joined
