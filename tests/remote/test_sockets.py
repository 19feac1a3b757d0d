"""TCP connections: the time limit for a name with several addresses, reads, and the end of a waiting reader."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from time import monotonic, sleep
from typing import Any

import pytest

from dockmesh.remote.ssh.sockets import LowLatencySocket, connect

LIMIT_S = 0.6


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as live:
        yield live.getsockname()


@pytest.fixture
def dead() -> Iterator[tuple[str, int]]:
    """An address that does not reply, because the queue of its socket is full."""
    with ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        opened.enter_context(socket.create_connection(full.getsockname()))
        yield full.getsockname()


def open_first(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> Any:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_how: found)
    return connect("name", 22, netns=None, connect_timeout_s=LIMIT_S, timeout_s=5)


def test_all_addresses_of_a_name_share_the_time(monkeypatch: pytest.MonkeyPatch, dead: tuple[str, int]) -> None:
    start = monotonic()
    with pytest.raises(TimeoutError):
        open_first(monkeypatch, dead, dead, dead)
    assert LIMIT_S * 0.9 < monotonic() - start < LIMIT_S * 2


def test_a_dead_address_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, dead: tuple[str, int], listener: tuple[str, int]
) -> None:
    start = monotonic()
    connected = open_first(monkeypatch, dead, listener)
    assert monotonic() - start < LIMIT_S
    assert connected.getpeername() == listener
    connected.close()


@pytest.fixture
def ends() -> Iterator[tuple[LowLatencySocket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = LowLatencySocket(socket.create_connection(server.getsockname()), 5)
        other, _ = server.accept()
        with other:
            yield own, other
        own.close()


def test_parts_of_a_packet_are_read_in_order(ends: tuple[LowLatencySocket, socket.socket]) -> None:
    own, other = ends
    sent = bytes(range(256)) * 600
    threading.Thread(target=other.sendall, args=(sent,)).start()
    received = bytearray()
    while len(received) < len(sent):
        received += own.recv(1 + len(received) % 5000)
    assert received == sent
    other.shutdown(socket.SHUT_WR)
    assert own.recv(1) == b""


def test_closing_ends_a_waiting_reader(ends: tuple[LowLatencySocket, socket.socket]) -> None:
    own, _other = ends
    own.settimeout(0.1)

    def read() -> None:
        with suppress(OSError):
            own.recv(1)

    reader = threading.Thread(target=read)
    reader.start()
    sleep(0.1)  # until it waits
    start = monotonic()
    own.close()
    reader.join()
    assert monotonic() - start < 0.5
