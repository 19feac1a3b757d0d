"""Two joined hosts of one Docker generation, with a container on each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dockmesh.core.names import COMMENT
from dockmesh.lab import cgroup, lifecycle, network
from dockmesh.lab.running import Lab
from dockmesh.lab.startup import CONTAINER
from dockmesh.lab.topology import LabHost

# The tables with rules of Docker that packets between containers meet.
TABLES = ("raw", "filter", "nat")
_UNITS = ("dockmesh.timer", "dockmesh.service")


@dataclass(frozen=True, slots=True)
class End:
    """A host and its container: the container's address, the file of its network namespace, and its raw drop.

    `tables` are the iptables rules of the host without those of dockmesh, as iptables-restore reads them. `raw_drop` is
    Docker's rule that drops packets to the container; Docker writes one per container since 28, and none before.
    """

    host: LabHost
    address: str
    namespace: Path
    tables: tuple[str, ...]
    raw_drop: str | None

    def raw_drops(self, containers: int) -> tuple[str, ...]:
        """The rules that Docker would write for further containers on docker0, up to that number of containers."""
        if self.raw_drop is None:
            return ()
        others = (str(each) for each in self.host.bridge.network.hosts() if each != self.host.bridge.ip)
        addresses = islice((each for each in others if each != self.address), containers - 1)
        return tuple(self.raw_drop.replace(f"{self.address}/32", f"{each}/32") for each in addresses)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two joined hosts: the client's and the server's."""

    lab: Lab
    docker: str
    client: End
    server: End

    @property
    def ends(self) -> tuple[tuple[End, End], ...]:
        """Each end with its peer."""
        return (self.client, self.server), (self.server, self.client)


@contextmanager
def joined(name: str, release: str) -> Iterator[Pair]:
    """Two hosts of a new lab that dockmesh has joined. The lab is removed at the end of the block."""
    lifecycle.down(name)
    try:
        lab = lifecycle.up(name, 2, (release,))
        _join(lab)
        client, server = (_end(lab, each) for each in lab.topology.hosts)
        version = lab.run(client.host.name, ("docker", "version", "--format", "{{.Server.Version}}"), check=True)
        yield Pair(lab, version.stdout.strip(), client, server)
    finally:
        lifecycle.down(name)


def _join(lab: Lab) -> None:
    """Join the hosts, and stop what restores their rules, because the benchmark replaces these."""
    argv = (sys.executable, "-m", "dockmesh", "apply", "-i", str(lab.inventory), "--serial", "100%", "--yes")
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HOME": str(lab.inventory.parent), "SSH_AUTH_SOCK": ""},
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    for each in lab.topology.hosts:
        lab.run(each.name, ("systemctl", "stop", *_UNITS), check=True)


def _end(lab: Lab, host: LabHost) -> End:
    shown = json.loads(lab.run(host.name, ("docker", "inspect", CONTAINER), check=True).stdout)[0]
    address = shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    # The pid is that of the host's own pid namespace, whose /proc only the host has mounted.
    namespace = Path(f"/proc/{cgroup.leader(host.handle)}/root/proc/{shown['State']['Pid']}/ns/net")
    saved = (lab.run(host.name, ("iptables-save", "-t", each), check=True).stdout for each in TABLES)
    tables = tuple("\n".join(_foreign(text.splitlines())) for text in saved)
    drops = (line for line in tables[0].splitlines() if f" -d {address}/32 " in line and line.endswith("-j DROP"))
    return End(host, address, namespace, tables, next(drops, None))


def _foreign(lines: Sequence[str]) -> Iterator[str]:
    return (line for line in lines if not line.startswith("#") and f" --comment {COMMENT} " not in line)


def host_namespace(end: End) -> Path:
    """The file of the network namespace of the host itself."""
    return network.NAMESPACES / end.host.handle
