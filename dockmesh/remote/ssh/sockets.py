"""TCP sockets for SSH, with low latency and in a network namespace."""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only
_LEAST_S = 0.01
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


class LowLatencySocket:
    """A connected socket that sends and acknowledges without delay (TCP_NODELAY, TCP_QUICKACK).

    The kernel returns to delayed acknowledgements by itself, so TCP_QUICKACK is set before every read. This saves 40 ms
    per round trip of SSH. The connection ends if the peer does not acknowledge data within `timeout_s`; the default of
    the kernel is 15 minutes.
    """

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _USER_TIMEOUT is not None:
            connected.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(timeout_s * 1000))

    def recv(self, size: int) -> bytes:
        """See `socket.recv`."""
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return self._socket.recv(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def connect(
    address: str, port: int, *, netns: str | None, connect_timeout_s: float, timeout_s: float
) -> LowLatencySocket:
    """Open a TCP connection to `address`, in the network namespace `netns` of `ip netns` if one is given.

    Raises:
        OSError: the connection failed or took longer than `connect_timeout_s`, for all addresses of a name together, or
            the namespace cannot be entered.
    """
    with _inside(netns):
        return LowLatencySocket(_connect_to_any(address, port, connect_timeout_s), timeout_s)


def _connect_to_any(name: str, port: int, limit_s: float) -> socket.socket:
    """Connect to the first address of the name that accepts. Each has an equal share of the time that is left."""
    addresses = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    deadline = monotonic() + limit_s
    error: OSError | None = None
    for at, (family, kind, protocol, _name, address) in enumerate(addresses):
        try:
            return _connect_to((family, kind, protocol), address, (deadline - monotonic()) / (len(addresses) - at))
        except OSError as failed:
            error = failed
    raise error or OSError(f"{name} has no address")


def _connect_to(kind: tuple[int, int, int], address: Any, limit_s: float) -> socket.socket:
    connecting = socket.socket(*kind)
    try:
        # A busy controller may have used up the time. A limit of 0 would mean a socket that never waits.
        connecting.settimeout(max(limit_s, _LEAST_S))
        connecting.connect(address)
    except OSError:
        connecting.close()
        raise
    return connecting


@contextmanager
def _inside(netns: str | None) -> Iterator[None]:
    """Enter the namespace. A socket remains in the namespace in which its thread created it."""
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
    # os.setns needs Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
