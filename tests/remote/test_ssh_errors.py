"""Errors of logins: their codes, and the remedies that they name."""

import errno
import os
import shlex
import socket
from pathlib import Path

import pytest
from paramiko import ECDSAKey
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    NoValidConnectionsError,
    PasswordRequiredException,
    SSHException,
)

from dockmesh.core.model import Login
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure
from dockmesh.remote.ssh.errors import explain
from dockmesh.remote.ssh.hostkeys import KnownHostsLine, RevokedHostKeyError, UnknownHostKeyError
from dockmesh.remote.ssh.identity import Identity, LoginRefusedError
from dockmesh.remote.ssh.keys import Keys

LOGIN = Login("192.0.2.1")
KEY, OTHER = ECDSAKey.generate(), ECDSAKey.generate()


def while_reading_the_banner(cause: Exception) -> SSHException:
    """The error of paramiko. Only its context has the cause."""
    raised = SSHException("Error reading SSH protocol banner")
    raised.__context__ = cause
    return raised


@pytest.mark.parametrize(
    ("error", "login", "code", "parts"),
    [
        (TimeoutError("timed out"), LOGIN, "connect-timeout", ["192.0.2.1"]),
        (SSHException("Timeout opening channel."), LOGIN, "connect-timeout", ["192.0.2.1"]),
        (socket.gaierror(-2, "Name or service not known"), Login("nowhere"), "name-not-found", ["nowhere"]),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
            Login("h"),
            "resolver-failed",
            ["h", "/etc/resolv.conf"],
        ),
        (EOFError(), Login("192.0.2.1", port=80), "not-ssh", ["192.0.2.1:80"]),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), LOGIN, "connection-refused", ["192.0.2.1", "sshd"]),
        (OSError(errno.EHOSTUNREACH, "x"), LOGIN, "unreachable", ["192.0.2.1"]),
        (OSError(errno.ENETUNREACH, "x"), LOGIN, "no-route", ["192.0.2.1"]),
        (FileNotFoundError(errno.ENOENT, "x", "/keys/id"), LOGIN, "key-missing", ["/keys/id", "identity_file"]),
        (FileNotFoundError(errno.ENOENT, "x", "/run/netns/a"), LOGIN, "netns-missing", ["/run/netns/a", "netns"]),
        (PermissionError(errno.EPERM, "x"), Login("h", netns="lab"), "netns-not-permitted", ["h", "root"]),
        (AuthenticationException("no"), Login("h", user="ann"), "login-refused", ["h", "ann", "identity_file"]),
        (AuthenticationException("no"), LOGIN, "login-refused", ["192.0.2.1", "user"]),
        (PasswordRequiredException("x"), LOGIN, "key-encrypted", ["192.0.2.1", "ssh-add"]),
        (SSHException("Private key file needs a password"), LOGIN, "key-encrypted", ["192.0.2.1", "ssh-add"]),
        (SSHException("Incompatible version\x1b[31m"), LOGIN, "ssh-failed", ["192.0.2.1", "Incompatible version)"]),
        (
            while_reading_the_banner(EOFError()),
            LOGIN,
            "login-throttled",
            ["192.0.2.1", "PerSourcePenalties", "MaxStartups", "journalctl"],
        ),
        (while_reading_the_banner(TimeoutError()), LOGIN, "ssh-silent", ["192.0.2.1"]),
        (SSHException("No existing session"), LOGIN, "ssh-silent", ["192.0.2.1"]),
        (AuthenticationException("Authentication timeout."), LOGIN, "ssh-silent", ["192.0.2.1"]),
        (
            AuthenticationException("transport shut down or saw EOF"),
            LOGIN,
            "login-throttled",
            ["192.0.2.1", "MaxStartups"],
        ),
        (SSHException(), LOGIN, "ssh-failed", ["192.0.2.1", "SSHException"]),
        (ValueError("bad key"), LOGIN, "ssh-failed", ["192.0.2.1", "bad key"]),
        (NoValidConnectionsError({("h", 22): OSError(1)}), LOGIN, "ssh-failed", ["192.0.2.1"]),
        (
            UnknownHostKeyError("192.0.2.1", KEY),
            LOGIN,
            "host-key-unknown",
            [
                KEY.fingerprint,
                "192.0.2.1",
                "--connection host_key_policy=accept-new",
                "ssh-keyscan -p 22 192.0.2.1 >> ~/.ssh/known_hosts",
            ],
        ),
        (
            UnknownHostKeyError("[192.0.2.1]:2222", KEY),
            Login("192.0.2.1", port=2222, known_hosts="/my keys/known; reboot"),
            "host-key-unknown",
            ["[192.0.2.1]:2222", "ssh-keyscan -p 2222 192.0.2.1 >> '/my keys/known; reboot'"],
        ),
        (
            BadHostKeyException("192.0.2.1", KEY, OTHER),
            LOGIN,
            "host-key-changed",
            [KEY.fingerprint, OTHER.fingerprint, "ssh-keygen -R 192.0.2.1"],
        ),
    ],
)
def test_a_failure_names_its_code_its_place_and_a_remedy(
    error: Exception, login: Login, code: str, parts: list[str]
) -> None:
    failure = explain(error, login)
    assert failure.code == code
    assert [part for part in parts if part not in failure.message] == []
    assert failure.message.isprintable()


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_each_error_of_a_socket_has_a_code(code: int) -> None:
    failure = explain(OSError(code, os.strerror(code)), LOGIN)
    assert failure.code in set(HostErrorCode)
    assert "192.0.2.1" in failure.message


@pytest.mark.parametrize("file", ["~/.ssh/known_hosts", "/a b", "~/a'b; reboot"])
def test_the_remedy_can_be_pasted_into_a_shell(file: str) -> None:
    failure = explain(UnknownHostKeyError("h", KEY), Login("h", known_hosts=file))
    assert scan(failure)[-1] == file


def scan(failure: HostFailure) -> list[str]:
    """The words of the command that adds the host key."""
    return shlex.split(failure.message.rpartition("then: ")[2])


@pytest.mark.parametrize(
    ("name", "login", "command"),
    [
        ("[h]:2222", Login("h", port=2222), ["ssh-keyscan", "-p", "2222", "h", ">>", "/read"]),
        ("h", Login("h", netns="lab"), ["ip", "netns", "exec", "lab", "ssh-keyscan", "-p", "22", "h", ">>", "/read"]),
        ("h", Login("h", jump="ann@b:24"), ["ssh", "ssh://ann@b:24", "ssh-keyscan", "-p", "22", "h", ">>", "/read"]),
        ("h", Login("h", jump="a,b"), ["ssh", "-J", "a", "ssh://b", "ssh-keyscan", "-p", "22", "h", ">>", "/read"]),
        ("[b]:24", Login("h", jump="ann@b:24"), ["ssh-keyscan", "-p", "24", "b", ">>", "/read"]),
    ],
    ids=["port", "netns", "jump", "jumps", "of the jump host"],
)
def test_the_scan_takes_the_path_and_the_file_of_the_login(name: str, login: Login, command: list[str]) -> None:
    failure = explain(UnknownHostKeyError(name, KEY, file=Path("/read")), login)
    assert scan(failure) == command
    assert "host_key_policy: accept-new" in failure.message
    assert "--connection host_key_policy=accept-new" in failure.message


def refused(login: Login, *offered: str, file: str | None = None, more: tuple[str, ...] = ()) -> HostFailure:
    identity = Identity(Keys(), login.user or "root", login.address, login.port or 22)
    return explain(LoginRefusedError(identity, offered, file=Path(file) if file else None, more=more), login)


@pytest.mark.parametrize(
    ("login", "file", "test", "install"),
    [
        (
            Login("192.0.2.1", "ann", 2222),
            "/k/my id",
            "ssh -i '/k/my id' -p 2222 ann@192.0.2.1",
            "ssh-copy-id -i '/k/my id' -p 2222 ann@192.0.2.1",
        ),
        (
            Login("192.0.2.1", "ann", jump="b@bastion"),
            "/k/id",
            "ssh -i /k/id -p 22 -J b@bastion ann@192.0.2.1",
            "ssh-copy-id -i /k/id -p 22 -o ProxyJump=b@bastion ann@192.0.2.1",
        ),
        (Login("192.0.2.1", "ann"), None, "ssh -p 22 ann@192.0.2.1", None),
    ],
)
def test_a_refused_login_names_key_user_port_and_the_commands(
    login: Login, file: str | None, test: str, install: str | None
) -> None:
    failure = refused(login, f"key {file}", file=file)
    assert failure.code == "login-refused"
    assert f"192.0.2.1:{login.port or 22}" in failure.message
    assert [part for part in (f"user {login.user}", f"key {file}", "Fix: ", test) if part not in failure.message] == []
    assert ("ssh-copy-id" in failure.message) == (install is not None)
    assert (install or "") in failure.message


def test_a_login_without_keys_and_one_with_two_factors_differ() -> None:
    none, more = refused(LOGIN), refused(LOGIN, "key /a", more=("keyboard-interactive",))
    assert none.code == more.code == "login-refused"
    assert "ssh-add" in none.message
    assert [part for part in ("key /a", "keyboard-interactive") if part not in more.message] == []


@pytest.mark.parametrize(
    ("name", "file", "remedy"),
    [
        ("192.0.2.1", None, ["ssh-keygen", "-R", "192.0.2.1"]),
        ("192.0.2.1", Path("~/.ssh/known_hosts").expanduser(), ["ssh-keygen", "-R", "192.0.2.1"]),
        ("[h]:2222", Path("/my keys/known"), ["ssh-keygen", "-f", "/my keys/known", "-R", "[h]:2222"]),
    ],
)
def test_the_remedy_removes_a_changed_key_from_its_own_line(name: str, file: Path | None, remedy: list[str]) -> None:
    line = KnownHostsLine(file, 7, (name,), OTHER) if file else None
    failure = explain(BadHostKeyException(name, KEY, OTHER), Login("other", known_hosts="/unlike"), line)
    message = failure.message
    assert (failure.code, name in message) == ("host-key-changed", True)
    assert shlex.split(message[message.index("ssh-keygen") :]) == remedy
    assert (f"{file}:7" in message) == (file is not None)
    assert OTHER.fingerprint in message


def test_a_changed_key_with_a_pattern_needs_an_editor() -> None:
    line = KnownHostsLine(Path("/known"), 7, ("*.lan",), OTHER)
    failure = explain(BadHostKeyException("a.lan", KEY, OTHER), LOGIN, line)
    assert failure.code == "host-key-changed"
    assert "line 7 of /known" in failure.message
    assert "ssh-keygen" not in failure.message


def test_errors_name_the_line_with_a_revocation_or_an_authority() -> None:
    line = KnownHostsLine(Path("/known"), 7, ("*.lan",), KEY)
    revoked = explain(RevokedHostKeyError("a.lan", KEY, line), LOGIN)
    assert (revoked.code, "/known:7" in revoked.message) == ("host-key-revoked", True)
    certified = explain(UnknownHostKeyError("a.lan", KEY, authority=line), LOGIN)
    assert (certified.code, "/known:7" in certified.message) == ("host-certificate", True)


def test_the_remedy_adds_a_key_with_its_alias() -> None:
    failure = explain(UnknownHostKeyError("web", KEY, "[192.0.2.1]:2222"), LOGIN)
    assert failure.code == "host-key-unknown"
    assert "ssh-keyscan -p 2222 192.0.2.1 | sed 's/^[^ ]*/web/' >> " in failure.message
