"""A host with Docker 29 and its nftables backend among hosts of other generations.

No Debian release has Docker 29. The stand-in `docker29/` writes the rules that Docker 29 writes, and the packets of
these tests meet them in a real kernel.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker29_host
import host_view
import labs
import mesh
import pytest
from accidents import DAEMON_JSON, container_address, docker_drop_in, output_of, temporarily, temporary_file, ttl
from builders import section_text
from lab_state import difference
from mesh import Mesh

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

HOST = "host3"
STRANGER = "192.168.18.250"
UNDERLAY = "192.168.18.130"
PREFIX = "10.128.32.0/20"
HOSTS = ("host1", "host2", HOST)
MENDED_WITHIN_S = 30.0
TAKEN_BACK_WITHIN_S = 120.0
APPLY = ("apply", "--yes", "--serial", "100%")
DESTROY = ("destroy", "--yes", "--serial", "100%")
SERVER = "httpd -p 80 -h /www; httpd -p 81 -h /www; exec httpd -f -p 82 -h /www"
NO_BIP = "[Service]\nExecStartPre=/bin/sh -c 'if grep -q bip /etc/docker/daemon.json; then exit 3; fi'\n"
Sights = dict[str, host_view.HostView]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Three hosts, the last with Docker 29 and nftables; in place of the session's lab."""
    with labs.running_lab("nft", len(HOSTS)) as standing:
        docker29_host.install_docker29(standing, HOST)
        yield standing


@pytest.fixture(scope="module")
def three(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    return mesh.write_inventory(lab, tmp_path_factory.mktemp("nft"), {host: {} for host in HOSTS})


@pytest.fixture(scope="module")
def pair(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """The host with a single peer. Each host whose Docker restarts takes seconds."""
    return mesh.write_inventory(lab, tmp_path_factory.mktemp("pair"), {host: {} for host in ("host1", HOST)})


@pytest.fixture(scope="module")
def before_mesh(lab: Lab) -> Sights:
    """The hosts in their original state."""
    return stable_views(lab)


@pytest.fixture
def fresh(three: Mesh, pair: Mesh, before_mesh: Sights) -> Mesh:
    """A mesh of two hosts, with all hosts as they were found."""
    docker29_host.start_container(three.lab, HOST)
    if stable_views(three.lab) != before_mesh:
        assert three.dockmesh(*DESTROY).status == 0
        wait_until_equal(three.lab, before_mesh)
    return pair


@pytest.fixture
def joined(three: Mesh, before_mesh: Sights) -> Mesh:
    """The joined mesh. After a test that failed during a change, waits until the host has reverted it."""
    assert before_mesh
    docker29_host.start_container(three.lab, HOST)
    if three.dockmesh("plan").status != 0:
        assert poll(lambda: three.dockmesh(*APPLY).status == 0, TAKEN_BACK_WITHIN_S)
    return three


def stable_views(lab: Lab) -> Sights:
    """What lasts of the hosts, nft's tables in an order that does not tell which was made anew."""
    sights = {host: host_view.stable_view(seen) for host, seen in host_view.read_hosts(lab, HOSTS).items()}
    for seen in sights.values():
        seen["nftables"] = "\n}\n".join(sorted(seen["nftables"].split("\n}\n")))
    return sights


def wait_until_equal(lab: Lab, wanted: Sights) -> None:
    """Wait until the hosts have repaired themselves."""
    if not poll(lambda: stable_views(lab) == wanted, MENDED_WITHIN_S):
        raise AssertionError(difference(wanted, stable_views(lab)))


def connects(port: int, address: str) -> tuple[str, ...]:
    """A command that succeeds if it can open a TCP connection."""
    return ("timeout", "1", "bash", "-c", f": <>/dev/tcp/{address}/{port}")


def forwards(lab: Lab) -> str:
    return output_of(lab, HOST, "cat", "/proc/sys/net/ipv4/ip_forward")


def restart_docker(lab: Lab) -> None:
    output_of(lab, HOST, "systemctl", "restart", "docker")
    docker29_host.start_container(lab, HOST)


def shape(listing: str) -> list[str]:
    """The chains and maps of an nft table, sorted, with this lab's addresses and one name for the bridge of `app`."""
    listing = re.sub(r"br-[0-9a-f]{12}", "br-app", listing)
    for recorded, here in (("10.140.64.", "10.128.32."), ("10.140.65.", "10.128.33.")):
        listing = listing.replace(recorded, here)
    body = listing.rstrip().removesuffix("}")
    return sorted(" ".join(block.split()) for block in re.split(r"\n\s*(?=chain |map )", body))


def docker_started(lab: Lab) -> str:
    return output_of(lab, HOST, "systemctl", "show", "docker.service", "-p", "ExecMainStartTimestampMonotonic")


def reload_docker(lab: Lab) -> None:
    """Make Docker read its file again, after which it reports no bases of its address pools."""
    output_of(lab, HOST, "systemctl", "reload", "docker")
    assert poll(lambda: '"Base":""' in output_of(lab, HOST, "docker", "info", "--format", "{{json .}}"), 10)


@contextmanager
def server(lab: Lab, host: str = HOST) -> Iterator[str]:
    """The address of a container that answers on three ports: one is published, one to its host alone, one not."""
    published = ("-p", "8080:80", "-p", "127.0.0.1:8081:81")
    output_of(lab, host, "docker", "run", "-d", "--init", "--name", "server", *published, "busybox", "sh", "-c", SERVER)
    try:
        address = output_of(
            lab, host, "docker", "inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "server"
        )
        docker29_host.update_ruleset(lab, host)
        assert poll(lambda: lab.run(host, connects(82, address)).returncode == 0, 10)
        yield address
    finally:
        output_of(lab, host, "docker", "rm", "--force", "server")


@contextmanager
def routed_stranger(lab: Lab) -> Iterator[None]:
    """The controller, as a machine on the LAN that is no peer but has a route to the host's prefix."""
    lab.run_controller(("ip", "route", "add", PREFIX, "via", UNDERLAY), check=True)
    try:
        yield
    finally:
        lab.run_controller(("ip", "route", "del", PREFIX), check=True)


def reachable_ports(lab: Lab, by: str | None, ports: dict[str, tuple[int, str]]) -> set[str]:
    """Which of the named ports a host reaches; None: the controller."""
    run = lab.run_controller if by is None else lambda argv: lab.run(by, argv)
    return {name for name, where in ports.items() if run(connects(*where)).returncode == 0}


def test_hosts_of_every_generation_and_its_networks_reach_each_other(joined: Mesh, lab: Lab) -> None:
    status = joined.dockmesh("status", "--json")
    assert status.document["summary"] == {"probes": 21, "reached": 21, "failed": 0}
    assert joined.dockmesh("plan").status == 0
    assert "DOCKMESH" not in output_of(lab, HOST, "iptables-save")
    with temporarily(
        lab,
        HOST,
        do=["docker network create app", "docker run -d --init --name app --network app busybox sleep infinity"],
        undo=["docker rm --force app", "docker network rm app"],
    ):
        address = output_of(lab, HOST, "docker", "inspect", "-f", "{{.NetworkSettings.Networks.app.IPAddress}}", "app")
        assert address.startswith("10.128.33.")
        docker29_host.update_ruleset(lab, HOST)
        assert ttl(lab, "host1", address, container="web") == 62
        for other in ("host1", "host2"):
            assert ttl(lab, HOST, container_address(lab, other), container="app") == 62


def stand_in_matches(lab: Lab, recording: str) -> None:
    """The rules of the stand-in are those that a real Docker 29 wrote on a host in the same state."""
    listing = output_of(lab, HOST, "nft", "-s", "list", "table", "ip", "docker-bridges")
    assert shape(listing) == shape(section_text(recording, "foreign_nft"))
    saved = output_of(lab, HOST, "sh", "-c", "iptables-save | grep -v -e '^#' -e COMMIT")
    assert re.sub(r" \[.*", "", saved) == re.sub(r" \[.*", "", section_text(recording, "iptables_rules"))


def test_the_stand_in_writes_the_rules_of_a_real_docker_29(fresh: Mesh, lab: Lab) -> None:
    stand_in_matches(lab, "docker29_nftables_fresh")
    assert fresh.dockmesh(*APPLY).status == 0
    with temporarily(
        lab,
        HOST,
        do=[
            "docker network create app",
            "docker run -d --init --name app --network app -p 8080:80 busybox sleep infinity",
        ],
        undo=["docker rm --force app", "docker network rm app"],
    ):
        docker29_host.update_ruleset(lab, HOST)
        stand_in_matches(lab, "docker29_nftables_joined")


def test_a_stranger_on_the_lan_reaches_only_published_ports(joined: Mesh, lab: Lab) -> None:
    assert joined
    with server(lab) as address, routed_stranger(lab):
        ports = {
            "published": (8080, UNDERLAY),
            "published to the host": (8081, UNDERLAY),
            **{f"port {port} of the container": (port, address) for port in (80, 81, 82)},
        }
        assert reachable_ports(lab, None, ports) == {"published"}
        with temporarily(
            lab, "host1", do=[f"ip addr add {STRANGER}/20 dev eth0"], undo=[f"ip addr del {STRANGER}/20 dev eth0"]
        ):
            assert ttl(lab, "host1", address) == 63
            assert lab.run("host1", ("ping", "-c", "1", "-W", "1", "-I", STRANGER, address)).returncode == 1
        every = {"published", *(name for name in ports if name.startswith("port "))}
        assert reachable_ports(lab, "host1", ports) == every
        # Requests of containers to other hosts are masqueraded, so replies still arrive.
        inside = ("docker", "exec", "server", "ping", "-c", "1", "-W", "1", "192.168.16.1")
        assert lab.run(HOST, inside).returncode == 0


def test_ports_that_are_not_allowed_drop_and_docker_keeps_its_own(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    narrow = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {}, HOST: {"allow": ["tcp/82"]}})
    assert narrow.dockmesh(*APPLY).status == 0
    assert narrow.dockmesh("plan").status == 0
    with server(lab) as address, routed_stranger(lab):
        ports = {"published": (8080, UNDERLAY), **{str(port): (port, address) for port in (80, 81, 82)}}
        assert reachable_ports(lab, "host1", ports) == {"published", "82"}
        assert reachable_ports(lab, None, ports) == {"published"}
        assert reachable_ports(lab, HOST, {"a peer's": (22, "192.168.18.128")}) == {"a peer's"}
    assert joined.dockmesh(*APPLY).status == 0


@pytest.mark.parametrize(
    ("key", "code"),
    [("allow-direct-routing", "direct-routing-refused"), ("bridge-accept-fwmark", "mark-not-accepted")],
)
def test_without_either_key_docker_drops_peers_until_apply(joined: Mesh, lab: Lab, key: str, code: str) -> None:
    address, text = container_address(lab, HOST), output_of(lab, HOST, "cat", DAEMON_JSON)
    keys = {name: value for name, value in json.loads(text).items() if name != key}
    lab.run(HOST, ("sh", "-c", f"cat >{DAEMON_JSON}"), text=json.dumps(keys), check=True)
    restart_docker(lab)
    assert ttl(lab, "host1", address, container="web") is None
    assert ttl(lab, HOST, address) == 64
    explained = joined.dockmesh("explain", "host1", HOST, "--json")
    assert explained.document["code"] == code
    assert explained.document["remedy"] == f"dockmesh apply --limit {HOST}"
    traced = joined.dockmesh("trace", "host1", HOST, "--json").document
    assert traced["code"] == "lost-inside"
    assert "host3" in traced["verdict"]
    plan = joined.dockmesh("plan", "--json").document["hosts"][-1]
    assert {(each["action"], each["key"]) for each in plan["changes"]} == {
        ("change", DAEMON_JSON),
        ("restart", "docker"),
    }
    assert joined.dockmesh(*APPLY).status == 0
    assert ttl(lab, "host1", address, container="web") == 62


def test_a_key_that_docker_has_not_read_needs_a_restart(joined: Mesh, lab: Lab) -> None:
    text = output_of(lab, HOST, "cat", DAEMON_JSON)
    without = re.sub(r',\s*"allow-direct-routing": true', "", text)
    assert without != text
    lab.run(HOST, ("sh", "-c", f"cat >{DAEMON_JSON}"), text=without, check=True)
    restart_docker(lab)
    lab.run(HOST, ("sh", "-c", f"cat >{DAEMON_JSON}"), text=text, check=True)
    (change,) = joined.dockmesh("plan", "--json").document["hosts"][-1]["changes"]
    assert (change["action"], change["key"]) == ("restart", "docker")
    assert "Docker" in change["reason"]
    assert "docker0" not in change["reason"], "unchanged"
    assert joined.dockmesh(*APPLY).status == 0
    assert joined.dockmesh("plan").status == 0


def test_after_a_reload_a_joined_host_has_no_changes(joined: Mesh, lab: Lab) -> None:
    reload_docker(lab)
    assert joined.dockmesh("status", "--limit", HOST).status == 0
    plan = joined.dockmesh("plan", "--json")
    assert (plan.status, plan.document["hosts"][-1]["changes"]) == (0, [])


def test_a_reloaded_docker_keeps_running_when_its_file_is_rejected(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    # Without bip, docker0 would move into the pool.
    keys = ', "bip": "172.17.0.1/16", "default-address-pools": [{"base": "10.200.0.0/16", "size": 24}]'
    try:
        docker29_host.configure(lab, HOST, docker29_host.NFTABLES.replace("}", keys + "}"))
        reload_docker(lab)
        started = docker_started(lab)
        with temporary_file(lab, HOST, DAEMON_JSON, docker29_host.NFTABLES.replace("}", keys + ', "no-such-key": 1}')):
            (outcome,) = fresh.dockmesh("apply", "--yes", "--limit", HOST, "--json").document["outcomes"]
            assert (outcome["status"], outcome["code"]) == ("reverted", "docker-failed"), outcome
            assert docker_started(lab) == started
    finally:
        docker29_host.configure(lab, HOST, docker29_host.NFTABLES)
    wait_until_equal(lab, before_mesh)


@pytest.mark.parametrize(
    "damage",
    [
        "nft delete table ip dockmesh; echo 0 >/proc/sys/net/ipv4/ip_forward",
        "nft flush chain ip dockmesh forward",
        "nft insert rule ip dockmesh forward drop",
        "nft delete table ip dockmesh; nft add table ip dockmesh; ip route del 10.128.0.0/20 proto 201 metric 4201",
    ],
)
def test_the_host_repairs_damage(joined: Mesh, lab: Lab, damage: str) -> None:
    """With the unit that its timer starts."""
    before = stable_views(lab)
    assert forwards(lab) == "1"
    output_of(lab, HOST, "sh", "-c", damage)
    assert stable_views(lab) != before
    output_of(lab, HOST, "systemctl", "start", "dockmesh.service")
    wait_until_equal(lab, before)
    assert joined.dockmesh("status", "--limit", HOST).status == 0


def test_counters_of_the_table_survive_the_timer(joined: Mesh, lab: Lab) -> None:
    def handle() -> str:
        return output_of(lab, HOST, "sh", "-c", "nft -a list table ip dockmesh | sed -n '1s/.*handle //p'")

    assert joined.dockmesh("status", "--limit", "host1").status == 0
    before = handle()
    output_of(lab, HOST, "systemctl", "start", "dockmesh.service")
    assert handle() == before, "the table was created again"


def test_restarts_of_docker_and_the_host_keep_the_mesh_complete(joined: Mesh, lab: Lab) -> None:
    before = stable_views(lab)
    restart_docker(lab)
    wait_until_equal(lab, before)
    assert joined.dockmesh("status").status == 0
    docker29_host.reboot(lab, HOST)
    wait_until_equal(lab, before)
    assert forwards(lab) == "1"
    assert joined.dockmesh("status").status == 0
    assert joined.dockmesh("plan").status == 0


def test_destroy_and_rollback_restore_the_original_state(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    assert forwards(lab) == "0"
    assert output_of(lab, HOST, "cat", DAEMON_JSON) == docker29_host.NFTABLES
    for verb in ("rollback", "destroy"):
        assert fresh.dockmesh(*APPLY).status == 0
        assert forwards(lab) == "1"
        assert fresh.dockmesh(verb, "--yes", "--serial", "100%").status == 0
        wait_until_equal(lab, before_mesh)


def test_a_change_that_docker_rejects_is_reverted_with_forwarding(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    with docker_drop_in(lab, HOST, NO_BIP, restart=False):
        applied = fresh.dockmesh("apply", "--yes", "--limit", HOST, "--json")
        (outcome,) = applied.document["outcomes"]
        assert outcome["status"] == "reverted", outcome
    wait_until_equal(lab, before_mesh)
    assert forwards(lab) == "0"


def test_a_file_that_docker_rejects_does_not_stop_the_running_one(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    refusing = docker29_host.NFTABLES.replace("}", ', "no-such-key": 1}')
    with temporary_file(lab, HOST, DAEMON_JSON, refusing):
        before = docker_started(lab)
        applied = fresh.dockmesh("apply", "--yes", "--limit", HOST, "--json")
        (outcome,) = applied.document["outcomes"]
        assert outcome["status"] == "reverted", outcome
        assert outcome["code"] == "docker-failed", outcome
        assert "no-such-key" in outcome["error"]
        assert docker_started(lab) == before
    wait_until_equal(lab, before_mesh)


def test_direct_routing_of_the_operator_stays_open(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    text = docker29_host.NFTABLES.replace("}", ', "allow-direct-routing": true}')
    try:
        docker29_host.configure(lab, HOST, text)
        assert fresh.dockmesh(*APPLY).status == 0
        with server(lab) as address, routed_stranger(lab):
            ports = {str(port): (port, address) for port in (80, 81, 82)}
            assert reachable_ports(lab, None, ports) == {"80", "81"}, "as without dockmesh"
            assert reachable_ports(lab, "host1", ports) == {"80", "81", "82"}
        assert fresh.dockmesh(*DESTROY).status == 0
        assert output_of(lab, HOST, "cat", DAEMON_JSON) == text
    finally:
        docker29_host.configure(lab, HOST, docker29_host.NFTABLES)
    wait_until_equal(lab, before_mesh)


def test_forwarding_that_was_temporary_works_after_a_reboot(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    """Docker does not start without forwarding, so an administrator enabled it by hand, until the next boot."""
    try:
        lab.run(HOST, ("sh", "-c", f"cat >{DAEMON_JSON}"), text='{"firewall-backend": "nftables"}', check=True)
        assert lab.run(HOST, ("systemctl", "restart", "docker")).returncode != 0
        output_of(lab, HOST, "sysctl", "-w", "net.ipv4.ip_forward=1")
        output_of(lab, HOST, "systemctl", "reset-failed", "docker.service", "docker.socket")
        restart_docker(lab)
        assert fresh.dockmesh(*APPLY).status == 0
        joined = stable_views(lab)
        docker29_host.reboot(lab, HOST)
        wait_until_equal(lab, joined)
        assert fresh.dockmesh("status").status == 0
        assert fresh.dockmesh(*DESTROY).status == 0
        assert forwards(lab) == "1", "the original value"
    finally:
        docker29_host.configure(lab, HOST, docker29_host.NFTABLES)
    wait_until_equal(lab, before_mesh)


def test_a_joined_host_can_change_to_nftables_and_back(fresh: Mesh, lab: Lab, before_mesh: Sights) -> None:
    try:
        docker29_host.configure(lab, HOST, "{}")
        assert fresh.dockmesh(*APPLY).status == 0
        assert output_of(lab, HOST, "iptables-save").count("--comment dockmesh ") == 2

        keys = json.loads(output_of(lab, HOST, "cat", DAEMON_JSON))
        docker29_host.configure(lab, HOST, json.dumps(keys | json.loads(docker29_host.NFTABLES)))
        assert ttl(lab, "host1", container_address(lab, HOST), container="web") is None
        assert fresh.dockmesh(*APPLY).status == 0
        assert "--comment dockmesh" not in output_of(lab, HOST, "iptables-save")
        assert fresh.dockmesh("plan").status == 0

        keys = json.loads(output_of(lab, HOST, "cat", DAEMON_JSON))
        docker29_host.configure(lab, HOST, json.dumps({key: keys[key] for key in keys if key != "firewall-backend"}))
        assert fresh.dockmesh(*APPLY).status == 0
        assert output_of(lab, HOST, "iptables-save").count("--comment dockmesh ") == 2
        assert "drop" not in output_of(lab, HOST, "nft", "list", "table", "ip", "dockmesh")
        assert "direct" not in output_of(lab, HOST, "cat", DAEMON_JSON)
        assert fresh.dockmesh("plan").status == 0
        assert fresh.dockmesh(*DESTROY).status == 0
    finally:
        docker29_host.configure(lab, HOST, docker29_host.NFTABLES)
    wait_until_equal(lab, before_mesh)
