"""`status` of an incomplete mesh, and that it leaves nothing on the hosts."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import host_view
from accidents import (
    container_stopped,
    docker_stopped,
    eventually,
    is_idle,
    output_of,
    partitioned,
    paused,
    temporarily,
)
from lab_state import difference
from mesh import Mesh

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
HOLDERS = "pgrep --full --exact 'timeout [0-9]+ sh -c read -r _'"
SLEEPERS = "pgrep --full --exact 'sleep [0-9]+'"
LEGS = "ip -o link show | grep -c dmp"
# The maximum seconds that a namespace may exist after its run.
BOUND_S = 130
SOON_S = 5


def reached_values(document: dict[str, Any], source: str, target: str) -> set[bool]:
    probes = document["probes"]
    return {each["reached"] for each in probes if each["source"] == source and each["target"] == target}


@contextmanager
def waiting_status(mesh: Mesh, lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    """A status with a namespace on host2 that waits for another host. Both end with the block."""
    controller = subprocess.Popen(
        mesh.argv("status"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=mesh.file.parent,
        env=mesh.environment(),
    )
    try:
        assert eventually(lab, "host2", LEGS, "1")
        # The script reported the namespace that it created.
        assert eventually(lab, "host2", f"{HOLDERS} | wc -l", "1")
        yield controller
    finally:
        controller.kill()
        controller.wait()
        lab.run("host2", ("sh", "-c", f"kill $({HOLDERS}) $({SLEEPERS})"))


def test_without_a_container_a_temporary_namespace_is_probed(joined: Mesh, lab: Lab) -> None:
    with container_stopped(lab, "host2"), container_stopped(lab, "host3"):
        before = host_view.read_hosts(lab, HOSTS)
        answer = joined.dockmesh("status", "--json")
        assert answer.status == 0
        assert answer.document["summary"] == {"probes": 21, "reached": 21, "failed": 0}
        into = [each for each in answer.document["probes"] if each["target"] == "host2"]
        assert {each["ttl"] for each in into if each["kind"] == "container-container"} == {62}
        for host in ("host2", "host3"):
            assert eventually(lab, host, LEGS, "0")
            assert is_idle(lab, host)
        assert difference(before, host_view.read_hosts(lab, HOSTS)) == ""


def test_a_namespace_disappears_soon_after_the_controller_is_killed(joined: Mesh, lab: Lab) -> None:
    with container_stopped(lab, "host2"), paused(lab, "host3"), waiting_status(joined, lab) as controller:
        controller.kill()
        for left in (f"{HOLDERS} | wc -l", f"{SLEEPERS} | wc -l", LEGS):
            assert eventually(lab, "host2", left, "0")
    assert joined.dockmesh("status").status == 0


def test_a_host_cut_off_ends_its_namespace_within_two_minutes(joined: Mesh, lab: Lab) -> None:
    """The limits are on the command lines. One of them is ended early to see its effect."""
    with (
        container_stopped(lab, "host2"),
        paused(lab, "host3"),
        waiting_status(joined, lab) as controller,
        partitioned(lab, "host2"),
    ):
        controller.kill()
        for waiting in (HOLDERS, SLEEPERS):
            (bound,) = output_of(lab, "host2", "sh", "-c", f"ps -o args= -p $({waiting})").split()[1:2]
            assert 10 <= int(bound) <= BOUND_S
        assert output_of(lab, "host2", "sh", "-c", LEGS) == "1"
        output_of(lab, "host2", "sh", "-c", f"kill $({HOLDERS})")
        assert eventually(lab, "host2", LEGS, "0")
    assert joined.dockmesh("status").status == 0


def test_a_partitioned_host_fails_and_the_other_rows_are_complete(joined: Mesh, lab: Lab) -> None:
    with partitioned(lab, "host2"):
        answer = joined.dockmesh("status", "--json", "--timeout", "2")
    assert answer.status == 3
    document = answer.document
    codes = {host["host"]: host["code"] for host in document["hosts"]}
    assert (codes["host1"], codes["host3"]) == (None, None)
    assert codes["host2"] in {"connect-timeout", "unreachable"}
    assert reached_values(document, "host1", "host3") == reached_values(document, "host3", "host1") == {True}
    assert reached_values(document, "host1", "host1") == {True}
    assert reached_values(document, "host1", "host2") == reached_values(document, "host2", "host1") == {False}
    codes = {(each["source"], each["target"], each["kind"]): each["code"] for each in document["probes"]}
    assert codes["host1", "host2", "host-bridge"] == "no-reply"
    assert codes["host1", "host2", "host-container"] == codes["host2", "host1", "host-bridge"] == "not-asked"
    assert all(bool(each["reason"]) == bool(each["code"]) == (not each["reached"]) for each in document["probes"])
    failed = sum(not each["reached"] for each in document["probes"])
    assert document["summary"] == {"probes": 21, "reached": 21 - failed, "failed": failed}


def test_the_failed_host_is_printed_last(joined: Mesh, lab: Lab) -> None:
    with partitioned(lab, "host1"):
        answer = joined.dockmesh("status", "--timeout", "2")
    assert answer.status == 3
    *_, cause, total = answer.stdout.strip().splitlines()
    assert re.fullmatch(r"✗ host1: \S*192\.168\.18\.128\b.*", cause)
    assert total == "Of 21 probes, 2 failed and 11 could not be made."
    assert "✗ host2, host3 → host1 host-bridge: " in answer.stdout
    assert answer.stdout.count("✓64 ✓63 ✓62") == 2


def test_a_frozen_host_delays_status_by_at_most_the_timeout(joined: Mesh, lab: Lab) -> None:
    with paused(lab, "host3"):
        answer = joined.dockmesh("status", "--json", "--timeout", "2", within_s=20)
    assert answer.status == 3
    assert {host["host"]: bool(host["error"]) for host in answer.document["hosts"]} == {
        "host1": False,
        "host2": False,
        "host3": True,
    }
    assert reached_values(answer.document, "host1", "host2") == {True}


def test_status_reports_a_stopped_docker_in_one_line(joined: Mesh, lab: Lab) -> None:
    with docker_stopped(lab, "host2"):
        answer, document = joined.dockmesh("status"), joined.dockmesh("status", "--json").document
    assert answer.status == 3
    assert "nsenter" not in answer.stdout
    (told,) = (line for line in answer.stdout.splitlines() if line.startswith("✗ "))
    assert "host2" in told
    assert "systemctl start docker" in told
    assert told.endswith("(7 probes not made)")
    assert [each["code"] for each in document["probes"] if each["code"]] == ["docker-stopped"] * 7


def test_a_lost_route_fails_only_its_probes_and_names_the_host(joined: Mesh, lab: Lab) -> None:
    route = "10.128.32.0/20 via 192.168.18.130 dev eth0 proto 201 metric 4201"
    with temporarily(
        lab,
        "host1",
        do=["systemctl stop dockmesh.timer", f"ip route del {route}"],
        undo=[f"ip route replace {route}", "systemctl start dockmesh.timer"],
    ):
        answer = joined.dockmesh("status", "--json")
        assert joined.dockmesh("plan").status == 2
    assert answer.status == 3
    assert reached_values(answer.document, "host1", "host3") == {False}
    assert (
        reached_values(answer.document, "host1", "host2") == reached_values(answer.document, "host3", "host2") == {True}
    )
    ((code, reason),) = {(each["code"], each["reason"]) for each in answer.document["probes"] if not each["reached"]}
    assert code == "route-missing"
    assert re.fullmatch(r"host1 .*host3 .*: dockmesh apply --limit host1", reason)


def test_an_interrupted_status_ends_soon_and_leaves_no_namespace(joined: Mesh, lab: Lab) -> None:
    with container_stopped(lab, "host2"), paused(lab, "host3"), waiting_status(joined, lab) as controller:
        controller.send_signal(signal.SIGINT)
        assert poll(lambda: controller.poll() is not None, SOON_S)
        assert controller.returncode == 130
        assert eventually(lab, "host2", LEGS, "0")


def test_a_limited_status_probes_all_hosts_from_the_named_ones(joined: Mesh) -> None:
    answer = joined.dockmesh("status", "--json", "--limit", "tag:bookworm")
    assert answer.status == 0
    assert {each["source"] for each in answer.document["probes"]} == {"host1"}
    assert {each["target"] for each in answer.document["probes"]} == set(HOSTS)
