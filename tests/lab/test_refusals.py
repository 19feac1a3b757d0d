"""Refusals before any change with their reasons, and the restored original state."""

import os
import re
from pathlib import Path
from typing import Any

import host_view
import mesh
import pytest
from accidents import (
    DAEMON_JSON,
    container_address,
    docker_drop_in,
    docker_stopped,
    partitioned,
    temporarily,
    temporary_file,
    ttl,
)
from lab_state import SharedHosts, difference
from mesh import Mesh

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
# The order does not matter here, so all hosts may restart Docker in parallel.
APPLY = ("apply", "--yes", "--serial", "100%")


def read_views(lab: Lab) -> dict[str, host_view.HostView]:
    """The state of the hosts that a test may compare."""
    return host_view.read_hosts(lab, HOSTS)


def refusal_text(answer: mesh.CommandResult, host: str) -> str:
    """The error and the conflicts of the host in the plan."""
    assert answer.status == 3, answer
    row = row_of(answer, host)
    return " ".join([row["error"] or "", *(f"{each['key']} {each['message']}" for each in row["conflicts"])])


def code_of(answer: mesh.CommandResult, host: str) -> str | None:
    """The code of the host's error in the plan."""
    assert answer.status == 3, answer
    code: str | None = next(row["code"] for row in answer.document["hosts"] if row["host"] == host)
    return code


def row_of(answer: mesh.CommandResult, host: str) -> dict[str, Any]:
    """The part of a host in a plan."""
    row: dict[str, Any] = next(row for row in answer.document["hosts"] if row["host"] == host)
    return row


def conflict_of(answer: mesh.CommandResult, host: str) -> dict[str, str]:
    """The only conflict of the host in the plan."""
    assert answer.status == 3, answer
    conflict: dict[str, str]
    (conflict,) = row_of(answer, host)["conflicts"]
    return conflict


def test_destroy_restores_the_original_state_of_the_hosts(joined: Mesh, shared_hosts: SharedHosts, lab: Lab) -> None:
    assert joined.dockmesh("destroy", "--yes").status == 0
    assert {host: host_view.stable_view(each) for host, each in read_views(lab).items()} == {
        host: shared_hosts.found[host] for host in HOSTS
    }
    assert joined.dockmesh("destroy", "--yes").words.startswith("Nothing to do")


def test_rollback_restores_the_previous_state_twice_in_a_row(
    fresh: Mesh, shared_hosts: SharedHosts, lab: Lab, tmp_path: Path
) -> None:
    assert fresh.hosts == HOSTS
    two = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {}})
    assert two.dockmesh(*APPLY).status == 0
    for _ in range(2):
        assert two.dockmesh("rollback", "--yes").status == 0
        assert {host: host_view.stable_view(each) for host, each in read_views(lab).items()} == {
            host: shared_hosts.found[host] for host in HOSTS
        }


def test_a_stopped_docker_and_a_cut_off_host_do_not_stop_the_others(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    four = mesh.write_inventory(lab, tmp_path, {host: {} for host in (*fresh.hosts, "host4")})
    with docker_stopped(lab, "host1"), partitioned(lab, "host2"):
        answer = four.dockmesh(*APPLY, "--timeout", "3")
    assert answer.status == 3
    ends = re.findall(r"^(host\d(?:, host\d)*)(?: \(2 hosts\))?  ([a-z]+)(.*)$", answer.stdout, re.MULTILINE)[-3:]
    assert [end[:2] for end in ends] == [
        ("host3, host4", "confirmed"),
        ("host1", "refused"),
        ("host2", "unreachable"),
    ]
    assert "systemctl start docker" in ends[1][2]
    assert "192.168.18.129" in ends[2][2]
    assert ttl(lab, "host3", container_address(lab, "host4"), container="web") == 62
    assert four.dockmesh("destroy", "--yes").status == 0


def test_all_conflicts_of_a_host_are_printed_last_with_remedies(fresh: Mesh, lab: Lab) -> None:
    do = [
        "ip link add lan0 type bridge && ip addr add 10.128.17.5/24 dev lan0",
        "docker network create --subnet 10.128.33.0/24 app",
        "ip route add 10.128.16.0/20 via 192.168.18.130 metric 7",
        "ip route add 192.168.18.129/32 via 192.168.18.130",
    ]
    undo = [
        "ip route del 192.168.18.129/32",
        "ip route del 10.128.16.0/20 metric 7",
        "docker network rm app",
        "ip link del lan0",
    ]
    with temporarily(lab, "host1", do=do, undo=undo), temporary_file(lab, "host1", DAEMON_JSON, '{"debug": tru}'):
        document = fresh.dockmesh("plan", "--json").document
        answer = fresh.dockmesh("plan")
    assert answer.status == 3
    assert [bool(host["changes"]) for host in document["hosts"]][1:] == [True, True]
    conflicts = document["hosts"][0]["conflicts"]
    expected: dict[tuple[str, str], tuple[list[str], list[str]]] = {
        ("prefix-overlap", "10.128.16.0/20"): (["host2", "10.128.17.0/24", "lan0"], []),
        ("docker-network-overlap", "10.128.32.0/20"): (["host3", "app", "10.128.33.0/24"], []),
        ("foreign-route-wins", "10.128.16.0/20"): (["host2"], ["ip route del 10.128.16.0/20 metric 7"]),
        ("next-hop-off-link", "192.168.18.129"): (["host2", "via 192.168.18.130"], ["10.128.16.0/20"]),
        ("daemon-json-invalid", DAEMON_JSON): (["JSON", "line 1 column 11"], []),
    }
    assert sorted((each["code"], each["key"]) for each in conflicts) == sorted(expected)
    for each in conflicts:
        named, remedies = expected[each["code"], each["key"]]
        assert all(part in each["message"] for part in named), each
        assert all(part in each["remedy"] for part in remedies), each
        assert each["remedy"]
    told = answer.stdout.split("\nForecast ")[0]
    assert len(conflicts) == document["summary"]["conflicts"] == told.count("✗ ") == 5
    headings = [line.partition("  ")[0] for line in answer.stdout.splitlines() if line.startswith("host")]
    assert headings == ["host2, host3", "host1"]


def test_uses_of_the_address_that_docker0_loses_are_reported_before_docker_restarts(fresh: Mesh, lab: Lab) -> None:
    used = '{"default-gateway": "172.17.0.254", "dns": ["172.17.0.1"]}'
    publish = "docker run --detach --name shop --publish 172.17.0.1:8080:80 busybox sleep infinity"
    with (
        temporary_file(lab, "host1", DAEMON_JSON, used),
        temporarily(lab, "host1", do=[publish], undo=["docker rm --force shop"]),
    ):
        row = row_of(fresh.dockmesh("plan", "--json", "--limit", "host1"), "host1")
        applied = fresh.dockmesh("apply", "--yes", "--json", "--limit", "host1")
    assert [(each["code"], each["key"]) for each in row["conflicts"]] == [
        ("old-address-needed", DAEMON_JSON),
        ("old-address-needed", "container shop"),
    ]
    assert [(each["code"], each["key"]) for each in row["notes"]] == [("old-address-named", DAEMON_JSON)]
    assert [each["status"] for each in applied.document["outcomes"]] == ["refused"]


def test_a_bip_flag_is_a_conflict_that_names_the_unit(fresh: Mesh, lab: Lab) -> None:
    text = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bip=172.17.0.1/16\n"
    with docker_drop_in(lab, "host1", text, restart=True):
        conflict = conflict_of(fresh.dockmesh("plan", "--json"), "host1")
    assert (conflict["code"], conflict["key"]) == ("docker-flag", "docker")
    assert "--bip=172.17.0.1/16" in conflict["message"]
    assert "docker.service" in conflict["remedy"]


UNFIT = {
    "daemon-json-invalid": ('["debug"]', ["JSON"]),
    "daemon-json-bridge": ('{"bridge": "br0"}', ["'br0'", "bip"]),
    "daemon-json-iptables": ('{"iptables": false}', ["iptables", "false"]),
}


@pytest.mark.parametrize("code", UNFIT)
def test_a_daemon_json_that_cannot_hold_bip_is_a_conflict(fresh: Mesh, lab: Lab, tmp_path: Path, code: str) -> None:
    text, named = UNFIT[code]
    assert fresh.hosts == HOSTS
    one = mesh.write_inventory(lab, tmp_path, {"host1": {}})
    with temporary_file(lab, "host1", DAEMON_JSON, text):
        before = {"host1": host_view.read_host(lab, "host1")}
        applied = one.dockmesh("apply", "--yes", "--json")
        assert applied.status == 3
        (outcome,) = applied.document["outcomes"]
        assert outcome["status"] == "refused"
        ((conflict,),) = (row["conflicts"] for row in applied.document["plan"]["hosts"])
        assert (conflict["code"], conflict["key"]) == (code, DAEMON_JSON)
        assert all(part in conflict["message"] for part in named), conflict
        assert all(conflict[part] in outcome["error"] for part in ("key", "message", "remedy")), outcome
        assert difference(before, {"host1": host_view.read_host(lab, "host1")}) == ""


def test_a_foreign_route_without_precedence_is_not_a_conflict(fresh: Mesh, lab: Lab) -> None:
    route = "10.128.16.0/20 via 192.168.18.130 metric 9000"
    with temporarily(lab, "host1", do=[f"ip route add {route}"], undo=[f"ip route del {route}"]):
        assert fresh.dockmesh("plan").status == 2


def test_an_underlay_that_the_host_does_not_have_is_a_conflict(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    assert fresh.hosts == HOSTS
    wrong = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {"underlay": "192.168.18.200"}})
    conflict = conflict_of(wrong.dockmesh("plan", "--json"), "host2")
    assert (conflict["code"], conflict["key"]) == ("underlay-missing", "192.168.18.200")


def test_a_failed_login_has_a_cause_and_a_remedy(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    assert fresh.hosts == HOSTS
    wrong = {
        "host1": ({"known_hosts": "/dev/null"}, "host-key-unknown", ["192.168.18.128", "ssh-keyscan"]),
        "host2": ({"user": "nobody"}, "login-refused", ["192.168.18.129", "nobody"]),
        "host3": ({"port": 2222}, "connection-refused", ["192.168.18.130:2222"]),
        "host4": ({"user": "admin"}, "not-root", ["become: sudo"]),
    }
    fleet = mesh.write_inventory(lab, tmp_path, {host: keys for host, (keys, _code, _words) in wrong.items()})
    answer = fleet.dockmesh("plan", "--json")
    for host, (_keys, code, words) in wrong.items():
        assert code_of(answer, host) == code
        assert all(word in refusal_text(answer, host) for word in words), refusal_text(answer, host)


def test_a_host_with_openrc_is_refused(fresh: Mesh, lab: Lab) -> None:
    """A host as with Alpine: without systemd, and with the shell, ip and other tools of BusyBox."""
    inside = "mount -t tmpfs none /run && mkdir /run/openrc && PATH=/opt/busybox:/usr/sbin:/sbin exec sh -s"
    alpine = f"ForceCommand unshare --mount sh -c '{inside}'"
    busybox = "mkdir /opt/busybox && busybox --install -s /opt/busybox"
    config, again = "/etc/ssh/sshd_config.d/alpine.conf", "systemctl reload ssh"
    with temporarily(lab, "host1", do=[busybox], undo=["rm -r /opt/busybox"]):
        try:
            with temporary_file(lab, "host1", config, alpine):
                lab.run("host1", ("sh", "-c", again), check=True)
                answer = fresh.dockmesh("plan", "--json")
        finally:
            lab.run("host1", ("sh", "-c", again), check=True)
    assert code_of(answer, "host1") == "no-systemd"
    assert "OpenRC" in refusal_text(answer, "host1")


def test_a_changed_host_key_is_never_accepted(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    assert fresh.hosts == HOSTS
    lines = (lab.inventory.parent / "known_hosts").read_text().splitlines()
    swapped = tmp_path / "known_hosts"
    swapped.write_text(f"192.168.18.128 {' '.join(lines[1].split()[-2:])}\n")
    for policy in ("strict", "accept-new"):
        wrong = mesh.write_inventory(
            lab, tmp_path, {"host1": {"known_hosts": str(swapped), "host_key_policy": policy}, "host2": {}}
        )
        assert code_of(wrong.dockmesh("plan", "--json"), "host1") == "host-key-changed"


def test_a_saved_plan_is_refused_after_any_change(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    assert fresh.hosts == HOSTS
    two = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {}})
    plan = os.fspath(tmp_path / "plan.json")
    assert two.dockmesh("plan", "--out", plan).status == 2
    with temporarily(
        lab,
        "host1",
        do=["ip route add 10.128.16.0/20 via 192.168.18.129 proto 201 metric 4201"],
        undo=["ip route del 10.128.16.0/20 proto 201 metric 4201"],
    ):
        stale = two.dockmesh("apply", plan, "--yes", "--json")
        assert stale.status == 3
        assert ("host-changed", "host1") in [(each["code"], each["host"]) for each in stale.document["problems"]]
    assert two.dockmesh("apply", plan, "--yes", "--serial", "100%").status == 0
    assert two.dockmesh("destroy", "--yes").status == 0


@pytest.mark.parametrize("host", ["host1", "host3"])
def test_a_table_that_iptables_cannot_list_is_named(joined: Mesh, lab: Lab, host: str) -> None:
    do = ["nft add chain ip filter odd", "nft add rule ip filter odd fib saddr type local counter"]
    with temporarily(lab, host, do=do, undo=["nft flush chain ip filter odd; nft delete chain ip filter odd"]):
        answer = joined.dockmesh("plan", "--json")
        assert code_of(answer, host) == "firewall-incompatible"
        assert "nft list ruleset" in refusal_text(answer, host)
        assert f"{host} refused: " in joined.dockmesh("destroy", "--yes", "--limit", host).words
    assert joined.dockmesh("plan").status == 0, "what it has is as it was"


def test_a_masked_unit_is_refused_and_its_link_is_unchanged(fresh: Mesh, lab: Lab) -> None:
    unit = "/etc/systemd/system/dockmesh.timer"
    with temporarily(lab, "host1", do=[f"ln -s /dev/null {unit}"], undo=[f"rm {unit}"]):
        answer = fresh.dockmesh("plan", "--json")
        assert (code_of(answer, "host1"), unit in refusal_text(answer, "host1")) == ("file-unreadable", True)
        assert fresh.dockmesh("apply", "--yes", "--limit", "host1").status == 3
        lab.run("host1", ("test", "-c", "/dev/null"), check=True)
