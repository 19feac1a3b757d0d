"""Traffic between two network namespaces: `traffic.py serve PORT` and `traffic.py KIND ADDRESS PORT SECONDS`.

Kinds: `tcp` prints Gbit/s of one connection, `udp` packets per second in thousands (payload of 64 bytes), and `rr` the
time of a request and its reply of one byte each over TCP, in microseconds. A server prints `ready`, serves one client
after another and ends with its stdin.

Other load makes a packet or a request slower, and never faster. `udp` and `rr` therefore print the limit of the fastest
fifth of batches and requests. The system call that sends a packet includes its path up to the socket of the server.
sendmmsg sends 64 packets per call, so the cost of Python does not hide that of the path.

It runs with `python -I -S` and imports nothing of the project.
"""

import ctypes
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

_PAYLOAD = 64
_BATCH = 64
_BUFFER = 8 << 20
_CHUNK = bytes(128 << 10)
_MSG_WAITFORONE = 0x10000  # linux/socket.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
# Without a packet for this long, a client that has ended has no packets in transit.
_SILENCE_US = 50_000
_TIMEOUT_S = 20.0
# Less means that rules drop packets, so that their path is not the whole path.
_ARRIVED = 0.5
_LIBC = ctypes.CDLL(None, use_errno=True)
_CORES = sorted(os.sched_getaffinity(0))


class _Vector(ctypes.Structure):
    """The C type `struct iovec`."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """The C type `struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """The C type `struct mmsghdr`."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


def _messages() -> ctypes.Array[_Message]:
    """A batch of messages that share one buffer."""
    buffer = ctypes.create_string_buffer(_PAYLOAD)
    vector = _Vector(ctypes.cast(buffer, ctypes.c_void_p), _PAYLOAD)
    header = _Header(vectors=ctypes.pointer(vector), vector_count=1)
    return (_Message * _BATCH)(*(_Message(header) for _ in range(_BATCH)))


def _use_core(kind: str, *, server: bool) -> None:
    """Pin this process, because a scheduler that moves it makes rounds incomparable.

    The two ends of a request share a core: otherwise the wake-up of the other core dominates the time.
    """
    os.sched_setaffinity(0, {_CORES[-1] if server and kind != "rr" else _CORES[0]})


def serve(port: int) -> None:
    """Serve clients until stdin ends."""
    with socket.create_server(("", port)) as listening, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, _SILENCE_US))
        datagrams.bind(("", port))
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _client = listening.accept()
            with connection:
                _serve(connection, datagrams)


def _serve(connection: socket.socket, datagrams: socket.socket) -> None:
    connection.settimeout(_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kind = connection.recv(3).decode()
    _use_core(kind, server=True)
    connection.sendall(b"+")
    if kind == "rr ":
        while connection.recv(1):
            connection.send(b".")
        return
    count = _received(connection) if kind == "tcp" else _counted(connection, datagrams)
    connection.sendall(str(count).encode())


def _received(connection: socket.socket) -> int:
    """The number of bytes until the client ends."""
    total, buffer = 0, bytearray(1 << 20)
    while count := connection.recv_into(buffer):
        total += count
    return total


def _counted(connection: socket.socket, datagrams: socket.socket) -> int:
    """The number of packets until the client ends."""
    total, messages, number = 0, _messages(), datagrams.fileno()
    while True:
        count = _LIBC.recvmmsg(number, messages, _BATCH, _MSG_WAITFORONE, None)
        if count > 0:
            total += count
        elif select.select([connection], [], [], 0)[0]:
            return total


def _tcp(connection: socket.socket, seconds: float) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        connection.sendall(_CHUNK)
    connection.shutdown(socket.SHUT_WR)
    total = int(connection.recv(32))
    return total * 8 / (time.monotonic() - begun) / 1e9


def _udp(connection: socket.socket, seconds: float) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.connect(connection.getpeername())
        messages, number = _messages(), sending.fileno()

        def send() -> None:
            if _LIBC.sendmmsg(number, messages, _BATCH, 0) < _BATCH:
                raise OSError(ctypes.get_errno(), "sendmmsg did not send all packets")

        taken_ns = _times_ns(send, seconds)
    connection.shutdown(socket.SHUT_WR)
    arrived = int(connection.recv(32)) / (len(taken_ns) * _BATCH)
    if arrived < _ARRIVED:
        raise SystemExit(f"only {arrived:.0%} of the packets arrived")
    return _BATCH * 1e6 / _fast(taken_ns)


def _rr(connection: socket.socket, seconds: float) -> float:
    def request() -> None:
        connection.send(b".")
        connection.recv(1)

    return _fast(_times_ns(request, seconds)) / 1e3


def _times_ns(act: Callable[[], None], seconds: float) -> list[int]:
    """Repeat the action for some seconds; returns the time that each took."""
    taken: list[int] = []
    begun = before = time.monotonic_ns()
    while before - begun < seconds * 1e9:
        act()
        now = time.monotonic_ns()
        taken.append(now - before)
        before = now
    return taken


def _fast(taken: list[int]) -> int:
    """The largest time of the fastest fifth."""
    return sorted(taken)[len(taken) // 5]


KINDS: dict[str, Callable[[socket.socket, float], float]] = {"tcp": _tcp, "udp": _udp, "rr": _rr}


def measure(kind: str, address: str, port: int, seconds: float) -> float:
    """Send traffic of this kind for some seconds; returns its figure."""
    _use_core(kind, server=False)
    with socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(f"{kind:<3}".encode())
        connection.recv(1)
        return KINDS[kind](connection, seconds)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        print(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
