"""SSH connections of fabric that honour ~/.ssh/config, the inventory and known_hosts.

fabric itself accepts any host key and reads no known_hosts. Every connection, also to a jump host, gets a host key
policy before it is opened. Therefore fabric must never build a gateway by itself.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import BadHostKeyException, Transport

from dockmesh.core.model import Login
from dockmesh.remote.ssh import sockets
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.hostkeys import AcceptNewPolicy, KnownHosts, KnownHostsLine, StrictPolicy
from dockmesh.remote.ssh.identity import Identity
from dockmesh.remote.ssh.jump_host import JumpHost
from dockmesh.remote.ssh.keys import Keys

_SSH_PORT = 22
# A host that is down does not answer. One that is up answers from its kernel, however busy it is.
_CONNECT_S = 10.0
_KEEPALIVES = 3
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts"
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"

# Without this class attribute, fabric empties and refills the configuration that all connections share, and another
# thread may read it at that moment.
Connection.inline_ssh_env = True


class Connections:
    """The connections of a run. They share the configuration, keys, known_hosts and jump hosts.

    `connect_timeout_s` limits the time until a TCP connection, also one from a jump host, and `timeout_s` each phase of
    the login after it. Without it, ConnectTimeout of ~/.ssh/config counts, or else 10 s.
    """

    def __init__(
        self,
        configuration: SshConfig,
        *,
        timeout_s: float,
        connect_timeout_s: float | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._configuration = configuration
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._lock = threading.RLock()
        self._keys = keys or Keys()
        self._known: dict[tuple[str, ...], KnownHosts] = {}
        self._jump_hosts: dict[tuple[str, Login, KnownHosts], JumpHost] = {}

    def prepare(self, login: Login) -> Connection:
        """Return the connection for `login`, which is not open yet.

        Raises:
            OSError, ValueError, paramiko.SSHException: a key or configuration file cannot be read.
        """
        with self._lock:
            known = self._known_hosts(login)
            return self._build(login.address, login, gateway=self._gateway_of(login), known=known)

    def open(self, connection: Connection, login: Login) -> None:
        """Connect, check the host key, authenticate.

        Raises:
            OSError, EOFError, paramiko.SSHException: the connection or one of its jump hosts failed.
        """
        with self._lock:
            jump_hosts = self._jump_hosts_of(login)
        for each in jump_hosts:
            each.open(lambda hop: self._open_one(hop, login), self._timeout_s)
        self._open_one(connection, login)

    def changed_key(
        self, connection: Connection, login: Login, error: BadHostKeyException
    ) -> tuple[str, KnownHostsLine | None]:
        """For a changed key, return the name of the host in known_hosts and the line with the expected key."""
        while isinstance(connection.gateway, Connection) and connection.host != error.hostname:
            connection = connection.gateway
        name = connection.ssh_config.get("hostkeyalias") or _known_name(connection)
        with self._lock:
            known = self._known_hosts(login)
        return name, known.line_for(name, error.expected_key)

    def close(self) -> None:
        """Close the connections to jump hosts."""
        for each in self._jump_hosts.values():
            each.connection.close()

    @cached_property
    def _config(self) -> Config:
        # Lazy, because fabric's own configuration files must have no effect.
        return Config(lazy=True, ssh_config=self._configuration.parsed)

    def _open_one(self, connection: Connection, login: Login) -> None:
        """Open one connection. Its jump hosts must be open."""
        limit_s = self._limit_s(connection)
        if not connection.gateway:
            connection.connect_kwargs["sock"] = sockets.connect(
                connection.host,
                connection.port,
                netns=login.netns,
                connect_timeout_s=limit_s,
                timeout_s=self._timeout_s,
            )
        elif isinstance(connection.gateway, Connection):
            # fabric opens the channel to the host without a time limit, and paramiko's default is an hour.
            connection.gateway.transport.channel_timeout = limit_s
        connection.open()
        # The host must acknowledge keepalives. This detects a host that is cut off during a long script.
        connection.transport.set_keepalive(max(1, int(self._timeout_s / _KEEPALIVES)))

    def _build(self, name: str, login: Login, *, gateway: Any, known: KnownHosts) -> Connection:
        connection = Connection(
            name,
            user=login.user if name == login.address else None,
            port=login.port if name == login.address else None,
            config=self._config,
            gateway=gateway,
            connect_timeout=max(1, int(self._timeout_s)),
            connect_kwargs={
                "banner_timeout": self._timeout_s,
                "auth_timeout": self._timeout_s,
                "transport_factory": _transport,
            },
        )
        connection.connect_kwargs.pop("key_filename", None)
        connection.connect_kwargs["auth_strategy"] = self._identity(connection, login)
        accept = login.host_key_policy == "accept-new"
        alias = connection.ssh_config.get("hostkeyalias")
        connection.client.set_missing_host_key_policy((AcceptNewPolicy if accept else StrictPolicy)(known, alias))
        known.trust(connection.client, _known_name(connection), alias)
        return connection

    def _limit_s(self, connection: Connection) -> float:
        """The time limit of a TCP connection."""
        option = str(connection.ssh_config.get("connecttimeout", ""))
        configured_s = float(option) if option.isdecimal() else 0.0
        return min(self._timeout_s, self._connect_timeout_s or configured_s or _CONNECT_S)

    def _identity(self, connection: Connection, login: Login) -> Identity:
        configured = connection.ssh_config
        if login.identity_file:
            self._keys.of(Path(login.identity_file).expanduser())
        return Identity(
            keys=self._keys,
            user=connection.user,
            host=connection.host,
            port=connection.port,
            files=identity_files(login, configured),
            certificates=[Path(file).expanduser() for file in configured.get("certificatefile", "").split()],
            only=configured.get("identitiesonly", "no") == "yes",
        )

    def _known_hosts(self, login: Login) -> KnownHosts:
        configured = self._configuration.options(login.address).get("userknownhostsfile", _USER_KNOWN_HOSTS)
        files = (login.known_hosts,) if login.known_hosts else (*configured.split(), _SYSTEM_KNOWN_HOSTS)
        if files not in self._known:
            self._known[files] = KnownHosts([Path(file).expanduser() for file in files])
        return self._known[files]

    def _gateway_of(self, login: Login) -> Connection | str | bool:
        """The gateway argument of a fabric connection. With None, fabric would build a gateway by itself."""
        if jump_hosts := self._jump_hosts_of(login):
            return jump_hosts[-1].connection
        return self._configuration.options(login.address).get("proxycommand") or False

    def _jump_hosts_of(self, login: Login) -> tuple[JumpHost, ...]:
        """The jump hosts of a login, first hop first. Logins with equal settings share them."""
        jump = login.jump or self._configuration.options(login.address).get("proxyjump")
        if not jump or jump == "none":
            return ()
        known = self._known_hosts(login)
        # Jump hosts do not depend on these settings, so logins that differ only in them share jump hosts.
        settings = replace(login, address="", user=None, port=None, become="none")
        jump_hosts: list[JumpHost] = []
        path = ""
        for hop in jump.split(","):
            path = f"{path},{hop}"
            key = (path, settings, known)
            if key not in self._jump_hosts:
                gateway = jump_hosts[-1].connection if jump_hosts else False
                self._jump_hosts[key] = JumpHost(self._build(hop.strip(), login, gateway=gateway, known=known))
            jump_hosts.append(self._jump_hosts[key])
        return tuple(jump_hosts)


def _transport(*arguments: Any, **options: Any) -> Transport:
    """A transport that prefers AES-GCM. paramiko checks the integrity of all other ciphers byte by byte in Python."""
    transport = Transport(*arguments, **options)
    security = transport.get_security_options()
    security.ciphers = sorted(security.ciphers, key=lambda cipher: "-gcm@" not in cipher)
    return transport


def _known_name(connection: Connection) -> str:
    """The name of the connection's host in known_hosts."""
    return str(connection.host) if connection.port == _SSH_PORT else f"[{connection.host}]:{connection.port}"


def identity_files(login: Login, configured: Mapping[str, Any]) -> list[Path]:
    """The key files of a host, from the inventory or else from ~/.ssh/config."""
    named = [login.identity_file] if login.identity_file else configured.get("identityfile", [])
    return [Path(file).expanduser() for file in named]
