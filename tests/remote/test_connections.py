"""Connections: options, jump hosts, and state that threads share."""

import socket
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import SimpleNamespace
from typing import Any

import fabric
import pytest

from dockmesh.core.model import Login
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.connect import Connections


def test_a_new_connection_does_not_change_the_shared_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fabric empties and refills a configuration to change it, while other threads read it."""
    connections = Connections(SshConfig(files=()), timeout_s=5)
    first = connections.prepare(Login(address="192.0.2.1"))

    def rebuilt(_self: fabric.Config) -> None:
        pytest.fail("the shared configuration was emptied and refilled")

    monkeypatch.setattr(fabric.Config, "merge", rebuilt)
    second = connections.prepare(Login(address="192.0.2.2"))
    assert second.config is first.config


def test_the_first_offered_cipher_needs_no_separate_integrity_check() -> None:
    connection = Connections(SshConfig(files=()), timeout_s=5).prepare(Login(address="192.0.2.1"))
    own, other = socket.socketpair()
    with own, other:
        offered = connection.connect_kwargs["transport_factory"](own).get_security_options().ciphers
    assert offered[0] == "aes128-gcm@openssh.com"
    assert {"aes128-ctr", "aes256-ctr"} < set(offered)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of the connection to a host that rejects it."""
    called: dict[str, Any] = {}

    def connect(_host: str, _port: int, **how: Any) -> None:
        called.update(how)
        raise ConnectionRefusedError

    monkeypatch.setattr("dockmesh.remote.ssh.sockets.connect", connect)
    return called


@pytest.mark.parametrize(
    ("option_s", "configured", "timeout_s", "expected_s"),
    [
        (None, "none", 30, 10),
        (None, "0", 30, 10),
        (None, "3", 30, 3),
        (None, "60", 30, 30),
        (None, "none", 5, 5),
        (4, "3", 30, 4),
        (60, "3", 30, 30),
    ],
)
def test_a_connection_has_a_time_limit_of_its_own(
    far: dict[str, Any], option_s: float | None, configured: str, timeout_s: float, expected_s: float
) -> None:
    with NamedTemporaryFile("w+") as file:
        file.write(f"ConnectTimeout {configured}\n")
        file.flush()
        connections = Connections(SshConfig((file.name,)), timeout_s=timeout_s, connect_timeout_s=option_s)
    login = Login("192.0.2.1")
    with pytest.raises(ConnectionRefusedError):
        connections.open(connections.prepare(login), login)
    assert (far["connect_timeout_s"], far["timeout_s"]) == (expected_s, timeout_s)


def test_keys_and_jump_hosts_come_from_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "Host web\n ProxyJump one,ann@two:2222\n IdentityFile ~/a\n IdentityFile ~/b\n IdentitiesOnly yes\n"
    )
    connection = Connections(SshConfig(files=(str(tmp_path / "config"),)), timeout_s=5).prepare(Login("web"))
    identity = connection.connect_kwargs["auth_strategy"]
    assert ([each.name for each in identity.files], identity.only) == (["a", "b"], True)
    last = connection.gateway
    assert (last.host, last.user, last.port, last.gateway.host) == ("two", "ann", 2222, "one")


def test_jump_hosts_open_in_order_once_and_with_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, float | None]] = []
    sockets: list[str] = []

    def connect(host: str, _port: int, **_how: Any) -> None:
        sockets.append(host)

    def opening(connection: fabric.Connection) -> None:
        by = connection.gateway and connection.gateway.transport
        opened.append((connection.host, by.channel_timeout if by else None))
        connection.transport = SimpleNamespace(set_keepalive=lambda _seconds: None)

    monkeypatch.setattr("dockmesh.remote.ssh.sockets.connect", connect)
    monkeypatch.setattr(fabric.Connection, "open", opening)
    monkeypatch.setattr(fabric.Connection, "is_connected", property(lambda self: self.transport is not None))
    (tmp_path / "config").write_text("Host web db\n ProxyJump one,two\nHost api\n ProxyJump one\n")
    connections = Connections(SshConfig(files=(str(tmp_path / "config"),)), timeout_s=30, connect_timeout_s=4)
    for login in (Login("web"), Login("db"), Login("api"), Login("192.0.2.1")):
        connections.open(connections.prepare(login), login)
    assert opened == [("one", None), ("two", 4), ("web", 4), ("db", 4), ("api", 4), ("192.0.2.1", None)]
    assert sockets == ["one", "192.0.2.1"]
