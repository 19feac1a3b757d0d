"""Relay with a delay, in userspace, for kernels without netem: two TAP devices with delayed frames between them.

`python -m tests.relay NAMESPACE TAP NAMESPACE TAP MS` prints `ready` and forwards each frame MS milliseconds late,
until its stdin ends. It therefore ends with the process that started it. The hosts are behind the first device, the
controller is behind the second. For each line on stdin, it prints the round trips since the previous line.
"""

import ctypes
import fcntl
import json
import os
import select
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from tests.round_trips import Segment, Tally, segment

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_FRAME = 65536


@dataclass(frozen=True, slots=True)
class Transit:
    """A frame in transit, due at a time. `tally` is that of its start, so that old frames do not count in a new one."""

    due: float
    frame: bytes
    tally: Tally
    counted: tuple[Segment, int] | None


@dataclass(slots=True)
class Direction:
    """The frames in transit from one device to the other."""

    source: int
    target: int
    late_s: float
    to_hosts: bool
    underway: deque[Transit] = field(default_factory=deque)

    def read_waiting(self, now: float, tally: Tally) -> None:
        """Read all waiting frames from the source."""
        while True:
            try:
                frame = os.read(self.source, _FRAME)
            except BlockingIOError:
                return
            sent = segment(frame, to_host=self.to_hosts)
            counted = (sent, tally.depart(sent, now)) if sent else None
            self.underway.append(Transit(now + self.late_s, frame, tally, counted))

    def write_due(self, now: float) -> float | None:
        """Write the frames that are due; returns the seconds until the next one."""
        while self.underway and self.underway[0].due <= now:
            first = self.underway.popleft()
            try:
                os.write(self.target, first.frame)
            except BlockingIOError:
                continue  # a full device drops frames, as a full queue does
            if first.counted:
                first.tally.arrive(*first.counted, now)
        return self.underway[0].due - now if self.underway else None


def tap(namespace: str, name: str) -> int:
    """Create a TAP device in the namespace; the process stays there. Closing the descriptor deletes the device."""
    with Path(f"/run/netns/{namespace}").open(encoding="ascii") as there:
        # os.setns needs Python 3.12.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(there.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"namespace {namespace} cannot be entered")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return device


def forward(hosts: int, controller: int, late_s: float) -> None:
    """Forward in both directions until stdin ends."""
    directions = (
        Direction(hosts, controller, late_s, to_hosts=False),
        Direction(controller, hosts, late_s, to_hosts=True),
    )
    tally = Tally()
    while True:
        now = time.monotonic()
        waits = [wait for direction in directions if (wait := direction.write_due(now)) is not None]
        ready, _, _ = select.select((hosts, controller, 0), (), (), min(waits, default=None))
        if 0 in ready:
            if not os.read(0, _FRAME):
                return
            _print(json.dumps(tally.document()))
            tally = Tally()
        now = time.monotonic()
        for direction in directions:
            if direction.source in ready:
                direction.read_waiting(now, tally)


def main(hosts: tuple[str, str], controller: tuple[str, str], late_s: float) -> None:
    """Create both devices, print `ready`, and forward."""
    devices = tap(*hosts), tap(*controller)
    _print("ready")
    forward(*devices, late_s)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main((sys.argv[1], sys.argv[2]), (sys.argv[3], sys.argv[4]), float(sys.argv[5]) / 1000)
