"""Persistence: hosts repair their routes and rules by themselves within half a minute."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fault_lab import MENDED_WITHIN_S, Mesh, assert_same, dockmesh, eventually, write_file

from dockmesh.lab import lifecycle

NETWORK = "/etc/systemd/network/eth0.network"
WITHOUT_OWN_RULES = "iptables-save | grep -v -e ' --comment dockmesh ' | iptables-restore"


def wait_for_repair(mesh: Mesh, before: dict, what: str) -> float:
    """Wait for the hosts to return to their earlier state. Returns the seconds."""
    took_s = eventually(lambda: mesh.states() == before, MENDED_WITHIN_S, what)
    mesh.settle(5)
    return took_s


@contextmanager
def pinging(mesh: Mesh, *pairs: tuple[str, str]) -> Iterator[list[tuple[int, int]]]:
    """Send 50 pings a second between containers of the mesh. Returns the numbers sent and received at the end."""
    counts: list[tuple[int, int]] = []
    pids = {}
    for source, target in pairs:
        address = mesh.on(target, "docker inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' web")
        inside = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' web)"
        script = f"{inside} ping -n -q -i 0.02 -W 1 {address} >/root/pings 2>&1 & echo $!"
        pids[source] = mesh.on(source, script)
    yield counts
    for source, pid in pids.items():
        said = mesh.on(source, f"kill -INT {pid}; tail --pid={pid} -f /dev/null; cat /root/pings; rm /root/pings")
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert found, said
        counts.append((int(found[1]), int(found[2])))


def test_a_host_repairs_routes_rules_and_tables_by_itself(mesh: Mesh) -> None:
    before = mesh.found
    mesh.on("host1", f"ip route del 10.128.16.0/20 metric 4201 proto 201; {WITHOUT_OWN_RULES}")
    mesh.on("host1", "nft delete table ip raw")
    mesh.lab.inject("link-flap", "host2")
    mesh.on("host2", "nft delete element ip dockmesh peers { 192.168.18.128 }; nft delete chain ip dockmesh source")
    # The table also has drops of Docker 28, which only Docker restores.
    mesh.on("host3", f"{WITHOUT_OWN_RULES}; ip route del 10.128.0.0/20 metric 4201 proto 201")
    mesh.on("host3", "nft flush set ip dockmesh peers")
    wait_for_repair(mesh, before, "hand-made damage")
    dockmesh("plan", mesh.inventory()).expect(0)


def test_a_deleted_unit_is_in_the_plan_and_the_timer_still_repairs(mesh: Mesh) -> None:
    mesh.on("host1", "rm /etc/systemd/system/dockmesh.timer /etc/systemd/system/timers.target.wants/dockmesh.timer")
    mesh.on("host2", "rm /etc/systemd/system/dockmesh.service")
    mesh.on("host3", "systemctl disable --now dockmesh.timer")
    plan = dockmesh("plan", mesh.inventory(), "--json").expect(2).document
    changes = {row["host"]: {(each["action"], each["key"]) for each in row["changes"]} for row in plan["hosts"]}
    assert ("add", "dockmesh.timer") in changes["host1"]
    assert ("add", "dockmesh.service") in changes["host2"]
    assert ("change", "dockmesh.timer") in changes["host3"]
    dockmesh("apply", mesh.inventory(), "--serial", "100%").expect(0)


def test_flushed_filters_are_repaired_even_with_a_peer_off_link(mesh: Mesh) -> None:
    """`iptables -F` and `nft flush ruleset` also remove Docker's rules, which only Docker restores."""
    before = mesh.found
    policy = mesh.on("host2", "iptables -S FORWARD | head -n 1")
    mesh.on("host1", "iptables -F")
    mesh.on("host2", "nft flush ruleset")
    # host3 now has host2 on-link, but no longer host1.
    here, link = "192.168.18.130", "192.168.18.129/32 dev eth0"
    lost = "for peer in 0 16; do ip route del 10.128.$peer.0/20 proto 201 metric 4201; done"
    mesh.on(
        "host3", f"ip addr add {here}/32 dev eth0; ip addr del {here}/20 dev eth0; ip route add {link}; {lost}; true"
    )
    try:
        eventually(lambda: "-A DOCKER-USER -d 10.128.0.0/20 " in mesh.on("host1", "iptables-save"), 30, "own rule")
        eventually(lambda: "-A PREROUTING -d 10.128.16.0/20 " in mesh.on("host2", "iptables-save"), 30, "own table")
        eventually(lambda: "10.128.16.0/20" in mesh.on("host3", "ip route show proto 201"), 30, "the peer still there")
        assert "10.128.0.0/20" not in mesh.on("host3", "ip route show proto 201")
    finally:
        mesh.on("host3", f"ip addr add {here}/20 dev eth0; ip addr del {here}/32 dev eth0; ip route del {link}")
        for host in ("host1", "host2"):
            mesh.on(host, "systemctl restart docker && docker start web")
        # Docker sets this policy only when it enables forwarding itself, at boot.
        mesh.on("host2", f"iptables {policy}")
    wait_for_repair(mesh, before, "after Docker restarted")
    dockmesh("status", mesh.inventory()).expect(0)


def test_a_restart_of_docker_keeps_the_mesh_complete(mesh: Mesh) -> None:
    before = mesh.found
    for host in mesh.hosts:
        mesh.on(host, "systemctl restart docker && docker start web")
    wait_for_repair(mesh, before, "after Docker restarted")
    dockmesh("status", mesh.inventory()).expect(0)


def test_a_rebooted_host_joins_the_mesh_by_itself(mesh: Mesh) -> None:
    before = mesh.found
    lifecycle.reboot(mesh.lab.topology.name, "host1")
    mesh.on("host1", "docker start web")
    wait_for_repair(mesh, before, "after the reboot")
    dockmesh("status", mesh.inventory()).expect(0)


@pytest.mark.parametrize("host", ["host2"])
def test_routes_return_soon_after_a_restart_of_networkd(mesh: Mesh, host: str) -> None:
    before = mesh.found
    address, six = mesh.lab.topology.host(host).underlay, mesh.lab.topology.host(host).underlay6
    write_file(mesh, host, NETWORK, f"[Match]\nName=eth0\n[Network]\nAddress={address}\nAddress={six}\n")
    try:
        mesh.on(host, "systemctl start systemd-networkd")
        eventually(
            lambda: "configured" in mesh.on(host, "networkctl list eth0 --no-legend", check=False), 15, "networkd"
        )
        mesh.on(host, "systemctl restart systemd-networkd")
        eventually(
            lambda: mesh.on(host, "ip route show proto 201 | wc -l") == "2", MENDED_WITHIN_S, "routes after networkd"
        )
        dockmesh("status", mesh.inventory(), "--limit", host).expect(0)
    finally:
        mesh.on(host, f"systemctl stop systemd-networkd.socket systemd-networkd; rm -f {NETWORK}", check=False)
        mesh.on(host, f"ip address replace {address} dev eth0; ip address replace {six} dev eth0 nodad")
    wait_for_repair(mesh, before, "after networkd")


def test_with_live_restore_a_new_bridge_keeps_its_running_containers(mesh: Mesh) -> None:
    mesh.on("host3", "cp -p /etc/docker/daemon.json /root/kept")
    mesh.on("host3", "sed -i 's/{/{ \"live-restore\": true,/' /etc/docker/daemon.json; systemctl reload docker")
    eventually(lambda: mesh.on("host3", "docker info -f '{{.LiveRestoreEnabled}}'") == "true", 10, "live-restore")
    lived = mesh.states()
    dockmesh("apply", mesh.bridges("host3"), "--limit", "host3").expect(0)
    assert " 10.128.32.129/" in mesh.on("host3", "ip -o -4 addr show docker0")
    assert mesh.on("host3", "docker ps --format '{{.Names}}'") == "web"
    dockmesh("rollback", mesh.inventory(), "--limit", "host3").expect(0)
    assert_same(mesh.states(), lived)
    mesh.on("host3", "mv /root/kept /etc/docker/daemon.json; systemctl reload docker")


def test_a_running_ping_loses_nothing_while_a_host_joins_and_leaves(mesh: Mesh) -> None:
    four = (*mesh.hosts, "host4")
    with pinging(mesh, ("host1", "host2"), ("host3", "host1")) as counts:
        dockmesh("apply", mesh.inventory("four", hosts=four), "--serial", "100%").expect(0)
        dockmesh("destroy", mesh.inventory("four", hosts=four), "--limit", "host4").expect(0)
        mesh.join()
    assert all(sent == received and sent > 200 for sent, received in counts), counts


def test_the_plan_shows_drift_and_foreign_changes(mesh: Mesh) -> None:
    mesh.on("host1", "systemctl stop dockmesh.timer")
    mesh.on("host1", "ip route del 10.128.16.0/20 proto 201 metric 4201")
    mesh.on("host1", "ip route add 10.128.32.0/21 via 192.168.18.130 metric 7 proto static")
    try:
        plan = dockmesh("plan", mesh.inventory(), "--json").expect(3).document["hosts"][0]
    finally:
        mesh.on("host1", "ip route del 10.128.32.0/21 metric 7")
    assert {("add", "route", "10.128.16.0/20"), ("change", "unit", "dockmesh.timer")} <= {
        (each["action"], each["kind"], each["key"]) for each in plan["changes"]
    }
    (conflict,) = plan["conflicts"]
    assert (conflict["code"], conflict["key"]) == ("foreign-route-wins", "10.128.32.0/20")
    assert "10.128.32.0/21 via 192.168.18.130 dev eth0, proto static, metric 7" in conflict["message"]
    assert conflict["remedy"] == "ip route del 10.128.32.0/21 metric 7"
    dockmesh("apply", mesh.inventory()).expect(0)  # starts the timer as well


def test_a_missing_uplink_is_one_line_in_the_journal_until_it_is_back(mesh: Mesh) -> None:
    def lines(since: str) -> list[str]:
        own = "journalctl --quiet --output cat _SYSTEMD_UNIT=dockmesh.service --since"
        return mesh.on("host2", f"{own} @{since}").splitlines()

    restore = "systemctl start dockmesh.service"
    mesh.on("host2", "systemctl stop dockmesh.timer")
    try:
        for _ in range(2):
            since = mesh.on("host2", "sleep 1; date +%s").strip()
            mesh.on("host2", f"ip link set eth0 name gone; for run in 1 2 3; do ! {restore} || exit 1; done")
            assert [each.count("eth0") for each in lines(since)] == [1]
            mesh.on("host2", f"ip link set gone name eth0; {restore}; [ ! -e /run/dockmesh.problems ]")
    finally:
        mesh.on("host2", "ip link set gone name eth0 2>/dev/null; systemctl start dockmesh.timer")
