"""The time limit of a TCP connection to a name with several addresses."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

from dockmesh.remote.ssh.sockets import connect

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
