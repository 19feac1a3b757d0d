"""The transport over SSH: fabric connects, the work goes over paramiko's channels.

fabric's own `run` feeds stdin a character per 10 ms.
"""

import time

from fabric import Connection
from paramiko import BadHostKeyException, Channel, SSHException

from dockmesh.core.model import Host, Login
from dockmesh.core.sections import quoted
from dockmesh.errors import HostError, UnreachableError
from dockmesh.remote.connections import Connections
from dockmesh.remote.failures import explain

_SHELL = {"none": "sh -s", "sudo": "sudo -n sh -s"}
_ANSWER_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_UNTOLD = -1  # paramiko's word for a command whose end was not told


class SshSession:
    """A session over one SSH connection, kept open from phase to phase."""

    def __init__(self, connection: Connection, become: str) -> None:
        self._connection = connection
        self._command = _SHELL[become]

    def run(self, script: str, *, timeout_s: float) -> str:
        """See `transport.Session`."""
        deadline = time.monotonic() + timeout_s
        try:
            with self._connection.transport.open_session(timeout=timeout_s) as channel:
                channel.set_combine_stderr(True)
                channel.settimeout(timeout_s)
                channel.exec_command(self._command)
                _send(channel, script)
                return _read(channel, deadline).decode(errors="replace")
        except TimeoutError as error:
            raise UnreachableError(
                f"no answer within {timeout_s:.0f} s: see what holds it up, or raise --timeout"
            ) from error
        except (SSHException, EOFError, OSError) as error:
            cause = quoted(str(error)) or type(error).__name__
            raise UnreachableError(f"the SSH session was lost ({cause})") from error

    def alive(self) -> bool:
        """See `transport.Session`."""
        return bool(self._connection.is_connected)

    def close(self) -> None:
        """See `transport.Session`."""
        self._connection.close()


class SshTransport:
    """Logs in over SSH; see `transport.Transport`."""

    def __init__(self, *, timeout_s: float) -> None:
        self._connections = Connections(timeout_s=timeout_s)

    def connect(self, host: Host) -> SshSession:
        """See `transport.Transport`. A connection that breaks off while it is made is tried once more."""
        try:
            return self._connect(host)
        except UnreachableError as error:
            if isinstance(error.__cause__, EOFError | ConnectionResetError):
                return self._connect(host)
            raise

    def close(self) -> None:
        """Close what connections share."""
        self._connections.close()

    def _connect(self, host: Host) -> SshSession:
        connection = None
        try:
            connection = self._connections.prepare(host.login)
            self._connections.open(connection, host.login)
        except (SSHException, EOFError, OSError, ValueError, TypeError) as error:
            if connection is not None:
                connection.client.close()
            raise UnreachableError(self._told(error, host.login)) from error
        return SshSession(connection, host.login.become)

    def _told(self, error: Exception, login: Login) -> str:
        keeper = self._connections.keeper(login, error.hostname) if isinstance(error, BadHostKeyException) else None
        return explain(error, login, keeper)


def _send(channel: Channel, script: str) -> None:
    """The script to the shell's stdin. A shell that ends before it has read it may have said why."""
    try:
        channel.sendall(script.encode())
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:
        if not channel.get_transport().is_active():
            raise


def _read(channel: Channel, deadline: float) -> bytes:
    """All the channel has to say until it ends, in bounded time and space."""
    answer = bytearray()
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        channel.settimeout(left_s)
        chunk = channel.recv(_CHUNK_BYTES)
        if not chunk:
            if channel.exit_status == _UNTOLD and not channel.get_transport().is_active():
                raise EOFError("the host no longer answers")
            return bytes(answer)
        answer += chunk
        if len(answer) > _ANSWER_BYTES:
            raise HostError(f"answered with more than {_ANSWER_BYTES >> 20} MiB, and was cut off")
