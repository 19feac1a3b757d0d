"""TCP sockets for SSH, with low latency and in a network namespace."""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only
_LEAST_S = 0.01
_CHUNK_BYTES = 1 << 16
# paramiko wakes up this often per connection, to send keepalives and to notice that it has to end.
_WAKE_UP_S = 1.0
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


class LowLatencySocket:
    """A connected socket for paramiko that sends and acknowledges without delay (TCP_NODELAY, TCP_QUICKACK).

    The kernel returns to delayed acknowledgements by itself, so TCP_QUICKACK is set before every read. This saves 40 ms
    per round trip of SSH. The connection ends if the peer does not acknowledge data within `timeout_s`; the default of
    the kernel is 15 minutes. One thread reads from it.
    """

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        self._socket = connected
        self._received = memoryview(b"")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _USER_TIMEOUT is not None:
            connected.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(timeout_s * 1000))

    def recv(self, size: int) -> bytes:
        """See `socket.recv`. paramiko reads each packet in two or three parts, but the kernel is only asked once."""
        if not self._received:
            if _QUICKACK is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            self._received = memoryview(self._socket.recv(_CHUNK_BYTES))
        found, self._received = self._received[:size], self._received[size:]
        return bytes(found)

    def settimeout(self, timeout_s: float) -> None:
        """See `socket.settimeout`. paramiko asks for 0.1 s; with many hosts such wake-ups took most of the CPU."""
        self._socket.settimeout(max(timeout_s, _WAKE_UP_S))

    def close(self) -> None:
        """See `socket.close`. A thread that waits in `recv` stops waiting at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

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
