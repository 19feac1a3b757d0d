"""How a lab's host comes to run: its files, its boot, its container."""

import time
from collections.abc import Callable

from dockmesh.lab import host, host_exec, network, ssh_keys
from dockmesh.lab.process import run
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import LabHost

CONTAINER = "web"
Say = Callable[[str], None]


def lay_out(lab: Lab, each: LabHost, controller: str) -> str:
    """Make the host's folder; its public host key."""
    machine = lab.machine(each)
    host.lay_out(machine, None if each.light else lab.image(each).docker)
    upper = machine.folder / "upper"
    if each.light:
        host.mask(machine, "docker.service", "docker.socket", "containerd.service")
    ssh_keys.admit(upper, controller)
    key = ssh_keys.host_key(upper)
    host.make_folder(key.parent)
    return ssh_keys.create_key(key, each.name)


def start(lab: Lab, each: LabHost, say: Say) -> None:
    """Boot the host on its network and return when it is a Docker host with one container running, or light."""
    begun = time.monotonic()
    boot(lab, each, say)
    if not each.light:
        say(f"waiting for container {CONTAINER} …")
        _run_container(each.handle)
    say(f"up after {time.monotonic() - begun:.1f} s")


def boot(lab: Lab, each: LabHost, say: Say) -> None:
    """Boot the host on its network and return when it can be logged in to and Docker serves."""
    machine = lab.machine(each)
    say("waiting for systemd …")
    host.boot(machine)
    host.wait_booted(machine)
    say("waiting for sshd …")
    host.wait_until(lambda: _sshd_answers(lab, each), machine, "to answer on port 22")
    if not each.light:
        say("waiting for docker …")
        host.wait_until(lambda: _docker_serves(each.handle), machine, "to serve Docker")


def _sshd_answers(lab: Lab, each: LabHost) -> bool:
    """Whether, seen from the controller, the host answers with the very key it was given."""
    scan = ("ssh-keyscan", "-T", "2", "-t", "ed25519", str(each.underlay.ip))
    answer = run(network.inside(lab.topology.fabric, *scan), check=False).stdout
    upper = lab.machine(each).folder / "upper"
    return ssh_keys.public_key(ssh_keys.host_key(upper)) in answer


def _docker_serves(handle: str) -> bool:
    shown = host_exec.run(handle, ("ip", "-brief", "-4", "address", "show", "docker0"))
    return " 172.17.0.1/16" in shown.stdout or _docker_answers(handle)


def _docker_answers(handle: str) -> bool:
    """For a host whose docker0 is no longer the default one."""
    return host_exec.run(handle, ("docker", "version")).returncode == 0


def _run_container(handle: str) -> None:
    """Start the container, made anew or left by a former boot."""
    if host_exec.run(handle, ("docker", "start", CONTAINER)).returncode == 0:
        return
    policy = ("--detach", "--init", "--restart", "no", "--name", CONTAINER)
    host_exec.run(handle, ("docker", "run", *policy, "busybox", "sleep", "infinity"), check=True)
