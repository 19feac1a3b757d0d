"""IPv6 beside IPv4 on three generations of Docker: only peers reach containers, with their own addresses."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import docker_api
import mesh
import pytest
from accidents import output_of, temporarily
from lab_state import SharedHosts
from mesh import Mesh

from dockmesh.lab import lifecycle
from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import LabHost

HOSTS = ("host1", "host2", "host3")
PORT, PUBLISHED = 7000, 8080
MENDED_WITHIN_S = 30
HEARD = "icmp6[icmp6type] = icmp6-echo or (ip6 proto 6 and ip6[53] & 0x12 = 0x02)"
_ADDRESS = "{{.NetworkSettings.Networks.app.GlobalIPv6Address}}"
# The kernel tries the address of a new bridge on the link for a second, before it answers by it.
_SERVES = (
    f"until echo | docker exec -i app nc -w 1 ::1 {PORT}; do sleep 0.1; done;"
    ' until [ -z "$(ip -6 addr show scope global tentative)" ]; do sleep 0.1; done'
)


def keys(host: LabHost) -> dict[str, str]:
    return {"underlay6": str(host.underlay6.ip), "prefix6": str(host.prefix6)}


@pytest.fixture(scope="module")
def dual(lab: Lab, shared_hosts: SharedHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The three hosts in a mesh of both families, which tests leave as it is; as they were found before and after."""
    shared_hosts.restore_found()
    hosts = {name: keys(lab.topology.host(name)) for name in HOSTS}
    both = mesh.write_inventory(lab, tmp_path_factory.mktemp("dual"), hosts)
    applied = both.dockmesh("apply", "--yes", "--serial", "100%")
    assert applied.status == 0, applied
    yield both
    assert both.dockmesh("destroy", "--yes", "--serial", "100%").status == 0
    shared_hosts.check()
    assert not shared_hosts.joined


def start_app(lab: Lab, host: str) -> str:
    """Make a network of both families, as Docker likes, with a container that echoes; its address of IPv6."""
    options = f"--name app --network app --publish {PUBLISHED}:{PORT} --stop-signal KILL"
    for command in (
        "docker network create --ipv6 app",
        f"docker run --detach {options} busybox nc -ll -p {PORT} -e cat",
        _SERVES,
    ):
        output_of(lab, host, "sh", "-c", command)
    return output_of(lab, host, "docker", "inspect", "-f", _ADDRESS, "app")


def remove_apps(lab: Lab) -> None:
    for host in HOSTS:
        output_of(lab, host, "sh", "-c", "docker rm -f app; docker network rm app")


def run_in_container(lab: Lab, host: str, container: str, command: str) -> str:
    """The output of a shell of the host in the network of a container."""
    return lab.run(host, (*docker_api.enter_network(lab, host, container), "sh", "-c", command)).stdout


def reaches(lab: Lab, host: str, container: str, address: str) -> bool:
    """Whether a container receives replies to a ping and over TCP."""
    pings = " 0% packet loss" in run_in_container(lab, host, container, f"ping -6 -c 1 -W 1 {address}")
    return (
        pings and run_in_container(lab, host, container, f"echo hello | busybox nc -w 1 {address} {PORT}") == "hello\n"
    )


def source_addresses(lab: Lab, host: str, act: list[tuple[str, str]]) -> set[str]:
    """The addresses from which the app of the host is pinged and spoken to, as its own network card sees it."""
    enter = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' app)"
    tcpdump = f"{enter} tcpdump -lnq -i eth0 '{HEARD}' >/root/heard 2>/root/said & echo $!"
    pid = output_of(lab, host, "sh", "-c", f"{tcpdump}; until grep -q listening /root/said; do sleep 0.1; done")
    answered = [reaches(lab, source, "app", address) for source, address in act]
    text = output_of(lab, host, "sh", "-c", f"sleep 0.3; kill {pid}; cat /root/heard; rm /root/heard /root/said")
    assert all(answered), (host, act)
    lines = [line.split() for line in text.splitlines()]
    assert {"ICMP6," in line for line in lines} == {True, False}, "both protocols arrived"
    return {line[2] if "ICMP6," in line else line[2].rpartition(".")[0] for line in lines}


def assert_all_reach_all_by_their_own_addresses(lab: Lab, addresses: dict[str, str]) -> None:
    for target in HOSTS:
        sources = [host for host in HOSTS if host != target]
        assert source_addresses(lab, target, [(source, addresses[target]) for source in sources]) == {
            addresses[source] for source in sources
        }, target


def test_both_families_work_also_after_restarts_and_reboots(dual: Mesh, lab: Lab) -> None:
    status = dual.dockmesh("status", "--json")
    assert status.status == 0
    probes = status.document["probes"]
    assert all(each["reached"] and each["ttl"] == each["expected_ttl"] for each in probes)
    pairs = {(each["source"], each["target"], each["kind"]) for each in probes if each["family"] == 6}
    assert pairs == {(each["source"], each["target"], each["kind"]) for each in probes if each["family"] == 4}
    assert dual.dockmesh("plan").status == 0
    addresses = {host: start_app(lab, host) for host in HOSTS}
    try:
        for host in HOSTS:
            assert mesh.is_within(addresses[host], lab.topology.host(host).prefix6)
        assert_all_reach_all_by_their_own_addresses(lab, addresses)
        assert_nobody_else_gets_in(lab, addresses)
        for host in ("host1", "host3"):
            output_of(lab, host, "sh", "-c", f"systemctl restart docker && docker start web app && {_SERVES}")
        lifecycle.reboot(lab.topology.name, "host2")
        output_of(lab, "host2", "sh", "-c", f"docker start web app && {_SERVES}")
        assert poll(lambda: reaches(lab, "host2", "app", addresses["host1"]), MENDED_WITHIN_S)
        assert_all_reach_all_by_their_own_addresses(lab, addresses)
        assert dual.dockmesh("status").status == 0
    finally:
        remove_apps(lab)


def assert_nobody_else_gets_in(lab: Lab, addresses: dict[str, str]) -> None:
    """host4 is on the same LAN and has the routes of a peer, so replies could reach it."""
    routes = [
        f"ip -6 route add {lab.topology.host(host).prefix6} via {lab.topology.host(host).underlay6.ip}"
        for host in HOSTS
    ]
    with temporarily(lab, "host4", do=routes, undo=[each.replace("add", "del") for each in routes]):
        for host in HOSTS:
            web = output_of(lab, host, "docker", "inspect", "-f", "{{.NetworkSettings.GlobalIPv6Address}}", "web")
            for address in (addresses[host], web):
                assert lab.run("host4", ("ping", "-6", "-c", "1", "-W", "1", address)).returncode != 0, (host, address)
            assert lab.run("host4", ("ping", "-6", "-c", "1", "-W", "1", str(lab.topology.host(host).underlay6.ip)))
            assert run_in_container(lab, "host4", "web", f"echo hello | busybox nc -w 1 {addresses[host]} {PORT}") == ""


def test_hosts_repair_damage_to_ipv6_and_plan_shows_it(dual: Mesh, lab: Lab) -> None:
    for host in HOSTS:
        output_of(lab, host, "systemctl", "stop", "dockmesh.timer")
    try:
        for host in HOSTS:
            for damage in (
                "ip6tables-save | grep -v ' --comment dockmesh ' | ip6tables-restore",
                "nft delete table ip6 dockmesh",
                "ip -6 route show | grep 'metric 4201' | cut -d ' ' -f 1 | xargs -n 1 ip -6 route del",
            ):
                output_of(lab, host, "sh", "-c", damage)
        plan = dual.dockmesh("plan", "--json")
        seen = {
            (each["kind"], each["key"].split("/")[0]) for host in plan.document["hosts"] for each in host["changes"]
        }
        assert {("firewall", "ip6 filter"), ("firewall", "ip6 raw"), ("firewall", "ip6 dockmesh")} <= seen
        assert dual.dockmesh("status").status == 3
    finally:
        for host in HOSTS:
            output_of(lab, host, "systemctl", "start", "dockmesh.service", "dockmesh.timer")
    assert poll(lambda: dual.dockmesh("plan").status == 0, MENDED_WITHIN_S)
    assert dual.dockmesh("status").status == 0


def test_hosts_leave_only_the_ipv6_mesh_and_rollback_restores_it(dual: Mesh, lab: Lab, tmp_path: Path) -> None:
    four = mesh.write_inventory(lab, tmp_path, {host: {} for host in HOSTS})
    assert four.dockmesh("apply", "--yes", "--serial", "100%").status == 0
    assert four.dockmesh("plan").status == 0
    for host in HOSTS:
        assert "fd00:10:128" not in output_of(
            lab, host, "sh", "-c", "ip -6 addr; ip -6 route; ip6tables-save; nft list ruleset"
        )
        assert output_of(lab, host, "cat", "/proc/sys/net/ipv6/conf/all/forwarding") == "0"
    assert dual.dockmesh("rollback", "--yes", "--serial", "100%").status == 0
    assert dual.dockmesh("plan").status == 0
    assert dual.dockmesh("status").status == 0


def test_source_nat_of_ipv6_depends_on_the_docker_generation(dual: Mesh, lab: Lab, tmp_path: Path) -> None:
    """Docker before 27 does not masquerade IPv6. Later versions do, as for IPv4."""
    hosts = {name: keys(lab.topology.host(name)) for name in HOSTS}
    masked = mesh.write_inventory(lab, tmp_path, hosts, mesh={"source_nat": True})
    assert masked.dockmesh("apply", "--yes").status == 0
    addresses = {host: start_app(lab, host) for host in HOSTS}
    try:
        for source, target in permutations(HOSTS, 2):
            seen = source_addresses(lab, target, [(source, addresses[target])])
            own = str(lab.topology.host(source).underlay6.ip)
            assert seen == {own if source == "host3" else addresses[source]}
    finally:
        remove_apps(lab)
    assert dual.dockmesh("apply", "--yes").status == 0
