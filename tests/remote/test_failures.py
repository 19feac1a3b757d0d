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
from dockmesh.remote.failures import explain
from dockmesh.remote.hostkeys import Line, RevokedHostKeyError, UnknownHostKeyError

LOGIN = Login("192.0.2.1")
KEY, OTHER = ECDSAKey.generate(), ECDSAKey.generate()


def while_reading_the_banner(cause: Exception) -> SSHException:
    """As paramiko raises it: the cause is in the context alone."""
    raised = SSHException("Error reading SSH protocol banner")
    raised.__context__ = cause
    return raised


@pytest.mark.parametrize(
    ("error", "login", "parts"),
    [
        (TimeoutError("timed out"), LOGIN, ["192.0.2.1 does not answer", "is it up", "firewall"]),
        (socket.gaierror(-2, "Name or service not known"), Login("nowhere"), ["nowhere: no such name"]),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), Login("h"), ["h: nobody tells", "/etc/resolv.conf"]),
        (EOFError(), Login("192.0.2.1", port=80), ["192.0.2.1:80 broke the connection off", "SSH server?"]),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), LOGIN, ["refuses the connection", "sshd running", "port"]),
        (OSError(errno.EHOSTUNREACH, "x"), LOGIN, ["cannot be reached", "address right"]),
        (OSError(errno.ENETUNREACH, "x"), LOGIN, ["no route to it"]),
        (
            FileNotFoundError(errno.ENOENT, "x", "/keys/id"),
            LOGIN,
            ["the key /keys/id is not there", "identity_file"],
        ),
        (FileNotFoundError(errno.ENOENT, "x", "/run/netns/a"), LOGIN, ["no network namespace /run/netns/a", "netns"]),
        (PermissionError(errno.EPERM, "x"), Login("h", netns="lab"), ["needs root"]),
        (AuthenticationException("no"), Login("h", user="ann"), ["h does not let us in as ann", "identity_file"]),
        (AuthenticationException("no"), LOGIN, ["does not let us in: check user"]),
        (PasswordRequiredException("x"), LOGIN, ["encrypted", "ssh-add"]),
        (SSHException("Private key file needs a password"), LOGIN, ["encrypted", "ssh-add"]),
        (SSHException("Incompatible version\x1b[31m"), LOGIN, ["no SSH session", "Incompatible version)"]),
        (while_reading_the_banner(EOFError()), LOGIN, ["192.0.2.1 ends the connection", "PerSourcePenalties", "Wait"]),
        (while_reading_the_banner(TimeoutError()), LOGIN, ["192.0.2.1 takes the connection", "says nothing", "frozen"]),
        (SSHException("No existing session"), LOGIN, ["says nothing", "frozen"]),
        (AuthenticationException("Authentication timeout."), LOGIN, ["says nothing", "frozen"]),
        (AuthenticationException("transport shut down or saw EOF"), LOGIN, ["ends the connection", "MaxStartups"]),
        (SSHException(), LOGIN, ["no SSH session with 192.0.2.1 (SSHException)"]),
        (ValueError("bad key"), LOGIN, ["no SSH session with 192.0.2.1 (bad key)"]),
        (NoValidConnectionsError({("h", 22): OSError(1)}), LOGIN, ["no SSH session with 192.0.2.1"]),
        (
            UnknownHostKeyError("192.0.2.1", KEY),
            LOGIN,
            [KEY.fingerprint, "is not known", "ssh-keyscan 192.0.2.1 >> ~/'.ssh/known_hosts'"],
        ),
        (
            UnknownHostKeyError("[192.0.2.1]:2222", KEY),
            Login("192.0.2.1", port=2222, known_hosts="/my keys/known; reboot"),
            ["[192.0.2.1]:2222 is not known", "ssh-keyscan -p 2222 192.0.2.1 >> '/my keys/known; reboot'"],
        ),
        (
            BadHostKeyException("192.0.2.1", KEY, OTHER),
            LOGIN,
            ["has CHANGED", KEY.fingerprint, OTHER.fingerprint, "ssh-keygen -R 192.0.2.1", "someone is in between"],
        ),
    ],
)
def test_a_failure_names_the_cause_and_the_remedy_in_one_line(error: Exception, login: Login, parts: list[str]) -> None:
    said = explain(error, login)
    assert [part for part in parts if part not in said] == []
    assert said.isprintable()


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_any_error_of_a_socket_is_explained(code: int) -> None:
    said = explain(OSError(code, os.strerror(code)), LOGIN)
    assert said.startswith(("192.0.2.1 ", "no SSH session with 192.0.2.1"))


@pytest.mark.parametrize("file", ["~/.ssh/known_hosts", "/a b", "~/a'b; reboot"])
def test_the_remedy_can_be_pasted_into_a_shell(file: str) -> None:
    said = explain(UnknownHostKeyError("h", KEY), Login("h", known_hosts=file))
    *_, target = shlex.split(said.split("then: ")[1])
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
    keeper = Line(file, 7, (name,), OTHER) if file else None
    said = explain(BadHostKeyException(name, KEY, OTHER), Login("other", known_hosts="/unlike"), keeper)
    assert said.startswith(f"the host key of {name} has CHANGED")
    assert shlex.split(said.partition("then: ")[2].partition("), or")[0]) == remedy
    assert (f"{file}:7 has {OTHER.fingerprint}" in said) == (file is not None)


def test_a_changed_key_under_a_pattern_is_mended_by_hand() -> None:
    keeper = Line(Path("/known"), 7, ("*.lan",), OTHER)
    assert "mend line 7 of /known" in explain(BadHostKeyException("a.lan", KEY, OTHER), LOGIN, keeper)


def test_a_revoked_key_and_a_certificate_authority_are_named_with_their_lines() -> None:
    line = Line(Path("/known"), 7, ("*.lan",), KEY)
    assert "REVOKED by /known:7" in explain(RevokedHostKeyError("a.lan", KEY, line), LOGIN)
    said = explain(UnknownHostKeyError("a.lan", KEY, authority=line), LOGIN)
    assert "/known:7 trusts a @cert-authority" in said


def test_a_key_is_learnt_under_the_alias_from_where_the_host_is() -> None:
    said = explain(UnknownHostKeyError("web", KEY, "[192.0.2.1]:2222"), LOGIN)
    assert "ssh-keyscan -p 2222 192.0.2.1 | sed 's/^[^ ]*/web/' >> " in said
