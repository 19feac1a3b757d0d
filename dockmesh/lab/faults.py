"""Faults that the lab injects into hosts, and their removal."""

from dockmesh.lab import cgroup, host_exec, network
from dockmesh.lab.topology import LabHost

KINDS = ("link-flap", "partition", "heal", "docker-stop", "pause")
# Docker does not restart these containers by itself: heal starts the ones listed here. A reboot clears the list.
_STOPPED = "/run/dockmesh-lab-stopped"
_STOP = f"docker ps -q >{_STOPPED}.new && mv {_STOPPED}.new {_STOPPED}; systemctl stop docker.service docker.socket"
_START_AGAIN = f"[ ! -s {_STOPPED} ] || xargs docker start <{_STOPPED} >/dev/null; rm -f {_STOPPED}"
_IS_DOCKER_UP = ("systemctl", "is-active", "--quiet", "docker.service")


def inject(kind: str, fabric: str, target: LabHost) -> None:
    """Inject one of KINDS into the host."""
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
    """The lasting faults of a running host."""
    paused = cgroup.frozen(target.handle)
    state = {
        "pause": paused,
        "partition": not network.port_is_up(fabric, target),
        # A frozen host does not reply.
        "docker-stop": not paused and host_exec.run(target.handle, _IS_DOCKER_UP).returncode != 0,
    }
    return tuple(kind for kind, is_present in state.items() if is_present)


def _heal(fabric: str, target: LabHost) -> None:
    cgroup.freeze(target.handle, on=False)
    network.set_port(fabric, target, up=True)
    # systemd rejects the fourth start of Docker's unit within a minute.
    host_exec.run(target.handle, ("systemctl", "reset-failed", "docker.service"))
    host_exec.run(target.handle, ("systemctl", "start", "docker.service"), check=True)
    host_exec.run(target.handle, ("sh", "-c", _START_AGAIN), check=True)
