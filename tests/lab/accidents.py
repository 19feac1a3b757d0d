"""What admins and accidents do to hosts, each undone at the end of its block."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

DROP_IN = "/etc/systemd/system/docker.service.d/by-hand.conf"
DAEMON_JSON = "/etc/docker/daemon.json"
_WITHIN_S = 20.0


def output_of(lab: Lab, host: str, *argv: str) -> str:
    """What a command that must succeed prints on the host."""
    return lab.run(host, argv, check=True).stdout.strip()


@contextmanager
def temporarily(lab: Lab, host: str, *, do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    """Shell commands, and those that take them back, also where one of the first failed."""
    try:
        for command in do:
            output_of(lab, host, "sh", "-c", command)
        yield
    finally:
        for command in undo:
            lab.run(host, ("sh", "-c", command))


@contextmanager
def temporary_file(lab: Lab, host: str, path: str, text: str) -> Iterator[None]:
    """A file with that text, then as it was, mode and owner included."""
    here, aside = shlex.quote(path), shlex.quote(f"/root/{path.replace('/', '_')}")
    with temporarily(
        lab,
        host,
        do=[
            f"rm -f {aside}; [ ! -e {here} ] || cp -p {here} {aside}",
            f"mkdir -p $(dirname {here}) && printf %s {shlex.quote(text)} >{here}",
        ],
        undo=[f"if [ -e {aside} ]; then mv {aside} {here}; else rm -f {here}; fi"],
    ):
        yield


@contextmanager
def docker_stopped(lab: Lab, host: str) -> Iterator[None]:
    """Docker and its socket stopped; then up again, with its container."""
    lab.inject("docker-stop", host)
    try:
        assert is_idle(lab, host)
        yield
    finally:
        lab.heal(host)
        output_of(lab, host, "docker", "start", "web")


@contextmanager
def container_stopped(lab: Lab, host: str) -> Iterator[None]:
    """No container runs on the host; then the one it has does again."""
    output_of(lab, host, "docker", "stop", "web")
    try:
        assert is_idle(lab, host)
        yield
    finally:
        output_of(lab, host, "docker", "start", "web")


@contextmanager
def docker_drop_in(lab: Lab, host: str, text: str, *, restart: bool) -> Iterator[None]:
    """A drop-in for docker.service, by itself or with a restart of Docker before and after."""
    renew = ["systemctl daemon-reload"]
    if restart:
        renew += ["systemctl reset-failed docker.service; systemctl restart docker.service", "docker start web"]
    folder = DROP_IN.rpartition("/")[0]
    with temporarily(
        lab,
        host,
        do=[f"mkdir {folder} && printf %s {shlex.quote(text)} >{DROP_IN}", *renew],
        undo=[f"rm -f {DROP_IN}; rmdir {folder}", *renew],
    ):
        yield


@contextmanager
def partitioned(lab: Lab, host: str) -> Iterator[None]:
    """The host cut off at the switch."""
    lab.partition(host)
    try:
        yield
    finally:
        lab.heal(host)


@contextmanager
def paused(lab: Lab, host: str) -> Iterator[None]:
    """The host frozen: it takes connections and says nothing."""
    lab.pause(host)
    try:
        yield
    finally:
        lab.heal(host)


def ttl(lab: Lab, host: str, address: str, *, container: str | None = None) -> int | None:
    """The TTL of the reply to one ping, from the host or from a container on it; None where no reply comes."""
    inside = ("docker", "exec", container) if container else ()
    answer = lab.run(host, (*inside, "ping", "-c", "1", "-W", "1", address)).stdout
    return int(answer.partition("ttl=")[2].split()[0]) if "ttl=" in answer else None


def container_address(lab: Lab, host: str) -> str:
    """The address of the host's container on docker0."""
    return output_of(
        lab, host, "docker", "inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web"
    )


def eventually(lab: Lab, host: str, command: str, expected: str) -> bool:
    """Wait for a shell command on the host to print what is expected; whether it did in time."""
    return poll(lambda: lab.run(host, ("sh", "-c", command)).stdout.strip() == expected, _WITHIN_S)


def is_idle(lab: Lab, host: str) -> bool:
    """Wait for docker0 to notice that nothing is in it any more, which takes the kernel a moment."""
    return eventually(lab, host, "ip link show dev docker0 | grep -c NO-CARRIER", "1")
