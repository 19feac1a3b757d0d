"""Faults on purpose, and their end."""

from dockmesh.lab import cgroup, host_exec, network
from dockmesh.lab.topology import LabHost

KINDS = ("link-flap", "partition", "heal", "docker-stop", "pause")
# What ran is noted where a reboot forgets it, and started again by heal: Docker itself starts none of it.
_STOPPED = "/run/dockmesh-lab-stopped"
_STOP = f"docker ps -q >{_STOPPED}.new && mv {_STOPPED}.new {_STOPPED}; systemctl stop docker.service docker.socket"
_START_AGAIN = f"[ ! -s {_STOPPED} ] || xargs docker start <{_STOPPED} >/dev/null; rm -f {_STOPPED}"
_IS_DOCKER_UP = ("systemctl", "is-active", "--quiet", "docker.service")


def inject(kind: str, fabric: str, target: LabHost) -> None:
    """Do one of KINDS to the host."""
    match kind:
        case "link-flap":
            network.flap(target)
        case "partition":
            network.set_port(fabric, target, up=False)
        case "pause":
            cgroup.freeze(target.handle, on=True)
        case "docker-stop":
            host_exec.run(target.handle, ("sh", "-c", _STOP), check=True)
        case "heal":
            _heal(fabric, target)
        case _:
            raise ValueError(kind)


def present(fabric: str, target: LabHost) -> tuple[str, ...]:
    """The faults a running host suffers that last until healed."""
    paused = cgroup.frozen(target.handle)
    found = {
        "pause": paused,
        "partition": not network.port_is_up(fabric, target),
        # A frozen host would not answer.
        "docker-stop": not paused and host_exec.run(target.handle, _IS_DOCKER_UP).returncode != 0,
    }
    return tuple(kind for kind, there in found.items() if there)


def _heal(fabric: str, target: LabHost) -> None:
    cgroup.freeze(target.handle, on=False)
    network.set_port(fabric, target, up=True)
    # Docker's unit refuses its fourth start within a minute.
    host_exec.run(target.handle, ("systemctl", "reset-failed", "docker.service"))
    host_exec.run(target.handle, ("systemctl", "start", "docker.service"), check=True)
    host_exec.run(target.handle, ("sh", "-c", _START_AGAIN), check=True)
