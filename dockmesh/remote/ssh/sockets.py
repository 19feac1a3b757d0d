"""TCP sockets for SSH: without the stalls small messages suffer from, and in the network namespace they belong to."""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


class LowLatencySocket:
    """A connected socket that never waits to send (TCP_NODELAY) nor to acknowledge (TCP_QUICKACK).

    The kernel falls back to delayed acknowledgements by itself, so that the latter is set before every read; each of
    SSH's round trips of a connection costs 40 ms less for it. What the peer does not acknowledge within `timeout_s`
    ends the connection, which otherwise takes the kernel a quarter of an hour.
    """

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _USER_TIMEOUT is not None:
            connected.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(timeout_s * 1000))

    def recv(self, size: int) -> bytes:
        """Read as `socket.recv` does."""
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return self._socket.recv(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def connect(address: str, port: int, *, netns: str | None, timeout_s: float) -> LowLatencySocket:
    """A TCP connection to `address`, made in the network namespace `netns` (as `ip netns` names it) if one is given.

    Raises:
        OSError: no connection came about, or the namespace cannot be entered.
    """
    with _inside(netns):
        return LowLatencySocket(socket.create_connection((address, port), timeout=timeout_s), timeout_s)


@contextmanager
def _inside(netns: str | None) -> Iterator[None]:
    """A socket belongs for good to the namespace its thread was in when it was made."""
    if netns is None:
        yield
        return
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(_NAMESPACES / netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _setns(own)
    finally:
        os.close(own)


def _setns(descriptor: int) -> None:
    # os.setns is Python 3.12's.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
