"""A long cable in userspace: two TAP devices, and frames that come out of one a while after they went into the other.

For kernels without netem. `python -m tests.bench.delay NAMESPACE TAP NAMESPACE TAP MS` says `ready` and forwards, each
frame MS milliseconds late, until its stdin ends: so it ends with who started it, however that went.
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
    """Frames under way from one device to the other, behind the moment they are due."""

    source: int
    target: int
    late_s: float
    underway: deque[tuple[float, bytes]] = field(default_factory=deque)

    def take(self, now: float) -> None:
        """Take in all that waits at the near end."""
        while True:
            try:
                self.underway.append((now + self.late_s, os.read(self.source, _FRAME)))
            except BlockingIOError:
                return

    def give(self, now: float) -> float | None:
        """Let out what is due; how long until the next is."""
        while self.underway and self.underway[0][0] <= now:
            frame = self.underway.popleft()[1]
            try:
                os.write(self.target, frame)
            except BlockingIOError:
                continue  # a full device drops, as a full cable does
        return self.underway[0][0] - now if self.underway else None


def tap(namespace: str, name: str) -> int:
    """A new TAP device in the namespace, gone when its descriptor is closed. Leaves the process in there."""
    with Path(f"/run/netns/{namespace}").open(encoding="ascii") as there:
        # os.setns is Python 3.12's.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(there.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"namespace {namespace} cannot be entered")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return device


def forward(near: int, far: int, late_s: float) -> None:
    """Forward both ways until stdin ends."""
    ways = (Direction(near, far, late_s), Direction(far, near, late_s))
    while True:
        now = time.monotonic()
        waits = [wait for way in ways if (wait := way.give(now)) is not None]
        ready, _, _ = select.select((near, far, 0), (), (), min(waits, default=None))
        if 0 in ready:
            return
        now = time.monotonic()
        for way in ways:
            if way.source in ready:
                way.take(now)


def main(near: tuple[str, str], far: tuple[str, str], late_s: float) -> None:
    """Make both devices, say so, forward."""
    devices = tap(*near), tap(*far)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    forward(*devices, late_s)


if __name__ == "__main__":
    main((sys.argv[1], sys.argv[2]), (sys.argv[3], sys.argv[4]), float(sys.argv[5]) / 1000)
