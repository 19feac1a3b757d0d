"""Hosts that have not met dockmesh: what a plan may do to them, what is refused, and the way back to them."""

import os
from collections.abc import Iterator
from pathlib import Path

import mesh
import pytest
import sight
from breaking import docker_drop_in, docker_stopped, done, file_in_place, partitioned, said
from mesh import Mesh
from stand import Stand

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
KVM = (
    "ip link add kvm0 type bridge && ip addr add 10.9.0.1/24 dev kvm0 && ip link set kvm0 up",
    "systemctl stop docker.socket docker.service",
)


def seen(lab: Lab) -> dict[str, sight.Sight]:
    """All of the hosts that a test may compare."""
    return sight.look_at(lab, HOSTS)


def refused(answer: mesh.Done, host: str) -> str:
    """Why the plan leaves that host alone: its error and its conflicts."""
    assert answer.status == 3, answer
    row = next(row for row in answer.document["hosts"] if row["host"] == host)
    return " ".join([row["error"] or "", *(f"{each['key']} {each['message']}" for each in row["conflicts"])])


@pytest.fixture
def four(fresh: Mesh, lab: Lab, tmp_path: Path) -> Iterator[Mesh]:
    """The three hosts and a fourth without Docker: its prefix is on a bridge of its own."""
    assert fresh.hosts == HOSTS
    with done(
        lab, "host4", do=KVM, undo=["ip link del kvm0", "systemctl start docker.socket docker; docker start web"]
    ):
        yield mesh.write(
            lab, tmp_path, {**{host: {} for host in HOSTS}, "host4": {"docker": False, "prefix": "10.9.0.0/24"}}
        )


def test_plan_exits_2_and_changes_nothing_anywhere(fresh: Mesh, lab: Lab) -> None:
    before = seen(lab)
    answer = fresh.dockmesh("plan", "--json")
    assert answer.status == 2
    assert {row["host"] for row in answer.document["hosts"] if row["changes"]} == set(HOSTS)
    assert seen(lab) == before


def test_the_plan_names_the_containers_that_a_restart_stops(fresh: Mesh) -> None:
    assert "stops and starts again: web" in fresh.dockmesh("plan").words


def test_destroy_leaves_the_hosts_as_they_were_found(joined: Mesh, stand: Stand, lab: Lab) -> None:
    assert joined.dockmesh("destroy", "--yes").status == 0
    assert {host: sight.lasting(each) for host, each in seen(lab).items()} == {
        host: stand.found[host] for host in HOSTS
    }
    assert joined.dockmesh("destroy", "--yes").words.startswith("Nothing to do")


def test_rollback_puts_back_what_stood_before_also_twice_in_a_row(fresh: Mesh, stand: Stand, lab: Lab) -> None:
    assert fresh.dockmesh("apply", "--yes").status == 0
    for _ in range(2):
        assert fresh.dockmesh("rollback", "--yes").status == 0
        assert {host: sight.lasting(each) for host, each in seen(lab).items()} == {
            host: stand.found[host] for host in HOSTS
        }


@pytest.mark.parametrize("verb", ["apply", "destroy", "rollback"])
def test_without_a_terminal_a_change_needs_yes_and_contacts_nobody_else(joined: Mesh, verb: str) -> None:
    answer = joined.dockmesh(verb)
    assert (answer.status, answer.stdout) == (4, "")
    assert "--yes" in answer.stderr


def test_on_a_terminal_no_is_an_answer_and_changes_nothing(fresh: Mesh, lab: Lab) -> None:
    before = seen(lab)
    answer = fresh.on_a_terminal("apply", answer="n")
    assert "Change 3 hosts?" in answer.stdout
    assert answer.status == 130
    assert seen(lab) == before


def test_a_host_without_docker_is_joined_by_the_prefix_of_its_own_bridge(four: Mesh, lab: Lab) -> None:
    applied = four.dockmesh("apply", "--yes", "--json")
    assert applied.status == 0, applied
    probes = applied.document["status"]["probes"]
    assert {(each["target"], each["kind"]) for each in probes if each["source"] == "host4"} == {
        (host, kind) for host in HOSTS for kind in ("host-bridge", "host-container")
    }
    assert {each["source"] for each in probes if each["target"] == "host4"} == set(HOSTS)
    assert "10.9.0.0/24 via 192.168.18.131 dev eth0 proto 201 metric 4201" in said(lab, "host1", "ip", "route")
    assert "-A FORWARD -j DOCKMESH-FORWARD" in said(lab, "host4", "iptables", "-S", "FORWARD")
    assert four.dockmesh("plan").status == 0
    assert four.dockmesh("destroy", "--yes").status == 0
    assert "DOCKMESH" not in said(lab, "host4", "iptables", "-S")


def test_a_host_whose_docker_is_stopped_is_refused_and_the_others_go_on(fresh: Mesh, lab: Lab) -> None:
    with docker_stopped(lab, "host2"):
        answer = fresh.dockmesh("apply", "--yes", "--json")
        assert answer.status == 3
        ends = {each["host"]: each for each in answer.document["outcomes"]}
        assert {host: each["status"] for host, each in ends.items()} == {
            "host1": "confirmed",
            "host2": "refused",
            "host3": "confirmed",
        }
        assert "systemctl start docker" in ends["host2"]["error"]
    assert fresh.dockmesh("apply", "--yes").status == 0
    assert fresh.dockmesh("destroy", "--yes").status == 0


def test_a_host_that_is_cut_off_is_unreachable_and_the_others_go_on(fresh: Mesh, lab: Lab) -> None:
    with partitioned(lab, "host3"):
        answer = fresh.dockmesh("apply", "--yes", "--json", "--timeout", "5")
        assert answer.status == 3
        ends = {each["host"]: each["status"] for each in answer.document["outcomes"]}
        assert ends == {"host1": "confirmed", "host2": "confirmed", "host3": "unreachable"}
    assert fresh.dockmesh("apply", "--yes").status == 0
    assert fresh.dockmesh("destroy", "--yes").status == 0


@pytest.mark.parametrize(
    ("do", "undo", "words"),
    [
        (
            "ip link add lan0 type bridge && ip addr add 10.128.17.5/24 dev lan0",
            "ip link del lan0",
            ["prefix of host2", "lan0"],
        ),
        ("docker network create --subnet 10.128.33.0/24 app", "docker network rm app", ["prefix of host3", "app"]),
        (
            "ip route add 10.128.16.0/20 via 192.168.18.130 metric 7",
            "ip route del 10.128.16.0/20 metric 7",
            ["foreign route", "host2", "ip route del"],
        ),
        (
            "ip route add 192.168.18.129/32 via 192.168.18.130",
            "ip route del 192.168.18.129/32",
            ["off-link", "host2", "via 192.168.18.130"],
        ),
    ],
    ids=["a LAN", "a Docker network", "a foreign route", "a next hop off-link"],
)
def test_a_conflict_is_found_before_anything_is_touched(
    fresh: Mesh, lab: Lab, do: str, undo: str, words: list[str]
) -> None:
    with done(lab, "host1", do=[do], undo=[undo]):
        why = refused(fresh.dockmesh("plan", "--json"), "host1")
        assert all(word in why for word in words), why


def test_a_bip_given_as_a_flag_is_a_conflict_that_names_the_unit(fresh: Mesh, lab: Lab) -> None:
    text = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bip=172.17.0.1/16\n"
    with docker_drop_in(lab, "host1", text, restart=True):
        assert "--bip=172.17.0.1/16" in refused(fresh.dockmesh("plan", "--json"), "host1")


def test_a_broken_daemon_json_is_a_conflict_and_stays_as_it_is(fresh: Mesh, lab: Lab) -> None:
    with file_in_place(lab, "host1", "/etc/docker/daemon.json", '{"debug": tru}'):
        assert "not valid JSON" in refused(fresh.dockmesh("plan", "--json"), "host1")
        assert said(lab, "host1", "cat", "/etc/docker/daemon.json") == '{"debug": tru}'


def test_docker_that_does_not_start_with_the_new_file_has_its_old_one_and_its_containers_again(
    fresh: Mesh, stand: Stand, lab: Lab
) -> None:
    text = "[Service]\nExecStartPre=/bin/sh -c '! grep -q 10.128 /etc/docker/daemon.json'\n"
    with docker_drop_in(lab, "host1", text, restart=False):
        answer = fresh.dockmesh("apply", "--yes", "--json", "--limit", "host1")
        assert (answer.status, [each["status"] for each in answer.document["outcomes"]]) == (3, ["reverted"])
    stand.check()
    assert said(lab, "host1", "docker", "ps", "--format", "{{.Names}}") == "web"
    assert fresh.dockmesh("apply", "--yes").status == 0
    assert fresh.dockmesh("destroy", "--yes").status == 0


def test_live_restore_does_not_keep_the_bridge_where_it_was(fresh: Mesh, lab: Lab) -> None:
    with file_in_place(lab, "host3", "/etc/docker/daemon.json", '{"live-restore": true}'):
        said(lab, "host3", "systemctl", "reload", "docker")
        assert fresh.dockmesh("apply", "--yes").status == 0
        assert "10.128.32.1/24" in said(lab, "host3", "ip", "-4", "addr", "show", "docker0")
        assert said(lab, "host3", "docker", "ps", "--format", "{{.Names}}") == "web"
        assert fresh.dockmesh("destroy", "--yes").status == 0
    said(lab, "host3", "systemctl", "restart", "docker")
    said(lab, "host3", "docker", "start", "web")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"known_hosts": "/dev/null"}, ["host key", "not known", "ssh-keyscan"]),
        ({"identity_file": "/nonexistent"}, ["/nonexistent"]),
        ({"user": "nobody"}, ["does not let us in"]),
        ({"port": 2222}, ["refuses the connection"]),
        ({"user": "admin"}, ["not root", "become: sudo"]),
    ],
    ids=["unknown host key", "no key", "wrong user", "wrong port", "no root"],
)
def test_a_login_that_fails_says_why_and_what_to_do(
    fresh: Mesh, lab: Lab, tmp_path: Path, keys: dict[str, object], words: list[str]
) -> None:
    assert fresh.hosts == HOSTS
    answer = mesh.write(lab, tmp_path, {"host1": keys, "host2": {}}).dockmesh("plan", "--json")
    why = refused(answer, "host1")
    assert all(word in why for word in words), why
    assert answer.document["hosts"][1]["error"] is None


def test_a_changed_host_key_is_never_accepted(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    assert fresh.hosts == HOSTS
    lines = (lab.inventory.parent / "known_hosts").read_text().splitlines()
    swapped = tmp_path / "known_hosts"
    swapped.write_text(f"192.168.18.128 {' '.join(lines[1].split()[-2:])}\n")
    for policy in ("strict", "accept-new"):
        wrong = mesh.write(
            lab, tmp_path, {"host1": {"known_hosts": str(swapped), "host_key_policy": policy}, "host2": {}}
        )
        assert "CHANGED" in refused(wrong.dockmesh("plan", "--json"), "host1")


@pytest.mark.parametrize("hosts", [{}, {"host1": {}}], ids=["no host", "one host"])
def test_the_smallest_fleets_work(fresh: Mesh, lab: Lab, tmp_path: Path, hosts: dict[str, dict[str, object]]) -> None:
    assert fresh.hosts == HOSTS
    small = mesh.write(lab, tmp_path, hosts)
    assert [
        small.dockmesh(*call).status for call in (("apply", "--yes"), ("plan",), ("status",), ("destroy", "--yes"))
    ] == [0] * 4


def test_a_saved_plan_is_carried_out_only_while_everything_is_as_it_was(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    plan = os.fspath(tmp_path / "plan.json")
    assert fresh.dockmesh("plan", "--out", plan).status == 2
    with done(
        lab,
        "host1",
        do=["ip route add 10.128.16.0/20 via 192.168.18.129 proto 201 metric 4201"],
        undo=["ip route del 10.128.16.0/20 proto 201 metric 4201"],
    ):
        stale = fresh.dockmesh("apply", plan, "--yes")
        assert (stale.status, "host1: the host moved" in stale.stderr) == (3, True)
    assert fresh.dockmesh("apply", plan, "--yes").status == 0
    assert fresh.dockmesh("destroy", "--yes").status == 0
