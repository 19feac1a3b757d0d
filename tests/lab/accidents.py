"""Changes of administrators and faults on hosts, each undone at the end of its block."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import docker_api

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

DROP_IN = "/etc/systemd/system/docker.service.d/by-hand.conf"
DAEMON_JSON = "/etc/docker/daemon.json"
_WITHIN_S = 20.0


def output_of(lab: Lab, host: str, *argv: str) -> str:
    """The output of a command on the host. The command must succeed."""
    return lab.run(host, argv, check=True).stdout.strip()


@contextmanager
def temporarily(lab: Lab, host: str, *, do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    """Run shell commands, and undo them at the end, even after a failure."""
    try:
        for command in do:
            output_of(lab, host, "sh", "-c", command)
        yield
    finally:
        for command in undo:
            lab.run(host, ("sh", "-c", command))


@contextmanager
def temporary_file(lab: Lab, host: str, path: str, text: str) -> Iterator[None]:
    """Write a file, and restore it at the end with its mode and owner."""
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
    """Stop Docker and its socket, and start them with the container at the end."""
    lab.inject("docker-stop", host)
    try:
        assert is_idle(lab, host)
        yield
    finally:
        lab.heal(host)
        output_of(lab, host, "docker", "start", "web")


@contextmanager
def container_stopped(lab: Lab, host: str) -> Iterator[None]:
    """Stop the container of the host, and start it at the end."""
    output_of(lab, host, "docker", "stop", "web")
    try:
        assert is_idle(lab, host)
        yield
    finally:
        output_of(lab, host, "docker", "start", "web")


@contextmanager
def docker_drop_in(lab: Lab, host: str, text: str, *, restart: bool) -> Iterator[None]:
    """Add a drop-in for docker.service, with or without a restart of Docker before and after."""
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
    """Cut the host off at the switch."""
    lab.partition(host)
    try:
        yield
    finally:
        lab.heal(host)


@contextmanager
def silent(lab: Lab, host: str, *, seen_by: str | None = None) -> Iterator[None]:
    """Cut the host off without an error at another host or at the controller, like one that is down behind a router."""
    address = lab.topology.host(host).underlay.ip
    neighbour = f"{address} dev $(ip -o route get {address} | sed 's/.* dev \\([^ ]*\\).*/\\1/')"
    run = partial(lab.run, seen_by) if seen_by else lab.run_controller
    with partitioned(lab, host):
        run(("sh", "-c", f"ip neigh replace {neighbour} lladdr 02:00:00:00:00:01 nud permanent"), check=True)
        try:
            yield
        finally:
            run(("sh", "-c", f"ip neigh del {neighbour}"), check=True)


@contextmanager
def paused(lab: Lab, host: str) -> Iterator[None]:
    """Freeze the host, which then accepts connections but does not reply."""
    lab.pause(host)
    try:
        yield
    finally:
        lab.heal(host)


def ttl(lab: Lab, host: str, address: str, *, container: str | None = None) -> int | None:
    """The TTL of the reply to one ping from the host or from a container on it. None without a reply."""
    inside = docker_api.enter_network(lab, host, container) if container else ()
    answer = lab.run(host, (*inside, "ping", "-c", "1", "-W", "1", address)).stdout
    return int(answer.partition("ttl=")[2].split()[0]) if "ttl=" in answer else None


def container_address(lab: Lab, host: str) -> str:
    """The address of the host's container on docker0."""
    return str(docker_api.inspect(lab, host, "web")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def eventually(lab: Lab, host: str, command: str, expected: str) -> bool:
    """Wait until a shell command on the host prints the expected text. False after the timeout."""
    return poll(lambda: lab.run(host, ("sh", "-c", command)).stdout.strip() == expected, _WITHIN_S)


def is_idle(lab: Lab, host: str) -> bool:
    """Wait until the kernel takes the empty docker0 down."""
    return eventually(lab, host, "ip link show dev docker0 | grep -c NO-CARRIER", "1")
