"""Docker's API on lab hosts. A start of the docker command takes more CPU time than most of its answers."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from socket import AF_UNIX, socket
from typing import Any

from dockmesh.lab import cgroup
from dockmesh.lab.running import Lab

_WITHIN_S = 60.0


class DockerConnection(HTTPConnection):
    """A connection to the API of a host's Docker. Like the command, it starts a Docker whose socket is active."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def read(self, path: str) -> Any:
        """The JSON of a resource."""
        self.request("GET", path)
        with self.getresponse() as response:
            return json.load(response)


@contextmanager
def connection(lab: Lab, host: str) -> Iterator[DockerConnection]:
    """A connection, closed at the end of the block."""
    init = cgroup.leader(lab.topology.host(host).handle)
    with closing(DockerConnection(f"/proc/{init}/root/run/docker.sock")) as docker:
        yield docker


def inspect(lab: Lab, host: str, container: str) -> Any:
    """The container as `docker inspect` prints it. Raises AssertionError without such a container."""
    with connection(lab, host) as docker:
        found = docker.read(f"/containers/{container}/json")
    assert "Id" in found, found
    return found


def enter_network(lab: Lab, host: str, container: str) -> tuple[str, ...]:
    """The start of a command on the host that runs the rest in the network of a container."""
    pid = inspect(lab, host, container)["State"]["Pid"]
    assert pid, f"{container} does not run"
    return "nsenter", "--net", "--target", str(pid)
