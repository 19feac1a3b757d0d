"""The transport over SSH: connections of fabric, and scripts in channels of paramiko.

The `run` of fabric is not used, because it sends one character of stdin per 10 ms.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from fabric import Connection
from paramiko import BadHostKeyException, Channel, ChannelException, SSHException

from dockmesh.core.host_output import HELD_MARKER, MAX_BYTES, sanitize
from dockmesh.core.model import Host, Login
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.connect import Connections
from dockmesh.remote.ssh.errors import explain
from dockmesh.remote.ssh.keys import Keys
from dockmesh.remote.ssh.secret import Secret
from dockmesh.remote.ssh.shell import Shell

_CHUNK_BYTES = 1 << 16
_HELD = f"{HELD_MARKER}\n".encode()
_NO_EXIT_STATUS = -1  # paramiko has it for a command that sent no exit status.


class SshHeldScript:
    """A script in a separate channel; see `transport.HeldScript`. It ends if the object is discarded."""

    def __init__(self, channel: Channel, output: str) -> None:
        self._channel = channel
        self.output = output

    def send(self, script: str, *, timeout_s: float) -> None:
        """See `transport.HeldScript`."""
        with _as_unreachable(timeout_s):
            self._channel.settimeout(timeout_s)
            _send(self._channel, f"\n{script}")

    def receive(self, *, timeout_s: float) -> str:
        """See `transport.HeldScript`."""
        with _as_unreachable(timeout_s):
            output = _read(self._channel, time.monotonic() + timeout_s, until=_HELD)
            if not output.endswith(_HELD.decode()):
                raise EOFError("the held script ended")
            return output

    def release(self, *, timeout_s: float) -> str:
        """See `transport.HeldScript`."""
        deadline = time.monotonic() + timeout_s
        with _as_unreachable(timeout_s), self._channel:
            self._channel.shutdown_write()
            return _read(self._channel, deadline)


class SshSession:
    """A session over one SSH connection. `reconnect` opens a second session with the host."""

    def __init__(self, connection: Connection, shell: Shell, reconnect: "Callable[[], SshSession]") -> None:
        self._connection = connection
        self._shell = shell
        self._reconnect = reconnect
        self._has_held = False
        self._second: SshSession | None = None

    def run(self, script: str, *, timeout_s: float) -> str:
        """See `transport.Session`."""
        deadline = time.monotonic() + timeout_s
        with _as_unreachable(timeout_s):
            try:
                channel = self._start(script, timeout_s)
            except ChannelException:
                # Hosts with `MaxSessions 1` allow one channel per connection, and a held script occupies it.
                if not self._has_held:
                    raise
                self._second = self._second or self._reconnect()
                return self._second.run(script, timeout_s=timeout_s)
            with channel:
                channel.shutdown_write()
                return self._shell.check(_read(channel, deadline))

    def hold(self, script: str, *, timeout_s: float) -> SshHeldScript:
        """See `transport.Session`."""
        deadline = time.monotonic() + timeout_s
        with _as_unreachable(timeout_s):
            channel = self._start(script, timeout_s)
            self._has_held = True
            return SshHeldScript(channel, self._shell.check(_read(channel, deadline, until=_HELD)))

    def alive(self) -> bool:
        """See `transport.Session`."""
        return bool(self._connection.is_connected)

    def close(self) -> None:
        """See `transport.Session`."""
        self._connection.close()
        if self._second:
            self._second.close()

    def _start(self, script: str, timeout_s: float) -> Channel:
        """Start a shell and send it the script. Its stdin remains open."""
        channel: Channel = self._connection.transport.open_session(timeout=timeout_s)
        channel.set_combine_stderr(True)
        channel.settimeout(timeout_s)
        channel.exec_command(self._shell.command)
        self._shell.enter(channel, time.monotonic() + timeout_s)
        _send(channel, script)
        return channel


class SshTransport:
    """The transport over SSH; see `transport.Transport`."""

    def __init__(
        self,
        configuration: SshConfig,
        *,
        timeout_s: float,
        connect_timeout_s: float | None = None,
        password: Secret | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._connections = Connections(
            configuration, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, keys=keys
        )
        self._password = password

    def connect(self, host: Host) -> SshSession:
        """See `transport.Transport`. A login whose connection breaks is tried once more."""
        try:
            return self._connect(host)
        except UnreachableError as error:
            if isinstance(error.__cause__, EOFError | ConnectionResetError):
                return self._connect(host)
            raise

    def close(self) -> None:
        """Close the connections to jump hosts."""
        self._connections.close()

    def _connect(self, host: Host) -> SshSession:
        connection = None
        try:
            connection = self._connections.prepare(host.login)
            self._connections.open(connection, host.login)
        except (SSHException, EOFError, OSError, ValueError, TypeError) as error:
            if connection is not None:
                connection.client.close()
            failure = self._failure(error, host.login, connection)
            raise UnreachableError(failure.message, code=HostErrorCode(failure.code)) from error
        shell = Shell.of(host.login.become, self._password)
        return SshSession(connection, shell, partial(self.connect, host))

    def _failure(self, error: Exception, login: Login, connection: Connection | None) -> HostFailure:
        if connection is not None and isinstance(error, BadHostKeyException):
            name, line = self._connections.changed_key(connection, login, error)
            return explain(BadHostKeyException(name, error.key, error.expected_key), login, line)
        return explain(error, login)


@contextmanager
def _as_unreachable(timeout_s: float) -> Iterator[None]:
    """Raise the errors of a channel as UnreachableError."""
    try:
        yield
    except TimeoutError as error:
        raise UnreachableError(
            f"no answer within {timeout_s:.0f} s. Fix: check the load of the host, or raise --timeout",
            code=HostErrorCode.TIMEOUT,
        ) from error
    except (SSHException, EOFError, OSError) as error:
        cause = sanitize(str(error)) or type(error).__name__
        raise UnreachableError(
            f"the SSH session was lost ({cause}). Fix: check that the host is up, and try again",
            code=HostErrorCode.SESSION_LOST,
        ) from error


def _send(channel: Channel, script: str) -> None:
    """Send the script to the stdin of the shell. A shell that has ended is no error; its output has the reason."""
    try:
        channel.sendall(script.encode())
    except TimeoutError:
        raise
    except OSError:
        if not channel.get_transport().is_active():
            raise


def _read(channel: Channel, deadline: float, *, until: bytes | None = None) -> str:
    """Read until the channel closes or the output ends with `until`. Limits time and memory."""
    output = bytearray()
    while True:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        channel.settimeout(remaining_s)
        chunk = channel.recv(_CHUNK_BYTES)
        if not chunk:
            if channel.exit_status == _NO_EXIT_STATUS and not channel.get_transport().is_active():
                raise EOFError("the connection was closed")
            break
        output += chunk
        if until and output.endswith(until):
            break
        if len(output) > MAX_BYTES:
            raise HostError(
                f"the output is larger than {MAX_BYTES >> 20} MiB, and dockmesh ended the script",
                code=HostErrorCode.ANSWER_TOO_LARGE,
            )
    return output.decode(errors="replace")
