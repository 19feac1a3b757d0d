"""Why a login failed, and what to do: the errors of sockets and of paramiko in the words of an admin's day."""

import errno
import shlex
import socket

from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    PasswordRequiredException,
    SSHException,
)

from dockmesh.core.model import Login
from dockmesh.core.sections import quoted
from dockmesh.remote.hostkeys import UnknownHostKeyError

_NETWORK = {
    errno.ECONNREFUSED: "refuses the connection: is sshd running, and is the port right?",
    errno.EHOSTUNREACH: "cannot be reached: is it up, and is the address right?",
    errno.ENETUNREACH: "cannot be reached: this machine has no route to it",
    errno.ENOENT: "cannot be reached: a key, or the network namespace of the inventory, is not there",
    errno.EPERM: "cannot be reached: entering the inventory's network namespace needs root",
}


def explain(error: Exception, login: Login) -> str:
    """One sentence: the cause and the remedy."""
    place = f"{login.address}:{login.port}" if login.port else login.address
    match error:
        case UnknownHostKeyError():
            return _unknown_key(error, login)
        case BadHostKeyException():
            return _changed_key(error, place, login)
        case SSHException():
            return _refused(error, place, login)
        case _:
            return _unconnected(error, place, login)


def _refused(error: SSHException, place: str, login: Login) -> str:
    if isinstance(error, PasswordRequiredException) or "password" in str(error).lower():
        return f"the key for {place} is encrypted: ssh-add it to your agent"
    if isinstance(error, AuthenticationException):
        who = f" as {login.user}" if login.user else ""
        return f"{place} does not let us in{who}: check user and identity_file, or try ssh itself"
    return f"no SSH session with {place} ({quoted(str(error)) or type(error).__name__})"


def _unconnected(error: Exception, place: str, login: Login) -> str:
    match error:
        case socket.gaierror():
            return f"{login.address}: no such name; check the address, or your resolver"
        case TimeoutError():
            return f"{place} does not answer: is it up, and does a firewall drop SSH?"
        case EOFError():
            return f"{place} broke the connection off: is that an SSH server?"
        case OSError() if error.errno in _NETWORK:
            named = f" ({error.filename})" if error.filename else ""
            return f"{place} {_NETWORK[error.errno]}{named}"
        case _:
            return f"no SSH session with {place} ({quoted(str(error)) or type(error).__name__})"


def _changed_key(error: BadHostKeyException, place: str, login: Login) -> str:
    return (
        f"the host key of {place} has CHANGED: it showed {error.key.fingerprint}, known_hosts has "
        f"{error.expected_key.fingerprint}. Either the host was set up anew (then: ssh-keygen -R "
        f"{shlex.quote(login.address)}), or someone is in between"
    )


def _unknown_key(error: UnknownHostKeyError, login: Login) -> str:
    file = shlex.quote(login.known_hosts or "~/.ssh/known_hosts").replace("'~/", "~/'")
    port = f"-p {login.port} " if login.port else ""
    return (
        f"the host key of {error.name} is not known; it showed {error.key.fingerprint}. Compare that on the host "
        f"(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: ssh-keyscan {port}{login.address} >> {file}"
    )
