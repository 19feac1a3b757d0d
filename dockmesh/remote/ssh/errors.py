"""Failures of logins, with a code, the place and the remedy, from the errors of sockets and of paramiko."""

import errno
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path

from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, PasswordRequiredException, SSHException

from dockmesh.core.host_output import sanitize
from dockmesh.core.model import Login
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure
from dockmesh.remote.ssh.hostkeys import KnownHostsLine, RevokedHostKeyError, UnknownHostKeyError
from dockmesh.remote.ssh.identity import LoginRefusedError

_NETWORK = {
    errno.ECONNREFUSED: HostFailure(
        HostErrorCode.CONNECTION_REFUSED,
        "connection refused. Fix: start sshd on the host (systemctl start ssh), or correct the port",
    ),
    errno.EHOSTUNREACH: HostFailure(
        HostErrorCode.UNREACHABLE, "host unreachable. Fix: start the host, or correct its address"
    ),
    errno.ENETUNREACH: HostFailure(
        HostErrorCode.NO_ROUTE, "this machine has no route to the host. Fix: add a route, or correct the address"
    ),
    errno.EPERM: HostFailure(
        HostErrorCode.NETNS_NOT_PERMITTED,
        "only root can enter the network namespace of the inventory. Fix: run dockmesh as root, or remove netns",
    ),
}
_THROTTLED = HostFailure(
    HostErrorCode.LOGIN_THROTTLED,
    "sshd closed the connection before the login. It may reject this machine for some minutes after failed logins "
    "(PerSourcePenalties of OpenSSH 9.8 and later, MaxStartups, fail2ban). Fix: wait and try again; on the host, "
    "journalctl -u ssh names the cause",
)
_SILENT = HostFailure(
    HostErrorCode.SSH_SILENT,
    "sshd accepted the connection and then sent nothing. The host may be frozen or short of memory. Fix: look at its "
    "console",
)
# The text of paramiko's error if a jump host does not reach a host in time.
_NO_CHANNEL = "Timeout opening channel."
_DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"
_SSH_PORT = 22


def explain(error: Exception, login: Login, line: KnownHostsLine | None = None) -> HostFailure:
    """The failure of a login as a value, in one line: `WHERE: problem. Fix: remedy`.

    `line`: the line of known_hosts with the expected key, where the host's key changed.
    """
    place = _place(login.address, login.port)
    match error:
        case UnknownHostKeyError():
            return _unknown_key(error, login)
        case RevokedHostKeyError():
            return HostFailure(
                HostErrorCode.HOST_KEY_REVOKED,
                f"{error.name}: the host key {error.key.fingerprint} is REVOKED by {error.line.file}:"
                f"{error.line.number}. Someone may intercept the connection. Fix: create a new key on the host",
            )
        case BadHostKeyException():
            return _changed_key(error, line)
        case LoginRefusedError():
            return _login_refused(error, login)
        case SSHException():
            return _ssh_failure(error, place, login)
        case _:
            return _not_connected(error, place, login)


def _place(address: str, port: int | None) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _ssh_failure(error: SSHException, place: str, login: Login) -> HostFailure:
    if isinstance(error, PasswordRequiredException) or "password" in str(error).lower():
        files = sanitize(str(error)) if isinstance(error, PasswordRequiredException) else ""
        command = f"ssh-add {' '.join(map(shlex.quote, files.split(', ')))}" if files else "ssh-add FILE"
        return HostFailure(
            HostErrorCode.KEY_ENCRYPTED,
            f"{place}: the private key{f' {files}' if files else ''} is encrypted, and the agent does not hold it. "
            f"Fix: {command}",
        )
    if str(error) == _NO_CHANNEL:
        return _not_connected(TimeoutError(), place, login)
    if cut := _cut_off(error):
        return HostFailure(cut.code, f"{place}: {cut}")
    if isinstance(error, AuthenticationException):
        user = f" for user {login.user}" if login.user else ""
        return HostFailure(
            HostErrorCode.LOGIN_REFUSED,
            f"{place}: sshd rejected the login{user}. Fix: correct user, port and identity_file",
        )
    return _failed(error, place)


def _login_refused(error: LoginRefusedError, login: Login) -> HostFailure:
    place = _place(error.host, error.port)
    target = shlex.quote(f"{error.user}@{error.host}")
    jump = _jump_path(login, error.host)
    key = f"-i {_shell_path(error.file)} " if error.file else ""
    test = f"{_netns(login)}ssh {key}-p {error.port} {f'-J {shlex.quote(jump)} ' if jump else ''}{target}"
    if not error.offered:
        return HostFailure(
            HostErrorCode.LOGIN_REFUSED,
            f"{place}: there is no key to offer for user {error.user}: no file of identity_file or ~/.ssh, and no key "
            f"in the agent. Fix: set identity_file, or load a key with ssh-add; then test: {test}",
        )
    keys = ", ".join(error.offered)
    if error.more:
        return HostFailure(
            HostErrorCode.LOGIN_REFUSED,
            f"{place}: sshd accepted the key of user {error.user} ({error.offered[-1]}), but also requires "
            f"{', '.join(error.more)}, which dockmesh does not support. Fix: let sshd accept a key alone for this user "
            "(AuthenticationMethods publickey)",
        )
    copy = ""
    if error.file:
        proxy = f"-o ProxyJump={shlex.quote(jump)} " if jump else ""
        copy = f"; or install the key: {_netns(login)}ssh-copy-id {key}-p {error.port} {proxy}{target}"
    return HostFailure(
        HostErrorCode.LOGIN_REFUSED,
        f"{place}: sshd rejected user {error.user} with {keys}. "
        f"Fix: correct user, port or identity_file, and test: {test}{copy}",
    )


def _failed(error: Exception, place: str) -> HostFailure:
    cause = sanitize(str(error)) or type(error).__name__
    return HostFailure(HostErrorCode.SSH_FAILED, f"{place}: the SSH session failed ({cause})")


def _cut_off(error: SSHException) -> HostFailure | None:
    """Whether the host was silent or cut the connection, where paramiko's error means one of them."""
    text = str(error)
    if "protocol banner" in text:
        # paramiko raises the same error for both. Only the error that it handled at that moment differs.
        return _SILENT if isinstance(error.__context__, TimeoutError) else _THROTTLED
    if text == "No existing session" or "Authentication timeout" in text:
        return _SILENT
    return _THROTTLED if "saw EOF" in text else None


def _not_connected(error: Exception, place: str, login: Login) -> HostFailure:
    match error:
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return HostFailure(
                HostErrorCode.RESOLVER_FAILED,
                f"{login.address}: the resolver does not answer. Fix: check the servers in /etc/resolv.conf, or write "
                "an IP address",
            )
        case socket.gaierror():
            return HostFailure(
                HostErrorCode.NAME_NOT_FOUND, f"{login.address}: no such name. Fix: correct the address, or the DNS"
            )
        case TimeoutError():
            return HostFailure(
                HostErrorCode.CONNECT_TIMEOUT,
                f"{place}: no answer to the connection. Fix: start the host, or allow SSH in the firewalls between",
            )
        case EOFError():
            return HostFailure(
                HostErrorCode.NOT_SSH,
                f"{place}: the server closed the connection, and may not be an SSH server. Fix: correct the port",
            )
        case FileNotFoundError(filename=str() as file):
            return _missing(file, place)
        case OSError() if error.errno in _NETWORK:
            network = _NETWORK[error.errno]
            return HostFailure(network.code, f"{place}: {network}")
        case _:
            return _failed(error, place)


def _missing(file: str, place: str) -> HostFailure:
    if file.startswith("/run/netns/"):
        problem = f"there is no network namespace {file}. Fix: create it, or correct netns in the inventory"
        return HostFailure(HostErrorCode.NETNS_MISSING, f"{place}: {problem}")
    problem = f"there is no private key {file}. Fix: correct identity_file, or create the key with ssh-keygen"
    return HostFailure(HostErrorCode.KEY_MISSING, f"{place}: {problem}")


def _changed_key(error: BadHostKeyException, line: KnownHostsLine | None) -> HostFailure:
    place = f"{line.file}:{line.number}" if line and line.number else "known_hosts"
    return HostFailure(
        HostErrorCode.HOST_KEY_CHANGED,
        f"{error.hostname}: the host key has CHANGED to {error.key.fingerprint}; {place} has "
        f"{error.expected_key.fingerprint}. The host was installed again, or someone intercepts the connection. "
        f"Fix, if the host was installed again: {_removal(error, line)}",
    )


def _removal(error: BadHostKeyException, line: KnownHostsLine | None) -> str:
    """The command that removes the old key."""
    # ssh-keygen -R removes names, and no pattern.
    if line and any(set("*?!") & set(name) for name in line.names):
        return f"edit line {line.number} of {shlex.quote(str(line.file))}"
    default = line is None or line.file == Path(_DEFAULT_KNOWN_HOSTS).expanduser()
    file = "" if default or line is None else f"-f {shlex.quote(str(line.file))} "
    return f"ssh-keygen {file}-R {shlex.quote(error.hostname)}"


def _unknown_key(error: UnknownHostKeyError, login: Login) -> HostFailure:
    if line := error.authority:
        return HostFailure(
            HostErrorCode.HOST_CERTIFICATE,
            f"{error.name}: unknown host key {error.key.fingerprint}. {line.file}:{line.number} trusts a "
            "@cert-authority for it, but dockmesh cannot verify host certificates. Fix: add the host's own key",
        )
    host, _, number = error.scanned.removeprefix("[").partition("]:")
    kind = error.key.get_name().removeprefix("ssh-").partition("-")[0]
    # The scan must take the path of the login, because the host may be out of reach from here.
    hops = _jump_path(login, host).split(",")
    through = f"{_ssh_to(hops)} " if hops != [""] else _netns(login)
    renamed = "" if error.name == error.scanned else f"| sed {shlex.quote(f's/^[^ ]*/{error.name}/')} "
    file = _shell_path(error.file or login.known_hosts or _DEFAULT_KNOWN_HOSTS)
    return HostFailure(
        HostErrorCode.HOST_KEY_UNKNOWN,
        f"{error.name}: unknown host key {error.key.fingerprint}. Fix: trust the first key of each host with "
        "host_key_policy: accept-new (init: --connection host_key_policy=accept-new); or compare the fingerprint on "
        f"the host (ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then: "
        f"{through}ssh-keyscan -p {number or _SSH_PORT} {shlex.quote(host)} {renamed}>> {file}",
    )


def _jump_path(login: Login, host: str) -> str:
    """The jump hosts of the inventory in front of `host`, which may be one of them; with commas, as ssh -J has them."""
    hops = [hop.strip() for hop in (login.jump or "").split(",") if hop.strip()]
    before = next((at for at, hop in enumerate(hops) if _host_of(hop) == host), len(hops))
    return ",".join(hops[:before])


def _host_of(hop: str) -> str:
    """The host of `[USER@]HOST[:PORT]`."""
    name = hop.rpartition("@")[2]
    return name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]


def _ssh_to(hops: Sequence[str]) -> str:
    """The ssh command that runs another one on the last of `hops`."""
    *before, last = hops
    path = f"-J {shlex.quote(','.join(before))} " if before else ""
    # Of the forms with a port, ssh accepts a URI alone.
    return f"ssh {path}{shlex.quote(f'ssh://{last}')}"


def _netns(login: Login) -> str:
    return f"ip netns exec {shlex.quote(login.netns)} " if login.netns else ""


def _shell_path(file: str | Path) -> str:
    """The file as a word of a shell command, where `~/` stays outside the quotes."""
    text = str(file)
    home = f"{Path.home()}/"
    if text.startswith(home):
        text = f"~/{text.removeprefix(home)}"
    return f"~/{shlex.quote(text[2:])}" if text.startswith("~/") else shlex.quote(text)
