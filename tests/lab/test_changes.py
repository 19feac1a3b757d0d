"""plan, apply and destroy on original hosts do exactly what they print."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import host_view
import mesh
import pytest
from accidents import (
    DAEMON_JSON,
    container_address,
    container_stopped,
    docker_drop_in,
    docker_stopped,
    output_of,
    temporarily,
    temporary_file,
    ttl,
)
from lab_state import difference
from mesh import Mesh

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
EVERY_HOST = (*HOSTS, "host4")
# Docker's unit then fails to start with any bip in the file, in every generation.
NO_BIP = "[Service]\nExecStartPre=/bin/sh -c 'if grep -q bip /etc/docker/daemon.json; then exit 3; fi'\n"
CONTROL_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ACCEPTED = "sed -n 's/^Tcp: [0-9]* [0-9]* [0-9]* -*[0-9]* [0-9]* \\([0-9]*\\).*/\\1/p' /proc/net/snmp"


def bridge_of(lab: Lab, host: str) -> str:
    return output_of(lab, host, "ip", "-brief", "-4", "address", "show", "dev", "docker0").split()[2]


def containers_of(lab: Lab, host: str) -> str:
    return output_of(lab, host, "docker", "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}")


def failed_units(lab: Lab, host: str) -> str:
    return output_of(lab, host, "systemctl", "--failed", "--no-legend", "--plain")


def connections_accepted(lab: Lab) -> dict[str, str]:
    return {host: output_of(lab, host, "sh", "-c", ACCEPTED) for host in EVERY_HOST}


@pytest.mark.parametrize("words", [("plan",), ("plan", "--json", "--limit", "host2")])
def test_plan_with_changes_exits_2_and_changes_no_host(fresh: Mesh, lab: Lab, words: tuple[str, ...]) -> None:
    before = host_view.read_hosts(lab, EVERY_HOST)
    assert fresh.dockmesh(*words).status == 2
    assert difference(before, host_view.read_hosts(lab, EVERY_HOST)) == ""


def test_the_plan_document_has_its_keys_and_a_reason_for_each_change(fresh: Mesh) -> None:
    document = fresh.dockmesh("plan", "--json").document
    assert list(document) == ["format", "hosts", "summary", "forecast"]
    assert document["format"] == "dockmesh/plan/1"
    assert [host["host"] for host in document["hosts"]] == list(HOSTS)
    changes = [change for host in document["hosts"] for change in host["changes"]]
    for host in document["hosts"]:
        assert list(host) == [
            *("host", "changes", "containers", "conflicts", "notes", "code", "error", "pending", "reverted"),
        ]
        assert host["conflicts"] == []
        assert (host["code"], host["error"]) == (None, None)
    for change in changes:
        assert list(change) == ["kind", "action", "key", "before", "after", "reason"]
        assert change["kind"] in {"route", "file", "firewall", "unit", "service"}
        assert change["action"] in {"add", "change", "remove", "restart"}
        assert change["reason"]
        assert change["before"] != change["after"]
    counts = {
        action: sum(change["action"] == action for change in changes)
        for action in ("add", "change", "remove", "restart")
    }
    assert document["summary"] == {"hosts": 3, **counts, "conflicts": 0, "errors": 0}
    assert counts["restart"] == 3
    # host2 alone has a daemon.json already.
    assert [(change["key"], change["action"]) for change in changes if change["key"] == DAEMON_JSON] == [
        (DAEMON_JSON, "add"),
        (DAEMON_JSON, "change"),
        (DAEMON_JSON, "add"),
    ]


def test_the_plan_names_the_containers_that_a_restart_stops(fresh: Mesh, lab: Lab) -> None:
    def reasons(*options: str) -> list[str]:
        return [
            change["reason"]
            for host in fresh.dockmesh("plan", "--json", *options).document["hosts"]
            for change in host["changes"]
            if change["action"] == "restart"
        ]

    assert ["web" in each for each in reasons()] == [True] * 3
    with container_stopped(lab, "host1"):
        assert ["web" in each for each in reasons("--limit", "host1")] == [False]


def test_before_the_first_apply_status_reports_no_host_as_joined(fresh: Mesh) -> None:
    ended = fresh.dockmesh("status", "--limit", "host1,host2")
    assert ended.status == 3
    told = [line for line in ended.stdout.splitlines() if line.startswith("✗ host1 ")]
    remedy = "its docker0 is 172.17.0.1/16, not 10.128.0.1/24 as in the inventory. Fix: dockmesh apply"
    assert [line.partition(" (")[0] for line in told] == [f"✗ host1 has not joined: {remedy}"]


def test_apply_to_a_new_host_counts_the_pairs_that_are_not_joined_yet(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    old = mesh.write_inventory(lab, tmp_path, {"host1": {}}, name="old.yml")
    new = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {}})
    assert old.dockmesh("apply", "--yes").status == 0
    ended = new.dockmesh("apply", "--yes", "--limit", "host2")
    assert ended.status == 0, "as requested, and host1 is outside the request"
    assert "2 other pairs of hosts not probed" in ended.stdout
    assert new.dockmesh("apply", "--yes", "--limit", "host1").status == 0
    assert new.dockmesh("destroy", "--yes").status == 0


def test_a_limited_apply_changes_one_host_and_gives_it_all_peers(fresh: Mesh, lab: Lab) -> None:
    others = host_view.read_hosts(lab, ("host1", "host3", "host4"))
    found = host_view.stable_view(host_view.read_host(lab, "host2"))
    applied = fresh.dockmesh("apply", "--yes", "--json", "--limit", "host2")
    assert applied.document["outcomes"] == [
        {"host": "host2", "status": "confirmed", "code": None, "error": None, "warnings": []}
    ]
    assert {each["source"] for each in applied.document["status"]["probes"]} == {"host2"}
    assert bridge_of(lab, "host2") == "10.128.16.1/24"
    routes = output_of(lab, "host2", "ip", "route", "show", "proto", "201")
    assert "10.128.0.0/20 via 192.168.18.128" in routes
    assert "10.128.32.0/20 via 192.168.18.130" in routes

    assert fresh.dockmesh("destroy", "--yes", "--limit", "host2").status == 0
    assert difference({"host2": found}, {"host2": host_view.stable_view(host_view.read_host(lab, "host2"))}) == ""
    assert failed_units(lab, "host2") == ""
    assert difference(others, host_view.read_hosts(lab, others)) == ""


def test_a_fleet_of_one_host_joins_and_leaves_after_yes_on_a_terminal(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    one = mesh.write_inventory(lab, tmp_path, {"host3": {}})
    assert one.dockmesh("plan").status == 2
    applied = one.on_a_terminal("apply", answer="y")
    assert "Change 1 host? [y/N]: y" in applied.stdout
    assert applied.status == 0
    assert bridge_of(lab, "host3") == "10.128.32.1/24"
    assert ttl(lab, "host3", container_address(lab, "host3")) == 64
    assert one.dockmesh("plan").status == 0
    status = one.dockmesh("status", "--json")
    assert status.status == 0
    assert [(each["kind"], each["ttl"]) for each in status.document["probes"]] == [("host-container", 64)]
    assert one.on_a_terminal("destroy", answer="y").status == 0
    assert bridge_of(lab, "host3") == "172.17.0.1/16"


@pytest.mark.parametrize("words", [("plan",), ("apply", "--yes"), ("status",), ("destroy", "--yes")])
def test_an_empty_fleet_is_valid(lab: Lab, tmp_path: Path, words: tuple[str, ...]) -> None:
    empty = mesh.write_inventory(lab, tmp_path, {})
    answer = empty.dockmesh(*words, "--json")
    assert answer.status == 0
    assert answer.document["format"].startswith("dockmesh/")


@pytest.fixture
def mixed_mesh(fresh: Mesh, lab: Lab, tmp_path: Path) -> Iterator[Mesh]:
    """A Docker host, one without Docker or prefix, and one whose Docker is stopped, with a bridge and a guest on it."""
    del fresh
    guest = [
        "ip link add kvm0 type bridge",
        "ip address add 10.9.0.1/24 dev kvm0",
        "ip link set kvm0 up",
        "ip netns add guest",
        "ip link add guest0 type veth peer name eth0 netns guest",
        "ip link set guest0 master kvm0 up",
        "ip -n guest address add 10.9.0.2/24 dev eth0",
        "ip -n guest link set eth0 up",
        "ip -n guest route add default via 10.9.0.1",
    ]
    away = ["ip netns delete guest", "ip link delete guest0", "ip link delete kvm0", "rmdir /run/netns"]
    with ExitStack() as stack:
        stack.enter_context(docker_stopped(lab, "host4"))
        # ip mounts /run/netns on itself once. The mount disappears with the folder.
        stack.enter_context(temporarily(lab, "host4", do=guest, undo=[*away[:3], "umount /run/netns", away[3]]))
        yield mesh.write_inventory(
            lab,
            tmp_path,
            {
                "host1": {},
                "host3": {"docker": False, "prefix": None},
                "host4": {"docker": False, "prefix": "10.9.0.0/24"},
            },
        )


def test_hosts_without_docker_join_and_leave_the_mesh(mixed_mesh: Mesh, lab: Lab) -> None:
    assert mixed_mesh.hosts == ("host1", "host3", "host4")
    found = {host: host_view.stable_view(seen) for host, seen in host_view.read_hosts(lab, mixed_mesh.hosts).items()}
    plan = mixed_mesh.dockmesh("plan", "--json")
    assert plan.status == 2
    kinds = {
        host["host"]: {change["kind"] for change in host["changes"] if change["key"] != "/etc/dockmesh/reassert.sh"}
        for host in plan.document["hosts"]
    }
    assert kinds["host1"] == {"file", "service", "firewall", "route", "unit"}
    assert kinds["host4"] - {"unit"} == {"firewall", "route"}
    assert kinds["host3"] - {"unit"} == {"route"}

    applied = mixed_mesh.dockmesh("apply", "--yes", "--json")
    assert [outcome["status"] for outcome in applied.document["outcomes"]] == ["confirmed"] * 3
    assert applied.status == 0
    routes = {
        host: output_of(lab, host, "ip", "route", "show", "proto", "201").splitlines() for host in mixed_mesh.hosts
    }
    assert [line.split(" dev ")[0] for line in routes["host1"]] == ["10.9.0.0/24 via 192.168.18.131"]
    assert [line.split(" dev ")[0] for line in routes["host4"]] == ["10.128.0.0/20 via 192.168.18.128"]
    assert [line.split(" dev ")[0] for line in routes["host3"]] == [
        "10.9.0.0/24 via 192.168.18.131",
        "10.128.0.0/20 via 192.168.18.128",
    ]
    for host in ("host3", "host4"):
        assert lab.run(host, ("test", "-e", DAEMON_JSON)).returncode == 1
    assert "DOCKMESH" not in output_of(lab, "host3", "iptables-save")

    remote = container_address(lab, "host1")
    assert ttl(lab, "host3", remote) == 63
    assert ttl(lab, "host1", "10.9.0.1", container="web") == 63
    assert ttl(lab, "host1", "10.9.0.2", container="web") == 62
    assert ttl(lab, "host3", "10.9.0.2") == 63
    assert "ttl=62" in output_of(lab, "host4", "ip", "netns", "exec", "guest", "ping", "-c", "1", "-W", "1", remote)

    status = mixed_mesh.dockmesh("status", "--json")
    assert status.status == 0
    assert {(each["source"], each["target"], each["kind"], each["ttl"]) for each in status.document["probes"]} == {
        ("host1", "host1", "host-container", 64),
        ("host1", "host4", "host-bridge", 64),
        ("host3", "host1", "host-bridge", 64),
        ("host3", "host1", "host-container", 63),
        ("host3", "host4", "host-bridge", 64),
        ("host4", "host1", "host-bridge", 64),
        ("host4", "host1", "host-container", 63),
    }
    assert mixed_mesh.dockmesh("plan").status == 0

    assert mixed_mesh.dockmesh("destroy", "--yes").status == 0
    left = {host: host_view.stable_view(seen) for host, seen in host_view.read_hosts(lab, mixed_mesh.hosts).items()}
    assert difference(found, left) == ""


def test_a_host_reverts_if_docker_fails_and_converges_after_repair(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    """The new daemon.json never works, so Docker must return to the old address by itself."""
    del fresh
    one = mesh.write_inventory(lab, tmp_path, {"host2": {}})
    containers = containers_of(lab, "host2")
    with docker_drop_in(lab, "host2", NO_BIP, restart=False):
        before = {"host2": host_view.stable_view(host_view.read_host(lab, "host2"))}
        applied = one.dockmesh("apply", "--yes", "--json")
        assert applied.status == 3
        (outcome,) = applied.document["outcomes"]
        assert outcome["status"] == "reverted", outcome
        assert outcome["code"] == "docker-failed", outcome
        assert difference(before, {"host2": host_view.stable_view(host_view.read_host(lab, "host2"))}) == ""
        assert containers_of(lab, "host2") == containers
        assert failed_units(lab, "host2") == ""
    assert one.dockmesh("apply", "--yes").status == 0
    assert bridge_of(lab, "host2") == "10.128.16.1/24"
    assert containers_of(lab, "host2") == containers
    assert one.dockmesh("destroy", "--yes").status == 0


def test_with_live_restore_docker0_moves_and_containers_run_again(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    hosts = ("host1", "host3")
    two = mesh.write_inventory(lab, tmp_path, {host: {} for host in hosts})
    live = ("docker", "info", "--format", "{{.LiveRestoreEnabled}}")
    with ExitStack() as stack:
        for host in hosts:
            stack.enter_context(temporarily(lab, host, do=[], undo=["systemctl reload docker.service"]))
            stack.enter_context(temporary_file(lab, host, DAEMON_JSON, '{"live-restore": true}'))
            output_of(lab, host, "systemctl", "reload", "docker.service")
            assert output_of(lab, host, *live) == "true"
        containers = {host: containers_of(lab, host) for host in hosts}
        assert two.dockmesh("apply", "--yes", "--serial", "100%").status == 0
        for host, bridge in (("host1", "10.128.0.1/24"), ("host3", "10.128.32.1/24")):
            assert bridge_of(lab, host) == bridge
            assert output_of(lab, host, *live) == "true"
            assert containers_of(lab, host) == containers[host]
        assert ttl(lab, "host1", container_address(lab, "host3"), container="web") == 62
        assert two.dockmesh("destroy", "--yes").status == 0
        for host in hosts:
            assert bridge_of(lab, host) == "172.17.0.1/16"
            assert containers_of(lab, host) == containers[host]
            assert output_of(lab, host, "cat", DAEMON_JSON) == '{"live-restore": true}'


def test_stray_routes_are_removed_and_a_rollback_restores_them(joined: Mesh, lab: Lab) -> None:
    own = "proto 201 metric 4201"
    strays = [
        f"prepend 10.128.16.0/20 via 192.168.18.131 dev eth0 {own}",
        f"append 10.128.32.0/20 via 192.168.18.131 dev eth0 {own}",
        f"add 10.128.32.0/20 tos 0x10 via 192.168.18.131 dev eth0 {own}",
        f"add 10.99.0.0/24 {own} nexthop via 192.168.18.131 dev eth0 nexthop via 192.168.18.132 dev eth0",
        f"add blackhole 10.98.0.0/24 {own}",
        f"add 10.97.0.0/24 dev eth0 {own}",
    ]
    mesh_routes = ("ip", "route", "show", "proto", "201")
    clean = output_of(lab, "host1", *mesh_routes)
    for each in strays:
        output_of(lab, "host1", "sh", "-c", f"ip route {each}")
    stray = output_of(lab, "host1", *mesh_routes)
    try:
        planned = joined.dockmesh("plan", "--json", "--limit", "host1").document
        actions = [(each["kind"], each["action"]) for each in planned["hosts"][0]["changes"]]
        assert sorted(actions) == [("route", "change"), *[("route", "remove")] * 6]
        assert joined.dockmesh("apply", "--yes", "--limit", "host1").status == 0
        assert output_of(lab, "host1", *mesh_routes) == clean
        assert joined.dockmesh("plan").status == 0
        joined.dockmesh("rollback", "--yes", "--limit", "host1")
        assert output_of(lab, "host1", *mesh_routes) == stray
    finally:
        joined.dockmesh("apply", "--yes", "--limit", "host1")
    assert output_of(lab, "host1", *mesh_routes) == clean


def test_a_backslash_in_the_name_of_the_uplink_is_no_obstacle(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    hosts = ("host1", "host2", "host3")
    three = mesh.write_inventory(lab, tmp_path, {host: {} for host in hosts})
    name = "a\\n\\cb"
    with ExitStack() as stack:
        for host in hosts:
            do, undo = f"ip link set eth0 name '{name}'", f"ip link set '{name}' name eth0"
            stack.enter_context(temporarily(lab, host, do=[do], undo=[undo]))
        assert three.dockmesh("apply", "--yes", "--serial", "100%").status == 0
        assert three.dockmesh("plan").status == 0
        assert f" dev {name} " in output_of(lab, "host1", "ip", "route", "show", "proto", "201") + " "
        output_of(lab, "host1", "ip", "route", "del", "10.128.16.0/20")
        output_of(lab, "host1", "/bin/sh", "/etc/dockmesh/reassert.sh")
        assert three.dockmesh("status").status == 0
        assert three.dockmesh("trace", "host1", "host3").status == 0
        assert three.dockmesh("explain", "host1", "host3").status == 0
        assert three.dockmesh("destroy", "--yes", "--serial", "100%").status == 0


def test_without_a_terminal_and_yes_no_host_is_contacted(fresh: Mesh, lab: Lab) -> None:
    before = connections_accepted(lab)
    for words in (("apply",), ("destroy", "--json"), ("rollback",)):
        ended = fresh.dockmesh(*words)
        assert ended.status == 4
        assert "--yes" in ended.stderr
        if "--json" in words:
            assert "--yes" in ended.document["problems"][0]["message"]
        else:
            assert ended.stdout == ""
    assert connections_accepted(lab) == before
    fresh.dockmesh("plan", "--limit", "host1")
    assert connections_accepted(lab)["host1"] != before["host1"]


def test_an_invalid_inventory_exits_4_and_no_host_is_contacted(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    wrong = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {"prefix": "10.128.0.0/24"}})
    before = connections_accepted(lab)
    for words in (("plan", "--json"), ("apply", "--yes")):
        ended = wrong.dockmesh(*words)
        assert ended.status == 4
        assert re.search(r"mesh\.yml:\d+:\d+: prefix .* overlaps", ended.stderr)
        assert ended.stdout == "" or ended.document["format"] == "dockmesh/problems/1"
    assert connections_accepted(lab) == before


@pytest.mark.parametrize("words", [("plan",), ("status", "--limit", "host1"), ("destroy", "--yes")])
def test_without_a_terminal_the_output_has_no_control_codes(fresh: Mesh, words: tuple[str, ...]) -> None:
    ended = fresh.dockmesh(*words)
    assert ended.stdout
    assert not CONTROL_CODES.search(ended.stdout)
    assert not CONTROL_CODES.search(ended.stderr)


@pytest.mark.parametrize(
    ("words", "form"),
    [(("plan",), "plan"), (("status", "--limit", "host1"), "status"), (("destroy", "--yes"), "apply")],
)
def test_json_prints_exactly_one_document_on_stdout(fresh: Mesh, words: tuple[str, ...], form: str) -> None:
    assert fresh.dockmesh(*words, "--json").document["format"] == f"dockmesh/{form}/1"


def test_the_answer_n_on_a_terminal_changes_nothing(fresh: Mesh, lab: Lab) -> None:
    before = host_view.read_hosts(lab, EVERY_HOST)
    ended = fresh.on_a_terminal("apply", answer="n")
    assert "Change 3 hosts? [y/N]: n" in ended.stdout
    assert ended.status == 130
    assert "nothing was changed" in ended.stdout
    assert difference(before, host_view.read_hosts(lab, EVERY_HOST)) == ""


def test_destroy_of_hosts_without_dockmesh_changes_nothing(fresh: Mesh, lab: Lab) -> None:
    before = host_view.read_hosts(lab, HOSTS)
    destroyed = fresh.dockmesh("destroy", "--yes", "--json")
    assert destroyed.status == 0
    assert [outcome["status"] for outcome in destroyed.document["outcomes"]] == ["unchanged"] * 3
    assert difference(before, host_view.read_hosts(lab, HOSTS)) == ""
