"""Why a login failed, and what to do: the errors of sockets and of paramiko in the words of an admin's day."""

import errno
import shlex
import socket
from pathlib import Path

from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, PasswordRequiredException, SSHException

from dockmesh.core.host_output import sanitize
from dockmesh.core.model import Login
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure
from dockmesh.remote.ssh.hostkeys import KnownHostsLine, RevokedHostKeyError, UnknownHostKeyError

_NETWORK = {
    errno.ECONNREFUSED: HostFailure(
        HostErrorCode.CONNECTION_REFUSED, "refuses the connection: is sshd running, and is the port right?"
    ),
    errno.EHOSTUNREACH: HostFailure(
        HostErrorCode.UNREACHABLE, "cannot be reached: is it up, and is the address right?"
    ),
    errno.ENETUNREACH: HostFailure(HostErrorCode.NO_ROUTE, "cannot be reached: this machine has no route to it"),
    errno.EPERM: HostFailure(
        HostErrorCode.NETNS_NOT_PERMITTED,
        "cannot be reached: entering the inventory's network namespace needs root",
    ),
}


_PENALTY = HostFailure(
    HostErrorCode.LOGIN_THROTTLED,
    "ends the connection before a login: its sshd may turn this machine away for some minutes, as it does after failed "
    "logins (PerSourcePenalties of OpenSSH 9.8 and later, MaxStartups, fail2ban). Wait and try again; on the host, "
    "journalctl -u ssh says which",
)
_SILENT = HostFailure(
    HostErrorCode.SSH_SILENT,
    "takes the connection and then says nothing: is it frozen, or short of memory? Look at its console",
)
_DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"


def explain(error: Exception, login: Login, line: KnownHostsLine | None = None) -> HostFailure:
    """The kind of the failure, with its cause and its remedy in one sentence.

    `line`: the line of known_hosts with the expected key, where the host's key changed.
    """
    place = f"{login.address}:{login.port}" if login.port else login.address
    match error:
        case UnknownHostKeyError():
            return _unknown_key(error, login)
        case RevokedHostKeyError():
            return HostFailure(
                HostErrorCode.HOST_KEY_REVOKED,
                f"the host key of {error.name} is REVOKED by {error.line.file}:{error.line.number}: it showed "
                f"{error.key.fingerprint}. The host needs a new key, or someone is in between",
            )
        case BadHostKeyException():
            return _changed_key(error, line)
        case SSHException():
            return _refused(error, place, login)
        case _:
            return _unconnected(error, place, login)


def _refused(error: SSHException, place: str, login: Login) -> HostFailure:
    if isinstance(error, PasswordRequiredException) or "password" in str(error).lower():
        file = sanitize(str(error)) if isinstance(error, PasswordRequiredException) else ""
        named = f" ({file})" if file else ""
        return HostFailure(
            HostErrorCode.KEY_ENCRYPTED, f"the key for {place}{named} is encrypted: ssh-add it to your agent"
        )
    if cut := _cut_off(error):
        return HostFailure(cut.code, f"{place} {cut}")
    if isinstance(error, AuthenticationException):
        who = f" as {login.user}" if login.user else ""
        return HostFailure(
            HostErrorCode.LOGIN_REFUSED,
            f"{place} does not let us in{who}: check user and identity_file, or try ssh itself",
        )
    return _failed(error, place)


def _failed(error: Exception, place: str) -> HostFailure:
    cause = sanitize(str(error)) or type(error).__name__
    return HostFailure(HostErrorCode.SSH_FAILED, f"no SSH session with {place} ({cause})")


def _cut_off(error: SSHException) -> HostFailure | None:
    """Whether the host was silent or cut the connection, where paramiko's error means one of them."""
    text = str(error)
    if "protocol banner" in text:
        # paramiko raises the same error for both. Only the error that it handled at that moment differs.
        return _SILENT if isinstance(error.__context__, TimeoutError) else _PENALTY
    if text == "No existing session" or "Authentication timeout" in text:
        return _SILENT
    return _PENALTY if "saw EOF" in text else None


def _unconnected(error: Exception, place: str, login: Login) -> HostFailure:
    match error:
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return HostFailure(
                HostErrorCode.RESOLVER_FAILED,
                f"{login.address}: nobody tells its address: is the resolver in /etc/resolv.conf right, and up?",
            )
        case socket.gaierror():
            return HostFailure(
                HostErrorCode.NAME_NOT_FOUND, f"{login.address}: no such name; check the address, or your resolver"
            )
        case TimeoutError():
            return HostFailure(
                HostErrorCode.CONNECT_TIMEOUT, f"{place} does not answer: is it up, and does a firewall drop SSH?"
            )
        case EOFError():
            return HostFailure(HostErrorCode.NOT_SSH, f"{place} broke the connection off: is that an SSH server?")
        case FileNotFoundError(filename=str() as file):
            return _missing(file, place)
        case OSError() if error.errno in _NETWORK:
            network = _NETWORK[error.errno]
            return HostFailure(network.code, f"{place} {network}")
        case _:
            return _failed(error, place)


def _missing(file: str, place: str) -> HostFailure:
    if file.startswith("/run/netns/"):
        why = f"there is no network namespace {file}, which the inventory's netns names"
        return HostFailure(HostErrorCode.NETNS_MISSING, f"{place} cannot be reached: {why}")
    why = f"the key {file} is not there; check identity_file"
    return HostFailure(HostErrorCode.KEY_MISSING, f"{place} cannot be reached: {why}")


def _changed_key(error: BadHostKeyException, line: KnownHostsLine | None) -> HostFailure:
    default = line is None or line.file == Path(_DEFAULT_KNOWN_HOSTS).expanduser()
    file = "" if default else f"-f {shlex.quote(str(line.file))} " if line else ""
    place = f"{line.file}:{line.number}" if line and line.number else "known_hosts"
    return HostFailure(
        HostErrorCode.HOST_KEY_CHANGED,
        f"the host key of {error.hostname} has CHANGED: it showed {error.key.fingerprint}, {place} has "
        f"{error.expected_key.fingerprint}. Either the host was set up anew (then: {_forgetting(error, line, file)})"
        ", or someone is in between",
    )


def _forgetting(error: BadHostKeyException, line: KnownHostsLine | None, file: str) -> str:
    # ssh-keygen -R removes names, and no pattern.
    if line and any(set("*?!") & set(name) for name in line.names):
        return f"mend line {line.number} of {shlex.quote(str(line.file))}"
    return f"ssh-keygen {file}-R {shlex.quote(error.hostname)}"


def _unknown_key(error: UnknownHostKeyError, login: Login) -> HostFailure:
    if line := error.authority:
        return HostFailure(
            HostErrorCode.HOST_CERTIFICATE,
            f"the host key of {error.name} is not known; it showed {error.key.fingerprint}. {line.file}:{line.number} "
            "trusts a @cert-authority for it, but dockmesh cannot verify host certificates: add the host's own key",
        )
    file = shlex.quote(login.known_hosts or _DEFAULT_KNOWN_HOSTS).replace("'~/", "~/'")
    host, _, number = error.scanned.removeprefix("[").partition("]:")
    port = f"-p {number} " if number else ""
    renamed = "" if error.name == error.scanned else f"| sed {shlex.quote(f's/^[^ ]*/{error.name}/')} "
    return HostFailure(
        HostErrorCode.HOST_KEY_UNKNOWN,
        f"the host key of {error.name} is not known; it showed {error.key.fingerprint}. Let host_key_policy: "
        "accept-new learn it, or compare that on the host (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
        f"then: ssh-keyscan {port}{shlex.quote(host)} {renamed}>> {file}",
    )
