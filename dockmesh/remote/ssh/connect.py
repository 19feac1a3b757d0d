"""Opened SSH connections, by fabric: as ~/.ssh/config and the inventory say, and with known_hosts enforced.

fabric itself accepts any host key and reads no known_hosts; every connection made here gets a policy of its own before
it is opened, gateways included, which is why fabric is never left to build a gateway by itself.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import BadHostKeyException

from dockmesh.core.model import Login
from dockmesh.remote.ssh import sockets
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.hostkeys import AcceptNewPolicy, KnownHosts, KnownHostsLine, StrictPolicy
from dockmesh.remote.ssh.identity import Identity
from dockmesh.remote.ssh.jump_host import JumpHost
from dockmesh.remote.ssh.keys import Keys

_SSH_PORT = 22
_KEEPALIVES = 3
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts"
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"

# What is no attribute of the class, fabric writes into the configuration that all connections share, by emptying and
# filling it again; another thread that opens a connection at that moment would find nothing in it.
Connection.inline_ssh_env = True


class Connections:
    """The connections of a run. Configuration, keys and known_hosts are read once; a gateway serves all behind it."""

    def __init__(self, configuration: SshConfig, *, timeout_s: float, keys: Keys | None = None) -> None:
        self._configuration = configuration
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._keys = keys or Keys()
        self._known: dict[tuple[str, ...], KnownHosts] = {}
        self._gateways: dict[tuple[str, Login, KnownHosts], JumpHost] = {}

    def prepare(self, login: Login) -> Connection:
        """The connection for `login`, not opened yet.

        Raises:
            OSError, ValueError, paramiko.SSHException: a key or configuration file cannot be read.
        """
        with self._lock:
            known = self._known_hosts(login)
            return self._build(login.address, login, gateway=self._gateway_of(login), known=known)

    def open(self, connection: Connection, login: Login) -> None:
        """Connect, check the host key, authenticate.

        Raises:
            OSError, EOFError, paramiko.SSHException: it did not come about.
        """
        if isinstance(connection.gateway, Connection):
            self._gateway(connection.gateway).open(lambda gateway: self.open(gateway, login), self._timeout_s)
        elif not connection.gateway:
            connection.connect_kwargs["sock"] = sockets.connect(
                connection.host, connection.port, netns=login.netns, timeout_s=self._patience_s(connection)
            )
        connection.open()
        # Something to be acknowledged is under way at any time, so that a host cut off amid a long answer is noticed.
        connection.transport.set_keepalive(max(1, int(self._timeout_s / _KEEPALIVES)))

    def changed_key(
        self, connection: Connection, login: Login, error: BadHostKeyException
    ) -> tuple[str, KnownHostsLine | None]:
        """Of a changed key: the name that known_hosts has the host under, and the line."""
        while isinstance(connection.gateway, Connection) and connection.host != error.hostname:
            connection = connection.gateway
        name = connection.ssh_config.get("hostkeyalias") or _shown(connection)
        with self._lock:
            known = self._known_hosts(login)
        return name, known.line_for(name, error.expected_key)

    def close(self) -> None:
        """Close the gateways."""
        for gateway in self._gateways.values():
            gateway.connection.close()

    @cached_property
    def _config(self) -> Config:
        # Lazy: fabric's own configuration files have no say here, OpenSSH's have.
        return Config(lazy=True, ssh_config=self._configuration.parsed)

    def _build(self, name: str, login: Login, *, gateway: Any, known: KnownHosts) -> Connection:
        connection = Connection(
            name,
            user=login.user if name == login.address else None,
            port=login.port if name == login.address else None,
            config=self._config,
            gateway=gateway,
            connect_timeout=max(1, int(self._timeout_s)),
            connect_kwargs={"banner_timeout": self._timeout_s, "auth_timeout": self._timeout_s},
        )
        connection.connect_kwargs.pop("key_filename", None)
        connection.connect_kwargs["auth_strategy"] = self._identity(connection, login)
        accept = login.host_key_policy == "accept-new"
        alias = connection.ssh_config.get("hostkeyalias")
        connection.client.set_missing_host_key_policy((AcceptNewPolicy if accept else StrictPolicy)(known, alias))
        known.trust(connection.client, _shown(connection), alias)
        return connection

    def _patience_s(self, connection: Connection) -> float:
        """For a connection to come about: what ~/.ssh/config grants, and no more than the run does."""
        configured = str(connection.ssh_config.get("connecttimeout", ""))
        granted_s = float(configured) if configured.isdecimal() else 0.0
        return min(self._timeout_s, granted_s or self._timeout_s)

    def _identity(self, connection: Connection, login: Login) -> Identity:
        configured = connection.ssh_config
        if login.identity_file:
            self._keys.of(Path(login.identity_file).expanduser())
        return Identity(
            keys=self._keys,
            user=connection.user,
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
        """What fabric takes as gateway; False and not None, since None lets it build its own."""
        configured = self._configuration.options(login.address)
        jump = login.jump or configured.get("proxyjump")
        if not jump or jump == "none":
            return configured.get("proxycommand") or False
        known = self._known_hosts(login)
        gateway: Connection | bool = False
        behind = ""
        for hop in jump.split(","):
            behind = f"{behind},{hop}"
            # What is the host's own does not count on the way there.
            key = (behind, replace(login, address="", user=None, port=None, become="none"), known)
            if key not in self._gateways:
                self._gateways[key] = JumpHost(self._build(hop.strip(), login, gateway=gateway, known=known))
            gateway = self._gateways[key].connection
        return gateway

    def _gateway(self, connection: Connection) -> JumpHost:
        with self._lock:
            return next(each for each in self._gateways.values() if each.connection is connection)


def _shown(connection: Connection) -> str:
    """What known_hosts calls the place that a connection leads to."""
    return str(connection.host) if connection.port == _SSH_PORT else f"[{connection.host}]:{connection.port}"


def identity_files(login: Login, configured: Mapping[str, Any]) -> list[Path]:
    """The keys that are named for a host: by the inventory, or else by what ~/.ssh/config has for it."""
    named = [login.identity_file] if login.identity_file else configured.get("identityfile", [])
    return [Path(file).expanduser() for file in named]
