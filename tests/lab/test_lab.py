"""The lab: fresh Docker hosts of three generations, faults, reboots and a clean end."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import labs
import pytest
from mesh import Mesh
from refusals import missing_facts

from dockmesh.errors import LabError
from dockmesh.lab import cgroup, lifecycle, network
from dockmesh.lab.process import poll, run
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import topology

OWN, KILLED = labs.lab_name("own"), labs.lab_name("killed")
HOSTS = ("host1", "host2", "host3")
KEYSCAN = ("ssh-keyscan", "-T", "1", "-t", "ed25519")


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Lab]:
    """A lab of this module alone, beside the lab of the session."""
    with labs.running_lab("own", 3) as standing:
        yield standing


def output_of(lab: Lab, host: str, *argv: str) -> str:
    return lab.run(host, argv, check=True).stdout.strip()


def ssh(lab: Lab, user: str, host: str, command: str) -> subprocess.CompletedProcess[str]:
    folder, address = lab.inventory.parent, str(lab.topology.host(host).underlay.ip)
    options = ("BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={folder / 'known_hosts'}")
    flags = [part for option in options for part in ("-o", option)]
    key = str(folder / "id_ed25519")
    return lab.run_controller(("ssh", "-F", "none", "-i", key, *flags, f"{user}@{address}", command))


def can_ping(lab: Lab, source: str, target: str) -> bool:
    address = str(lab.topology.host(target).underlay.ip)
    return lab.run(source, ("ping", "-c", "1", "-W", "1", address)).returncode == 0


def leftovers(name: str) -> list[str]:
    """Everything of the lab that is left on this machine."""
    folder = f"/dockmesh/lab/{name}/"
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line]
    found = [group for group in (*cgroup.names(), *network.names()) if group.startswith(f"dockmesh-{name}")]
    files = [str(path) for path in Path("/var/lib/dockmesh/lab").glob(f"{name}*")]
    return [*mounts, *found, *files, *commands(folder)]


def commands(text: str) -> list[str]:
    """The command lines of this machine that contain the text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [line] if text in line else []
    return found


def start_and_kill(name: str, at: str) -> None:
    """Start a lab in another process, and kill the process as soon as it prints `at`."""
    # One write per line, because the hosts start in threads.
    on_progress = "lambda subject, text: os.write(1, f'{subject} {text}\\n'.encode())"
    script = f"import os; from dockmesh.lab.lifecycle import up; up({name!r}, 2, on_progress={on_progress})"
    call = (sys.executable, "-c", script)
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as starting:
        assert starting.stdout
        printed: list[str] = []
        while not (printed and at in printed[-1]):
            line = starting.stdout.readline()
            assert line, f"ended with status {starting.wait()}: {''.join(printed)}"
            printed.append(line)
        starting.kill()


@pytest.mark.parametrize("host", HOSTS)
def test_a_fresh_host_has_the_default_bridge_and_no_configuration(own_lab: Lab, host: str) -> None:
    assert "172.17.0.1/16" in output_of(own_lab, host, "ip", "-brief", "-4", "address", "show", "docker0")
    assert own_lab.run(host, ("test", "-e", "/etc/docker/daemon.json")).returncode == 1
    assert output_of(own_lab, host, "ip", "-4", "route", "show", "proto", "static") == ""
    assert output_of(own_lab, host, "hostname") == host


@pytest.mark.parametrize("host", HOSTS)
def test_a_fresh_host_runs_one_container_that_docker_will_not_restart(own_lab: Lab, host: str) -> None:
    assert output_of(own_lab, host, "docker", "ps", "--all", "--format", "{{.Names}} {{.State}}") == "web running"
    settings = json.loads(output_of(own_lab, host, "docker", "inspect", "--format", "{{json .HostConfig}}", "web"))
    assert settings["RestartPolicy"]["Name"] in {"no", ""}
    assert settings["Init"] is True
    assert output_of(own_lab, host, "docker", "exec", "web", "ip", "-4", "route", "show", "default")


@pytest.mark.parametrize("host", HOSTS)
def test_every_unit_of_a_fresh_host_has_started(own_lab: Lab, host: str) -> None:
    assert output_of(own_lab, host, "systemctl", "--failed", "--no-legend", "--plain") == ""


def test_the_hosts_have_three_generations_of_docker(own_lab: Lab) -> None:
    version = ("docker", "version", "--format", "{{.Server.Version}}")
    majors = [int(output_of(own_lab, host, *version).split(".")[0]) for host in HOSTS]
    assert majors[:2] == [20, 26]
    assert majors[2] >= 28


@pytest.mark.parametrize("host", HOSTS)
def test_root_and_admin_log_in_with_the_key_and_admin_has_sudo(own_lab: Lab, host: str) -> None:
    assert ssh(own_lab, "root", host, "id -un; hostname").stdout.split() == ["root", host]
    assert ssh(own_lab, "admin", host, "id -un; sudo -n id -un").stdout.split() == ["admin", "root"]


def test_each_host_has_a_unique_key_and_machine_id(own_lab: Lab) -> None:
    assert len({output_of(own_lab, host, "cat", "/etc/ssh/ssh_host_ed25519_key.pub") for host in HOSTS}) == 3
    assert len({output_of(own_lab, host, "cat", "/etc/machine-id") for host in HOSTS}) == 3


def test_a_host_cannot_change_the_machine(own_lab: Lab) -> None:
    before = Path("/proc/sys/kernel/pid_max").read_text()
    assert own_lab.run("host1", ("sysctl", "-w", "kernel.pid_max=4000000")).returncode != 0
    assert own_lab.run("host1", ("sysctl", "-w", "net.ipv4.ip_forward=1")).returncode == 0
    assert Path("/proc/sys/kernel/pid_max").read_text() == before


def test_a_command_receives_its_input_and_returns_its_status(own_lab: Lab) -> None:
    done = own_lab.run("host2", ("sh", "-c", "cat; exit 7"), text="through")
    assert (done.stdout, done.returncode) == ("through", 7)
    with pytest.raises(LabError) as caught:
        own_lab.run("host2", ("false",), check=True)
    assert caught.value.code == "command-failed"
    assert missing_facts(str(caught.value), f"{OWN}-host2 false 1") == []


def test_the_command_line_passes_input_output_and_status_through(own_lab: Lab) -> None:
    script = "from dockmesh.cli.lab import lab; lab()"
    call = ("exec", "--name", own_lab.topology.name, "host2", "--", "sh", "-c", "cat; echo no >&2; exit 7")
    done = subprocess.run(
        (sys.executable, "-c", script, *call), input="yes", capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("yes", "no\n", 7)


def test_up_does_not_change_a_running_lab(own_lab: Lab) -> None:
    told: list[str] = []
    before = [cgroup.leader(host.handle) for host in own_lab.topology.hosts]
    again = lifecycle.up(OWN, 3, on_progress=lambda *words: told.append(" ".join(words)))
    assert again == own_lab
    assert [words.split()[0] for words in told] == [OWN]
    assert [cgroup.leader(host.handle) for host in own_lab.topology.hosts] == before


def test_up_refuses_to_reshape_a_running_lab(own_lab: Lab) -> None:
    with pytest.raises(LabError) as caught:
        lifecycle.up(own_lab.topology.name, 2)
    assert caught.value.code == "already-up"
    assert missing_facts(str(caught.value), f"{OWN} 3") == []


def test_a_reboot_clears_routes_and_rules_and_keeps_files_and_mac(own_lab: Lab) -> None:
    output_of(own_lab, "host1", "ip", "route", "add", "10.200.0.0/16", "via", "192.168.18.129")
    output_of(own_lab, "host1", "nft", "add", "table", "ip", "passing")
    output_of(own_lab, "host1", "sh", "-c", "echo kept >/root/file; sync")
    nic = ("ip", "-brief", "link", "show", "eth0")
    mac = output_of(own_lab, "host1", *nic).split()[2]
    lifecycle.reboot(OWN, "host1")
    assert "10.200" not in output_of(own_lab, "host1", "ip", "route")
    assert "passing" not in output_of(own_lab, "host1", "nft", "list", "tables")
    assert output_of(own_lab, "host1", "cat", "/root/file") == "kept"
    assert output_of(own_lab, "host1", *nic).split()[2] == mac
    assert output_of(own_lab, "host1", "docker", "ps", "--all", "--format", "{{.Names}} {{.State}}") == "web exited"
    assert can_ping(own_lab, "host2", "host1")


def test_a_power_cut_loses_what_is_not_synced() -> None:
    with labs.running_lab("power", 1, disk=True) as lab:
        output_of(lab, "host1", "sh", "-c", "echo kept >/etc/one; sync /etc/one /etc; echo lost >/etc/two")
        lab.cut_power("host1")
        assert not lab.is_running("host1")
        lifecycle.up(lab.topology.name, 1, disk=True)
        assert output_of(lab, "host1", "sh", "-c", "cat /etc/one; ls /etc/two 2>&1 || true").startswith("kept\nls: ")
        disk = str(lab.machine(lab.topology.host("host1")).image)
    # Nothing of the lab remains, although no command detached the disk.
    assert poll(lambda: disk not in run(("losetup", "--list")).stdout, 10)


def test_a_link_flap_removes_its_routes(own_lab: Lab) -> None:
    output_of(own_lab, "host2", "ip", "route", "add", "10.201.0.0/16", "via", "192.168.18.128")
    own_lab.inject("link-flap", "host2")
    assert "10.201" not in output_of(own_lab, "host2", "ip", "route")


def test_a_partitioned_host_is_cut_off_until_healed(own_lab: Lab) -> None:
    own_lab.partition("host2")
    assert own_lab.faults("host2") == ("partition",)
    assert not can_ping(own_lab, "host1", "host2")
    assert can_ping(own_lab, "host1", "host3")
    own_lab.heal("host2")
    assert own_lab.faults("host2") == ()
    assert can_ping(own_lab, "host1", "host2")


def test_a_paused_host_accepts_connections_silently_until_healed(own_lab: Lab) -> None:
    address = str(own_lab.topology.host("host3").underlay.ip)
    own_lab.pause("host3")
    assert own_lab.faults("host3") == ("pause",)
    assert own_lab.run("host1", ("bash", "-c", f"exec 3<>/dev/tcp/{address}/22")).returncode == 0
    assert own_lab.run_controller((*KEYSCAN, address)).stdout == ""
    own_lab.heal("host3")
    assert "ssh-ed25519" in own_lab.run_controller((*KEYSCAN, address)).stdout


def test_a_stopped_docker_stays_stopped_until_healed(own_lab: Lab) -> None:
    ran = output_of(own_lab, "host3", "docker", "ps", "-q")
    assert ran
    own_lab.inject("docker-stop", "host3")
    assert own_lab.faults("host3") == ("docker-stop",)
    assert own_lab.run("host3", ("docker", "ps")).returncode != 0
    own_lab.heal("host3")
    assert own_lab.faults("host3") == ()
    assert output_of(own_lab, "host3", "docker", "ps", "-q") == ran, "and its containers"


def test_up_boots_a_host_that_died_and_keeps_its_files(own_lab: Lab) -> None:
    output_of(own_lab, "host2", "sh", "-c", "echo kept >/root/file")
    cgroup.remove(own_lab.topology.host("host2").handle)
    with pytest.raises(LabError) as caught:
        own_lab.partition("host2")
    assert caught.value.code == "not-running"
    assert missing_facts(str(caught.value), "host2") == []
    lifecycle.up(OWN, 3)
    assert output_of(own_lab, "host2", "cat", "/root/file") == "kept"
    assert output_of(own_lab, "host2", "docker", "ps", "--format", "{{.Names}}") == "web"


def test_two_labs_with_the_same_addresses_run_at_the_same_time(lab: Lab, own_lab: Lab) -> None:
    assert lab.topology.host("host1").underlay == own_lab.topology.host("host1").underlay
    output_of(own_lab, "host1", "touch", "/root/only-here")
    assert lab.run("host1", ("test", "-e", "/root/only-here")).returncode == 1
    own_lab.partition("host2")
    assert can_ping(lab, "host1", "host2")
    own_lab.heal("host2")


@pytest.mark.parametrize("at", ["host1 waiting for systemd", "host2 waiting for docker"])
def test_down_after_a_kill_of_up_leaves_nothing(at: str) -> None:
    start_and_kill(KILLED, at)
    assert leftovers(KILLED)
    assert lifecycle.down(KILLED)
    assert leftovers(KILLED) == []
    assert not lifecycle.down(KILLED)


def test_up_after_a_kill_of_up_starts_again() -> None:
    start_and_kill(KILLED, "host1 waiting for sshd")
    try:
        built = lifecycle.up(KILLED, 1)
        assert output_of(built, "host1", "docker", "ps", "--format", "{{.Names}}") == "web"
    finally:
        lifecycle.down(KILLED)
    assert leftovers(KILLED) == []


def test_commands_name_the_remedy_if_the_lab_is_not_up() -> None:
    with pytest.raises(LabError) as caught:
        lifecycle.find("nowhere")
    assert caught.value.code == "not-up"
    assert "dockmesh lab up --name nowhere" in str(caught.value)


def test_a_large_lab_fits_the_pool() -> None:
    assert str(topology("large", 256).hosts[-1].prefix) == "10.143.240.0/20"


def test_light_hosts_form_a_fleet_without_docker(tmp_path: Path) -> None:
    lifecycle.down(KILLED)
    try:
        lab = lifecycle.up(KILLED, 3, light=True)
        assert lab.run("host1", ("systemctl", "is-active", "docker")).stdout.strip() == "inactive"
        with pytest.raises(LabError) as caught:
            lifecycle.up(KILLED, 3)
        assert (caught.value.code, missing_facts(str(caught.value), f"{KILLED} 3 light")) == ("already-up", [])
        mesh = Mesh(lab, tmp_path / "mesh.yml")
        mesh.file.write_text(lab.inventory.read_text())
        assert mesh.dockmesh("apply", "--yes", "--serial", "100%").status == 0
        status = mesh.dockmesh("status", "--json")
        assert status.document["summary"] == {"probes": 6, "reached": 6, "failed": 0}
    finally:
        lifecycle.down(KILLED)
    assert leftovers(KILLED) == []
