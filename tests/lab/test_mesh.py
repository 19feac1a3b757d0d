"""Each manual step after one `apply`, then further commands on the complete mesh."""

import json
import re
from itertools import permutations
from pathlib import Path

import host_view
import mesh
import pytest
from accidents import container_address, output_of, temporarily, ttl
from lab_state import ODD_JSON, ApplyRecord, SharedHosts, difference
from mesh import Mesh
from printed import figures, mark

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
PAIRS = tuple(permutations(HOSTS, 2))
PREFIX = {"host1": "10.128.0.0/20", "host2": "10.128.16.0/20", "host3": "10.128.32.0/20"}
BRIDGE = {"host1": "10.128.0.1", "host2": "10.128.16.1", "host3": "10.128.32.1"}
UNDERLAY = {"host1": "192.168.18.128", "host2": "192.168.18.129", "host3": "192.168.18.130"}
# The marks of lines that name a change, a conflict or a note.
CHANGED = set("+~-!✗·")
OWN_FILES = (
    r"/etc/(docker/daemon\.json|dockmesh(/|\s|$)"
    r"|systemd/system/(\S+/)?dockmesh\.|systemd/system/docker\.service\.wants\s)"
)


def etc_of_others(seen: host_view.HostView) -> list[str]:
    return [line for line in seen["etc"].splitlines() if not re.search(OWN_FILES, line)]


def rules_of(seen: host_view.HostView, table: str, chain: str) -> list[str]:
    text = seen["iptables"].partition(f"*{table}\n")[2].partition("COMMIT")[0]
    return [line for line in text.splitlines() if line.startswith(f"-A {chain} ")]


def mesh_routes(lab: Lab, host: str) -> set[str]:
    return {line.strip() for line in output_of(lab, host, "ip", "route", "show").splitlines() if "proto 201" in line}


def route_to(host: str) -> str:
    return f"{PREFIX[host]} via {UNDERLAY[host]} dev eth0 proto 201 metric 4201"


def docker_starts(lab: Lab) -> dict[str, str]:
    return {host: host_view.read_host(lab, host)["docker"] for host in HOSTS}


def summary_of(words: str) -> tuple[str, ...]:
    """Host and status of each outcome that is printed; hosts with the same outcome share a line."""
    lines = re.findall(r"^((?:host\d(?:, )?)+)(?: \(\d+ hosts\))?  ([a-z]+)", words, re.MULTILINE)
    return tuple((host, status) for names, status in lines for host in names.split(", "))


@pytest.fixture
def without_host3(lab: Lab, shared_hosts: SharedHosts, tmp_path: Path) -> Mesh:
    """The inventory without host3."""
    shared_hosts.ensure_joined()
    return mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {}}, name="without-host3.yml")


@pytest.mark.usefixtures("apply_record")
@pytest.mark.parametrize("host", HOSTS)
def test_daemon_json_has_the_bridge_address_and_docker0_uses_it(lab: Lab, host: str) -> None:
    assert json.loads(output_of(lab, host, "cat", "/etc/docker/daemon.json"))["bip"] == f"{BRIDGE[host]}/24"
    assert f"inet {BRIDGE[host]}/24 " in output_of(lab, host, "ip", "-4", "address", "show", "dev", "docker0")
    assert "172.17." not in output_of(lab, host, "ip", "-4", "address")


@pytest.mark.usefixtures("apply_record")
@pytest.mark.parametrize("host", HOSTS)
def test_ip_route_has_a_route_to_every_peer_through_its_underlay(lab: Lab, host: str) -> None:
    assert mesh_routes(lab, host) == {route_to(peer) for peer in HOSTS if peer != host}


@pytest.mark.parametrize("host", HOSTS)
def test_the_same_containers_run_again(apply_record: ApplyRecord, host: str) -> None:
    before, after = (
        host_view.stable_view(seen[host])["containers"] for seen in (apply_record.before, apply_record.after)
    )
    assert after == before
    assert after.endswith("/web running")


@pytest.mark.parametrize("host", HOSTS)
def test_docker_restarted_once_and_its_socket_is_unchanged(apply_record: ApplyRecord, host: str) -> None:
    before, after = apply_record.before[host]["docker"], apply_record.after[host]["docker"]
    assert before != after
    assert before.count("ActiveState=active") == after.count("ActiveState=active") == 2


@pytest.mark.usefixtures("apply_record")
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_pings_its_own_container_with_ttl_64(lab: Lab, host: str) -> None:
    assert ttl(lab, host, container_address(lab, host)) == 64
    assert container_address(lab, host).rpartition(".")[0] == BRIDGE[host].rpartition(".")[0]


@pytest.mark.usefixtures("apply_record")
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_ping_across_hosts_has_the_ttl_of_its_path(lab: Lab, source: str, target: str) -> None:
    remote = container_address(lab, target)
    assert ttl(lab, source, BRIDGE[target]) == 64
    assert ttl(lab, source, remote) == 63
    assert ttl(lab, source, remote, container="web") == 62


def test_apply_and_status_report_the_ttl_of_every_ordered_pair(joined: Mesh, apply_record: ApplyRecord) -> None:
    expected = {(host, host, "host-container", 64) for host in HOSTS}
    for source, target in PAIRS:
        ttls = {"host-bridge": 64, "host-container": 63, "container-container": 62}
        expected |= {(source, target, kind, ttl) for kind, ttl in ttls.items()}
    for document in (joined.dockmesh("status", "--json").document, apply_record.done.document["status"]):
        probes = document["probes"]
        assert {(each["source"], each["target"], each["kind"], each["ttl"]) for each in probes} == expected
        assert all(each["reached"] and each["reason"] is None for each in probes)
        assert all(each["sent"] == each["received"] > 0 and each["ttl"] == each["expected_ttl"] for each in probes)
        assert all(0 < each["rtt_ms"] < 1000 for each in probes)
        assert document["summary"] == {"probes": 21, "reached": 21, "failed": 0}
        assert [(each["host"], each["error"]) for each in document["hosts"]] == [(host, None) for host in HOSTS]


def test_status_prints_a_table_of_all_pairs_and_exits_0(joined: Mesh) -> None:
    done = joined.dockmesh("status")
    assert done.status == 0
    assert done.stdout.count("✓64 ✓63 ✓62") == 6
    assert figures(done.stdout.splitlines()[-1]) == ["21"]
    assert "✗" not in done.stdout.splitlines()[-1]


def test_apply_reports_every_host_confirmed_in_one_document(apply_record: ApplyRecord) -> None:
    document = apply_record.done.document
    assert document["format"] == "dockmesh/apply/1"
    assert document["outcomes"] == [
        {"host": host, "status": "confirmed", "code": None, "error": None, "warnings": []} for host in HOSTS
    ]
    assert document["plan"]["format"] == "dockmesh/plan/1"
    assert document["plan"]["summary"]["restart"] == 3


@pytest.mark.usefixtures("apply_record")
def test_foreign_keys_in_daemon_json_keep_their_values_and_places(lab: Lab) -> None:
    text = output_of(lab, "host2", "cat", "/etc/docker/daemon.json")
    keys = json.loads(text)
    assert list(keys) == [*json.loads(ODD_JSON), "bip", "default-address-pools"]
    assert keys["bip"] == "10.128.16.1/24"
    assert {**keys, **json.loads(ODD_JSON)} == keys
    assert '\n\t"shutdown-timeout"' in text
    assert output_of(lab, "host2", "stat", "-c", "%a", "/etc/docker/daemon.json") == "640"


def test_foreign_files_in_etc_are_unchanged(apply_record: ApplyRecord) -> None:
    for host in HOSTS:
        assert etc_of_others(apply_record.after[host]) == etc_of_others(apply_record.before[host])
    assert apply_record.after["host4"] == apply_record.before["host4"]


def test_a_foreign_route_is_unchanged(apply_record: ApplyRecord) -> None:
    foreign = "198.51.100.0/24 via 192.168.18.128 dev eth0 proto static metric 50"
    assert foreign in apply_record.before["host3"]["routes"]
    for host in HOSTS:
        before, after = (
            {line for line in seen[host]["routes"].splitlines() if " dev eth0" in line and "proto 201" not in line}
            for seen in (apply_record.before, apply_record.after)
        )
        assert before == after


def test_foreign_rules_are_unchanged(apply_record: ApplyRecord) -> None:
    before, after = apply_record.before["host3"], apply_record.after["host3"]
    assert " --comment dockmesh " in rules_of(after, "filter", "DOCKER-USER")[0]
    assert rules_of(after, "filter", "DOCKER-USER")[1:] == rules_of(before, "filter", "DOCKER-USER")
    assert any("203.0.113.8/32" in rule for rule in rules_of(before, "filter", "FORWARD"))
    assert rules_of(after, "filter", "FORWARD") == rules_of(before, "filter", "FORWARD")
    own = host_view.stable_view(after)["nftables"].partition("table ip dockmesh ")[0]
    assert own == host_view.stable_view(before)["nftables"] != ""


@pytest.mark.parametrize("host", HOSTS)
def test_only_packets_of_peers_to_the_prefix_are_accepted_on_the_uplink(apply_record: ApplyRecord, host: str) -> None:
    own = f"-d {PREFIX[host]} -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
    for table, chain in (("filter", "DOCKER-USER"), ("raw", "PREROUTING")):
        rules = [rule for rule in rules_of(apply_record.after[host], table, chain) if "dockmesh" in rule]
        assert rules == [f"-A {chain} {own}"]
    listed = apply_record.after[host]["nftables"].partition("table ip dockmesh ")[2]
    elements = re.findall(r"elements = \{([^}]*)\}", listed)[0]
    sources = {source for peer in HOSTS if peer != host for source in (str(UNDERLAY[peer]), str(PREFIX[peer]))}
    assert {each.strip() for each in elements.split(",")} == sources
    marking = [line for line in listed.splitlines() if "meta mark |" in line]
    assert [line.split("meta mark set")[0].strip() for line in marking] == [
        f'ip daddr {PREFIX[host]} iifname "eth0" ip saddr @peers',
        'iifname "eth0" ip saddr @peers',
    ]


def test_a_second_apply_has_nothing_to_do_and_changes_nothing(joined: Mesh, lab: Lab) -> None:
    before = host_view.read_hosts(lab, HOSTS)
    done = joined.dockmesh("apply", "--yes")
    assert done.status == 0
    assert figures(done.stdout.splitlines()[0]) == ["3"]
    assert not [each for each in done.stdout.splitlines() if mark(each) in CHANGED]
    assert summary_of(done.stdout) == tuple((host, "unchanged") for host in HOSTS)
    assert difference(before, host_view.read_hosts(lab, HOSTS)) == ""


def test_plan_of_a_complete_mesh_exits_0_and_changes_nothing(joined: Mesh, lab: Lab) -> None:
    before = host_view.read_hosts(lab, HOSTS)
    done = joined.dockmesh("plan")
    assert done.status == 0
    assert [figures(each) for each in done.stdout.splitlines()] == [["3"], ["21", "21", "0", "0"]]
    assert not [each for each in done.stdout.splitlines() if mark(each) in CHANGED]
    document = joined.dockmesh("plan", "--json").document
    assert [host["changes"] for host in document["hosts"]] == [[], [], []]
    assert difference(before, host_view.read_hosts(lab, HOSTS)) == ""


def test_peers_drop_the_route_of_a_removed_host_and_add_it_again(joined: Mesh, without_host3: Mesh, lab: Lab) -> None:
    started, host3 = docker_starts(lab), host_view.read_host(lab, "host3")
    remote = container_address(lab, "host3")

    assert without_host3.dockmesh("plan").status == 2
    left = without_host3.dockmesh("apply", "--yes", "--json")
    assert left.status == 0
    assert {change["action"] for host in left.document["plan"]["hosts"] for change in host["changes"]} <= {
        "remove",
        "change",
    }
    assert mesh_routes(lab, "host1") == {route_to("host2")}
    assert mesh_routes(lab, "host2") == {route_to("host1")}
    for host in ("host1", "host2"):
        assert PREFIX["host3"] not in host_view.read_host(lab, host)["iptables"]
        assert UNDERLAY["host3"] not in host_view.read_host(lab, host)["iptables"]
    assert ttl(lab, "host1", remote) is None
    assert difference({"host3": host3}, {"host3": host_view.read_host(lab, "host3")}) == ""

    back = joined.dockmesh("apply", "--yes", "--json")
    assert back.status == 0
    assert [outcome["status"] for outcome in back.document["outcomes"]] == ["confirmed", "confirmed", "unchanged"]
    assert mesh_routes(lab, "host1") == {route_to("host2"), route_to("host3")}
    assert ttl(lab, "host1", remote, container="web") == 62
    assert docker_starts(lab) == started


def test_sudo_makes_the_same_changes_as_root(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    sudo = mesh.write_inventory(
        lab, tmp_path, {host: {} for host in joined.hosts}, connection={"user": "admin", "become": "sudo"}
    )
    # Otherwise the host may restore the route by itself.
    with temporarily(lab, "host1", do=["systemctl stop dockmesh.timer"], undo=["systemctl start dockmesh.timer"]):
        output_of(lab, "host1", "ip", "route", "del", *route_to("host3").split())
        applied = sudo.dockmesh("apply", "--yes", "--json")
        assert applied.status == 0
        statuses = [outcome["status"] for outcome in applied.document["outcomes"]]
        assert statuses == ["confirmed", "unchanged", "unchanged"]
        assert mesh_routes(lab, "host1") == {route_to("host2"), route_to("host3")}
