"""Start of a lab's host: its files, its boot, its container."""

import time
from collections.abc import Callable

from dockmesh.lab import host, host_exec, network, ssh_keys
from dockmesh.lab.process import run
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import LabHost

CONTAINER = "web"
Report = Callable[[str], None]


def lay_out(lab: Lab, each: LabHost, controller: str) -> str:
    """Create the host's directory; returns its public host key."""
    machine = lab.machine(each)
    host.lay_out(machine, None if each.light else lab.image(each).docker)
    upper = machine.upper
    if each.light:
        host.mask(machine, "docker.service", "docker.socket", "containerd.service")
    ssh_keys.authorize(upper, controller)
    key = ssh_keys.host_key(upper)
    host.make_folder(key.parent)
    return ssh_keys.create_key(key, each.name)


def start(lab: Lab, each: LabHost, report: Report) -> None:
    """Boot the host on its network, with one running container unless it is light."""
    started = time.monotonic()
    boot(lab, each, report)
    if not each.light:
        report(f"waiting for container {CONTAINER} …")
        _run_container(each.handle)
    report(f"up after {time.monotonic() - started:.1f} s")


def boot(lab: Lab, each: LabHost, report: Report) -> None:
    """Boot the host on its network and wait until sshd and Docker reply."""
    machine = lab.machine(each)
    report("waiting for systemd …")
    host.boot(machine)
    host.wait_booted(machine)
    report("waiting for sshd …")
    host.wait_until(lambda: _sshd_answers(lab, each), machine, "reply on port 22")
    if not each.light:
        report("waiting for docker …")
        host.wait_until(lambda: _docker_serves(each.handle), machine, "start Docker")


def _sshd_answers(lab: Lab, each: LabHost) -> bool:
    """Whether the host replies to the controller with its own key."""
    scan = ("ssh-keyscan", "-T", "2", "-t", "ed25519", str(each.underlay.ip))
    answer = run(network.inside(lab.topology.fabric, *scan), check=False).stdout
    return ssh_keys.public_key(ssh_keys.host_key(lab.machine(each).upper)) in answer


def _docker_serves(handle: str) -> bool:
    shown = host_exec.run(handle, ("ip", "-brief", "-4", "address", "show", "docker0"))
    return " 172.17.0.1/16" in shown.stdout or _docker_answers(handle)


def _docker_answers(handle: str) -> bool:
    """The slower check, for a host whose docker0 no longer has the default address."""
    return host_exec.run(handle, ("docker", "version")).returncode == 0


def _run_container(handle: str) -> None:
    """Start the container of an earlier boot, or a new one."""
    if host_exec.run(handle, ("docker", "start", CONTAINER)).returncode == 0:
        return
    policy = ("--detach", "--init", "--restart", "no", "--name", CONTAINER)
    host_exec.run(handle, ("docker", "run", *policy, "busybox", "sleep", "infinity"), check=True)
