"""A distant controller: a namespace behind a relay that delays frames by half a round trip in each direction."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from dockmesh.lab import network
from dockmesh.lab.process import run
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import CONTROLLER

_NEAR, _FAR = "far0", "eth0"
_ADDRESS = IPv4Interface((CONTROLLER.ip + 1, CONTROLLER.network.prefixlen))
_KNOCK = """
import socket, sys, time
for _ in range(6):
    begun = time.monotonic()
    socket.create_connection((sys.argv[1], 22)).close()
    print((time.monotonic() - begun) * 1000)
"""
_CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Trips:
    """TCP round trips between the controller and a host: see `Tally` of the relay."""

    round_trips: int
    connections: int


@dataclass(frozen=True, slots=True)
class FarController:
    """The network namespace of the controller, and the relay between it and the hosts, if there is one."""

    namespace: str
    relay: subprocess.Popen[bytes] | None = None

    def trips(self) -> dict[str, Trips]:
        """The round trips of each host address since the previous call; empty without a relay."""
        if self.relay is None:
            return {}
        assert self.relay.stdin
        assert self.relay.stdout
        self.relay.stdin.write(b"\n")
        self.relay.stdin.flush()
        return {host: Trips(**figures) for host, figures in json.loads(self.relay.stdout.readline()).items()}

    def rtt_ms(self, address: str) -> float:
        """Round-trip time to an address in ms, from TCP handshakes: the median of five, after one to resolve it."""
        output = run(network.inside(self.namespace, sys.executable, "-c", _KNOCK, address)).stdout
        return sorted(map(float, output.split()[1:]))[2]


@contextmanager
def far_controller(lab: Lab, rtt_ms: int) -> Iterator[FarController]:
    """A controller with that round-trip time to the hosts; for 0, that of the lab, without a relay."""
    fabric, own = lab.topology.fabric, f"{lab.topology.fabric}-far"
    if rtt_ms == 0:
        yield FarController(fabric)
        return
    network.delete(own)
    run(("ip", "netns", "add", own))
    cable = (sys.executable, "-m", "tests.relay", fabric, _NEAR, own, _FAR, str(rtt_ms / 2))
    try:
        with subprocess.Popen(cable, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_CHECKOUT) as relay:
            try:
                _connect(relay, fabric, own)
                yield FarController(own, relay)
            finally:
                assert relay.stdin
                relay.stdin.close()
    finally:
        network.delete(own)


def _connect(relay: subprocess.Popen[bytes], fabric: str, own: str) -> None:
    assert relay.stdout
    if relay.stdout.readline() != b"ready\n":
        raise SystemExit("the relay did not start: this machine cannot create TAP devices")
    run(("ip", "-n", fabric, "link", "set", _NEAR, "txqueuelen", "10000", "master", network.SWITCH, "up"))
    lines = ("link set lo up", f"address add {_ADDRESS} dev {_FAR}", f"link set {_FAR} txqueuelen 10000 up")
    run(("ip", "-n", own, "-batch", "-"), text="\n".join(lines) + "\n")
