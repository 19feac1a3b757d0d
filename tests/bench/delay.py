"""Relay with a delay, in userspace, for kernels without netem: two TAP devices with delayed frames between them.

`python -m tests.bench.delay NAMESPACE TAP NAMESPACE TAP MS` prints `ready` and forwards each frame MS milliseconds
late, until its stdin ends. It therefore ends with the process that started it.
"""

import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_FRAME = 65536


@dataclass(slots=True)
class Direction:
    """Frames in transit from one device to the other, each after the time at which it is due."""

    source: int
    target: int
    late_s: float
    underway: deque[tuple[float, bytes]] = field(default_factory=deque)

    def read_waiting(self, now: float) -> None:
        """Read all waiting frames from the source."""
        while True:
            try:
                self.underway.append((now + self.late_s, os.read(self.source, _FRAME)))
            except BlockingIOError:
                return

    def write_due(self, now: float) -> float | None:
        """Write the frames that are due; returns the seconds until the next one."""
        while self.underway and self.underway[0][0] <= now:
            frame = self.underway.popleft()[1]
            try:
                os.write(self.target, frame)
            except BlockingIOError:
                continue  # a full device drops frames, as a full queue does
        return self.underway[0][0] - now if self.underway else None


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


def forward(near: int, far: int, late_s: float) -> None:
    """Forward in both directions until stdin ends."""
    directions = (Direction(near, far, late_s), Direction(far, near, late_s))
    while True:
        now = time.monotonic()
        waits = [wait for direction in directions if (wait := direction.write_due(now)) is not None]
        ready, _, _ = select.select((near, far, 0), (), (), min(waits, default=None))
        if 0 in ready:
            return
        now = time.monotonic()
        for direction in directions:
            if direction.source in ready:
                direction.read_waiting(now)


def main(near: tuple[str, str], far: tuple[str, str], late_s: float) -> None:
    """Create both devices, print `ready`, and forward."""
    devices = tap(*near), tap(*far)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    forward(*devices, late_s)


if __name__ == "__main__":
    main((sys.argv[1], sys.argv[2]), (sys.argv[3], sys.argv[4]), float(sys.argv[5]) / 1000)
