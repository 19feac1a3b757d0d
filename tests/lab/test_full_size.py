"""Full-size packets: status detects their loss, and apply sets docker0 to the smallest uplink."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mesh
from accidents import DAEMON_JSON, output_of, temporarily, temporary_file
from lab_state import SharedHosts
from mesh import CommandResult, Mesh

from dockmesh.lab.process import run
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
# Docker 20.10 knows no default-network-opts.
KNOWING = ("host2", "host3")
MTU = "com.docker.network.driver.mtu"


@contextmanager
def small_mtu(lab: Lab, host: str, mtu: int = 1400) -> Iterator[None]:
    """A host whose interface has a smaller MTU than the others."""
    with temporarily(lab, host, do=[f"ip link set eth0 mtu {mtu}"], undo=["ip link set eth0 mtu 1500"]):
        yield


@contextmanager
def narrow_between(lab: Lab, host: str, mtu: int = 1400) -> Iterator[None]:
    """A switch that drops larger packets at the port of a host, which no host can detect locally."""
    port = ("ip", "-n", lab.topology.fabric, "link", "set", host, "mtu")
    run((*port, str(mtu)))
    try:
        yield
    finally:
        run((*port, "1500"))


@contextmanager
def networks(lab: Lab, name: str) -> Iterator[dict[str, int]]:
    """Create a network on each host. Returns its MTU."""
    with (
        temporarily(lab, "host1", **network_commands(name)),
        temporarily(lab, "host2", **network_commands(name)),
        temporarily(lab, "host3", **network_commands(name)),
    ):
        option = f'{{{{index .Options "{MTU}"}}}}'
        found = {host: output_of(lab, host, "docker", "network", "inspect", "-f", option, name) for host in HOSTS}
        yield {host: int(mtu or 1500) for host, mtu in found.items()}


def network_commands(name: str) -> dict[str, list[str]]:
    return {"do": [f"docker network create {name}"], "undo": [f"docker network rm {name}"]}


def container_mtus(lab: Lab) -> dict[str, int]:
    """The MTU of each host's container."""
    return {
        host: int(output_of(lab, host, "docker", "exec", "web", "cat", "/sys/class/net/eth0/mtu")) for host in HOSTS
    }


def mtu_keys(lab: Lab, host: str) -> dict[str, Any]:
    """The MTU settings in the host's daemon.json."""
    document = json.loads(output_of(lab, host, "cat", DAEMON_JSON))
    return {key: document[key] for key in ("mtu", "default-network-opts") if key in document}


def run_on_all(asked: Mesh, verb: str) -> None:
    ended = asked.dockmesh(verb, "--yes", "--serial", "100%")
    assert ended.status == 0, ended


def full_size_results(status: CommandResult) -> dict[tuple[str, str], bool]:
    """Whether full-size packets arrive between containers, by their hosts."""
    probes = [each for each in status.document["probes"] if each["kind"] == "container-container"]
    return {(each["source"], each["target"]): each["mtu_ok"] for each in probes}


def codes(status: CommandResult) -> dict[tuple[str, str], str]:
    """Why probes fail, by their hosts."""
    return {(each["source"], each["target"]): each["code"] for each in status.document["probes"] if each["code"]}


def lost_pairs(status: CommandResult) -> set[tuple[str, str]]:
    return {pair for pair, passes in full_size_results(status).items() if not passes}


def test_a_complete_mesh_passes_full_size_packets_both_ways(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    found = full_size_results(joined.dockmesh("status", "--json"))
    assert found == {(a, b): True for a in HOSTS for b in HOSTS if a != b}
    # A host without Docker probes the others as well.
    without = {"host4": {"docker": False, "prefix": None, "bridge": None}}
    four = mesh.write_inventory(lab, tmp_path, {host: {} for host in HOSTS} | without)
    try:
        assert four.dockmesh("apply", "--yes").status == 0
        probes = [each for each in four.dockmesh("status", "--json").document["probes"] if each["source"] == "host4"]
    finally:
        assert four.dockmesh("destroy", "--yes", "--limit", "host4").status == 0
        assert joined.dockmesh("apply", "--yes").status == 0
    assert {each["target"] for each in probes if each["mtu_ok"]} == set(HOSTS)
    assert {each["kind"] for each in probes if each["mtu_ok"] is None} == {"host-bridge"}


def test_docker_follows_a_smaller_uplink_down_and_up_again(joined: Mesh, lab: Lab) -> None:
    with small_mtu(lab, "host1"), networks(lab, "before") as before:
        broken, shown = joined.dockmesh("status", "--json"), joined.dockmesh("status")
        assert broken.status == shown.status == 3
        assert lost_pairs(broken) == {(a, b) for a in HOSTS for b in HOSTS if a != b and "host1" in {a, b}}
        assert all(each["reached"] for each in broken.document["probes"])
        assert codes(broken) == dict.fromkeys(lost_pairs(broken), "uplink-too-small")
        (told,) = (line for line in shown.stdout.splitlines() if line.startswith("✗ "))
        assert all(word in told for word in ("1500", "host1", "eth0", "1400", "dockmesh apply"))
        assert told.endswith("(4 probes)")
        plan = joined.dockmesh("plan", "--json")
        assert plan.status == 2
        rows = plan.document["hosts"]
        reasons = [change["reason"] for row in rows for change in row["changes"] if change["action"] == "restart"]
        assert [all(part in each for part in ("docker0", "1400", "eth0", "host1")) for each in reasons] == [True] * 3
        large = [each for row in rows for each in row["notes"] if each["code"] == "network-mtu-too-large"]
        assert [each["key"] for each in large] == ["network before"] * 3
        assert [re.findall(r"\d+", each["message"]) for each in large] == [["1500", "1400"]] * 3
        assert all("1400" in each["remedy"] for each in large)
        assert set(before.values()) == {1500}

        run_on_all(joined, "apply")
        assert set(container_mtus(lab).values()) == {1400}
        assert mtu_keys(lab, "host1") == {"mtu": 1400}
        for host in KNOWING:
            assert mtu_keys(lab, host) == {"mtu": 1400, "default-network-opts": {"bridge": {MTU: "1400"}}}
        assert joined.dockmesh("plan").status == 0
        assert lost_pairs(joined.dockmesh("status", "--json")) == set()
        explained = joined.dockmesh("explain", "host1", "host3", "--json")
        assert (explained.status, explained.document["code"]) == (0, None), explained
        (sent,) = (step for step in explained.document["steps"] if step["check"] == "mtu")
        assert (sent["ok"], "1400" in sent["detail"]) == (True, True)
        with networks(lab, "after") as after:
            assert after == {"host1": 1500} | dict.fromkeys(KNOWING, 1400)
            assert joined.dockmesh("plan", "--limit", "host1").words.count(f"--opt {MTU}=1400") == 2

    # An excluded host may have the small uplink.
    assert joined.dockmesh("plan", "--limit", "host2,host3").status == 0
    raised = joined.dockmesh("plan", "--json")
    changes = [change for row in raised.document["hosts"] for change in row["changes"] if change["action"] == "restart"]
    assert ["1500" in change["reason"] for change in changes] == [True] * 3
    run_on_all(joined, "apply")
    assert set(container_mtus(lab).values()) == {1500}
    assert mtu_keys(lab, "host2") == mtu_keys(lab, "host1") == {}


def test_destroy_restores_foreign_mtus_and_a_smaller_one_stays(
    fresh: Mesh, lab: Lab, shared_hosts: SharedHosts
) -> None:
    binding = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
    own = json.dumps({"default-network-opts": {"bridge": binding}, "mtu": 1280})
    restart = "systemctl reset-failed docker; systemctl restart docker && docker start web"
    with small_mtu(lab, "host1"):
        with temporary_file(lab, "host3", DAEMON_JSON, own):
            output_of(lab, "host3", "sh", "-c", restart)
            try:
                run_on_all(fresh, "apply")
                assert container_mtus(lab) == {"host1": 1400, "host2": 1400, "host3": 1280}
                lowered = {"default-network-opts": {"bridge": binding | {MTU: "1400"}}}
                assert mtu_keys(lab, "host3") == {"mtu": 1280} | lowered
                assert fresh.dockmesh("plan").status == 0
                assert lost_pairs(fresh.dockmesh("status", "--json")) == set()
                run_on_all(fresh, "destroy")
                assert output_of(lab, "host3", "cat", DAEMON_JSON) == own
                assert container_mtus(lab) == {"host1": 1500, "host2": 1500, "host3": 1280}
            finally:
                lab.run("host3", ("rm", DAEMON_JSON))
        output_of(lab, "host3", "sh", "-c", restart)
    assert not shared_hosts.joined


def test_loss_between_the_hosts_is_reported_and_reverts_no_change(fresh: Mesh, lab: Lab) -> None:
    with narrow_between(lab, "host2"):
        applied = fresh.dockmesh("apply", "--yes", "--serial", "100%", "--json")
        status = fresh.dockmesh("status", "--json")
    assert [each["status"] for each in applied.document["outcomes"]] == ["confirmed"] * 3
    assert applied.status == status.status == 3
    assert lost_pairs(status) == {(a, b) for a in HOSTS for b in HOSTS if a != b and "host2" in {a, b}}
    assert codes(status) == dict.fromkeys(lost_pairs(status), "mtu")
    assert all("1500" in each["reason"] for each in status.document["probes"] if each["code"])
    assert fresh.dockmesh("status").status == 0


def test_a_temporary_namespace_has_the_mtu_of_a_container(joined: Mesh, lab: Lab) -> None:
    """Otherwise it would probe with packets that no container sends."""
    with small_mtu(lab, "host2"):
        run_on_all(joined, "apply")
        with temporarily(lab, "host3", do=["docker stop web"], undo=["docker start web"]):
            status = joined.dockmesh("status", "--json")
        assert (status.status, lost_pairs(status)) == (0, set())
    run_on_all(joined, "apply")
