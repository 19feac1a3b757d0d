"""Why a login failed, in words that say what to do."""

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
from dockmesh.remote.ssh.errors import explain
from dockmesh.remote.ssh.hostkeys import KnownHostsLine, RevokedHostKeyError, UnknownHostKeyError

LOGIN = Login("192.0.2.1")
KEY, OTHER = ECDSAKey.generate(), ECDSAKey.generate()


def while_reading_the_banner(cause: Exception) -> SSHException:
    """As paramiko raises it: the cause is in the context alone."""
    raised = SSHException("Error reading SSH protocol banner")
    raised.__context__ = cause
    return raised


@pytest.mark.parametrize(
    ("error", "login", "code", "parts"),
    [
        (TimeoutError("timed out"), LOGIN, "connect-timeout", ["192.0.2.1"]),
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
                "ssh-keyscan 192.0.2.1 >> ~/'.ssh/known_hosts'",
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
def test_a_failure_has_a_code_and_names_place_and_remedy_in_one_line(
    error: Exception, login: Login, code: str, parts: list[str]
) -> None:
    failure = explain(error, login)
    assert failure.code == code
    assert [part for part in parts if part not in failure.message] == []
    assert failure.message.isprintable()


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_any_error_of_a_socket_is_explained(code: int) -> None:
    failure = explain(OSError(code, os.strerror(code)), LOGIN)
    assert failure.code in set(HostErrorCode)
    assert "192.0.2.1" in failure.message


@pytest.mark.parametrize("file", ["~/.ssh/known_hosts", "/a b", "~/a'b; reboot"])
def test_the_remedy_can_be_pasted_into_a_shell(file: str) -> None:
    failure = explain(UnknownHostKeyError("h", KEY), Login("h", known_hosts=file))
    *_, target = shlex.split(failure.message[failure.message.index("ssh-keyscan") :])
    assert target == file


@pytest.mark.parametrize(
    ("name", "file", "remedy"),
    [
        ("192.0.2.1", None, ["ssh-keygen", "-R", "192.0.2.1"]),
        ("192.0.2.1", Path("~/.ssh/known_hosts").expanduser(), ["ssh-keygen", "-R", "192.0.2.1"]),
        ("[h]:2222", Path("/my keys/known"), ["ssh-keygen", "-f", "/my keys/known", "-R", "[h]:2222"]),
    ],
)
def test_a_changed_key_is_removed_from_the_file_that_has_it_under_the_name_it_has_there(
    name: str, file: Path | None, remedy: list[str]
) -> None:
    keeper = KnownHostsLine(file, 7, (name,), OTHER) if file else None
    failure = explain(BadHostKeyException(name, KEY, OTHER), Login("other", known_hosts="/unlike"), keeper)
    said = failure.message
    assert (failure.code, name in said) == ("host-key-changed", True)
    assert shlex.split(said[said.index("ssh-keygen") :].partition(")")[0]) == remedy
    assert (f"{file}:7" in said) == (file is not None)
    assert OTHER.fingerprint in said


def test_a_changed_key_under_a_pattern_is_mended_by_hand() -> None:
    keeper = KnownHostsLine(Path("/known"), 7, ("*.lan",), OTHER)
    failure = explain(BadHostKeyException("a.lan", KEY, OTHER), LOGIN, keeper)
    assert failure.code == "host-key-changed"
    assert "line 7 of /known" in failure.message
    assert "ssh-keygen" not in failure.message


def test_a_revoked_key_and_a_certificate_authority_are_named_with_their_lines() -> None:
    line = KnownHostsLine(Path("/known"), 7, ("*.lan",), KEY)
    revoked = explain(RevokedHostKeyError("a.lan", KEY, line), LOGIN)
    assert (revoked.code, "/known:7" in revoked.message) == ("host-key-revoked", True)
    certified = explain(UnknownHostKeyError("a.lan", KEY, authority=line), LOGIN)
    assert (certified.code, "/known:7" in certified.message) == ("host-certificate", True)


def test_a_key_is_learnt_under_the_alias_from_where_the_host_is() -> None:
    failure = explain(UnknownHostKeyError("web", KEY, "[192.0.2.1]:2222"), LOGIN)
    assert failure.code == "host-key-unknown"
    assert "ssh-keyscan -p 2222 192.0.2.1 | sed 's/^[^ ]*/web/' >> " in failure.message
