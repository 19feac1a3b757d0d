"""What is refused and why, before anything is touched; and the ways back to hosts as they were found."""

import os
from pathlib import Path

import mesh
import pytest
import sight
from breaking import DAEMON_JSON, docker_drop_in, docker_stopped, done, file_in_place, partitioned
from mesh import Mesh
from stand import Stand, difference

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
# No story to be told of it, so all may restart their Docker at once.
APPLY = ("apply", "--yes", "--serial", "100%")


def seen(lab: Lab) -> dict[str, sight.Sight]:
    """All of the hosts that a test may compare."""
    return sight.look_at(lab, HOSTS)


def refused(answer: mesh.Done, host: str) -> str:
    """Why the plan leaves that host alone: its error and its conflicts."""
    assert answer.status == 3, answer
    row = next(row for row in answer.document["hosts"] if row["host"] == host)
    return " ".join([row["error"] or "", *(f"{each['key']} {each['message']}" for each in row["conflicts"])])


def test_destroy_leaves_the_hosts_as_they_were_found(joined: Mesh, stand: Stand, lab: Lab) -> None:
    assert joined.dockmesh("destroy", "--yes").status == 0
    assert {host: sight.lasting(each) for host, each in seen(lab).items()} == {
        host: stand.found[host] for host in HOSTS
    }
    assert joined.dockmesh("destroy", "--yes").words.startswith("Nothing to do")


def test_rollback_puts_back_what_stood_before_also_twice_in_a_row(fresh: Mesh, stand: Stand, lab: Lab) -> None:
    assert fresh.dockmesh(*APPLY).status == 0
    for _ in range(2):
        assert fresh.dockmesh("rollback", "--yes").status == 0
        assert {host: sight.lasting(each) for host, each in seen(lab).items()} == {
            host: stand.found[host] for host in HOSTS
        }


def test_a_host_whose_docker_is_stopped_is_refused_and_the_others_go_on(fresh: Mesh, lab: Lab) -> None:
    with docker_stopped(lab, "host2"):
        answer = fresh.dockmesh(*APPLY, "--json")
        assert answer.status == 3
        ends = {each["host"]: each for each in answer.document["outcomes"]}
        assert {host: each["status"] for host, each in ends.items()} == {
            "host1": "confirmed",
            "host2": "refused",
            "host3": "confirmed",
        }
        assert "systemctl start docker" in ends["host2"]["error"]
    assert fresh.dockmesh(*APPLY).status == 0
    assert fresh.dockmesh("destroy", "--yes").status == 0


def test_a_host_that_is_cut_off_is_unreachable_and_the_others_go_on(fresh: Mesh, lab: Lab) -> None:
    with partitioned(lab, "host3"):
        answer = fresh.dockmesh(*APPLY, "--json", "--timeout", "5")
        assert answer.status == 3
        ends = {each["host"]: each["status"] for each in answer.document["outcomes"]}
        assert ends == {"host1": "confirmed", "host2": "confirmed", "host3": "unreachable"}
    assert fresh.dockmesh(*APPLY).status == 0
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"debug": tru}', "not valid JSON"),
        ('["debug"]', "not a JSON object"),
        ('{"bridge": "br0"}', "excludes bip: take the key out"),
        ('{"iptables": false}', "take the key out"),
    ],
)
def test_a_daemon_json_that_bip_cannot_go_into_is_a_conflict_and_stays_as_it_is(
    fresh: Mesh, lab: Lab, tmp_path: Path, text: str, words: str
) -> None:
    assert fresh.hosts == HOSTS
    one = mesh.write(lab, tmp_path, {"host1": {}})
    with file_in_place(lab, "host1", DAEMON_JSON, text):
        before = {"host1": sight.look(lab, "host1")}
        assert words in refused(one.dockmesh("plan", "--json"), "host1")
        applied = one.dockmesh("apply", "--yes", "--json")
        assert applied.status == 3
        assert [outcome["status"] for outcome in applied.document["outcomes"]] == ["refused"]
        assert difference(before, {"host1": sight.look(lab, "host1")}) == ""


def test_a_foreign_route_that_loses_is_no_conflict(fresh: Mesh, lab: Lab) -> None:
    route = "10.128.16.0/20 via 192.168.18.130 metric 9000"
    with done(lab, "host1", do=[f"ip route add {route}"], undo=[f"ip route del {route}"]):
        assert fresh.dockmesh("plan").status == 2


@pytest.mark.parametrize(
    ("underlay", "words"),
    [("192.168.18.200", "is on no interface of the host"), ("10.77.0.1", "is on no interface of the host")],
)
def test_an_underlay_that_is_not_the_hosts_own_is_a_conflict(
    fresh: Mesh, lab: Lab, tmp_path: Path, underlay: str, words: str
) -> None:
    assert fresh.hosts == HOSTS
    wrong = mesh.write(lab, tmp_path, {"host1": {}, "host2": {"underlay": underlay}})
    assert words in refused(wrong.dockmesh("plan", "--json"), "host2")


def test_all_that_is_wrong_on_a_host_is_told_at_once_and_after_the_hosts_that_are_well(fresh: Mesh, lab: Lab) -> None:
    do = [
        "ip link add lan0 type bridge && ip addr add 10.128.17.5/24 dev lan0",
        "ip route add 10.128.32.0/20 via 192.168.18.130 metric 7",
    ]
    undo = ["ip link del lan0", "ip route del 10.128.32.0/20 metric 7"]
    with done(lab, "host1", do=do, undo=undo), file_in_place(lab, "host1", DAEMON_JSON, "{"):
        document = fresh.dockmesh("plan", "--json").document
        text = fresh.dockmesh("plan").stdout
    assert document["summary"]["conflicts"] == 3
    assert [bool(host["changes"]) for host in document["hosts"]][1:] == [True, True]
    assert [line for line in text.splitlines() if line in HOSTS] == ["host2", "host3", "host1"]
    assert text.count("✗ ") == 3


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
    assert fresh.dockmesh("apply", plan, "--yes", "--serial", "100%").status == 0
    assert fresh.dockmesh("destroy", "--yes").status == 0
