"""A resolver of the lab: a name server on the LAN, and calls of dockmesh that use only this server."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh import Mesh

from dockmesh.lab import network
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import CONTROLLER

# Answers for the names it is called with, NAME=ADDRESS each, and of all others says that there are none. A question is
# twelve bytes of head, the name in pieces, each behind its length, and two numbers: type 1 asks for an IPv4 address.
_SERVER = """\
import socket, sys
names = dict(each.encode().split(b"=") for each in sys.argv[2:])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    asked, client = server.recvfrom(512)
    at, pieces = 12, []
    while asked[at]:
        pieces.append(asked[at + 1 : at + 1 + asked[at]])
        at += 1 + asked[at]
    question, address = asked[12 : at + 5], names.get(b".".join(pieces).lower())
    found = address is not None and question[-4:-2] == bytes([0, 1])
    flags = bytes([0x85, 0x80 if address else 0x83])
    head = asked[:2] + flags + bytes([0, 1, 0, found, 0, 0, 0, 0])
    answer = bytes([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]) + socket.inet_aton(address.decode()) if found else b""
    server.sendto(head + question + answer, client)
"""
_ASKING = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


@dataclass(frozen=True, slots=True)
class ResolverMesh(Mesh):
    """A mesh whose calls use a separate resolv.conf, and no lines in /etc/hosts."""

    resolv_conf: Path

    def call(self, words: Sequence[str], within_s: float) -> subprocess.CompletedProcess[bytes]:
        """Call dockmesh in a mount namespace that ends with the call."""
        return subprocess.run(
            ("unshare", "--mount", "sh", "-c", _ASKING, str(self.resolv_conf), *self.argv(*words)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=within_s,
            env=self.environment(),
        )


def use_resolver(named: Mesh) -> ResolverMesh:
    """The mesh, by the lab's resolver."""
    resolv_conf = named.file.with_name("resolv.conf")
    resolv_conf.write_text(f"nameserver {CONTROLLER.ip}\noptions timeout:1 attempts:1\n")
    return ResolverMesh(named.lab, named.file, resolv_conf)


@contextmanager
def name_server(lab: Lab, names: Mapping[str, str]) -> Iterator[None]:
    """The name server, where the controller is."""
    told = (f"{name}={address}" for name, address in names.items())
    argv = network.inside(lab.topology.fabric, sys.executable, "-c", _SERVER, str(CONTROLLER.ip), *told)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            yield
        finally:
            server.kill()
