"""Host keys: which ones a client trusts, and which ones known_hosts gets."""

import threading
from pathlib import Path

import pytest
from paramiko import ECDSAKey, PKey, SSHClient
from paramiko.hostkeys import HostKeys

from dockmesh.remote.ssh.hostkeys import (
    AcceptNewPolicy,
    KnownHosts,
    RevokedHostKeyError,
    StrictPolicy,
    UnknownHostKeyError,
)

ONE, OTHER = ECDSAKey.generate(), ECDSAKey.generate()
NAME = "192.168.18.128"


def line(names: str, key: PKey) -> str:
    return f"{names} {key.get_name()} {key.get_base64()}"


def trusted(known: KnownHosts, name: str) -> PKey | None:
    """The key that a client requires of the host."""
    with SSHClient() as client:
        known.trust(client, name)
        keys = client.get_host_keys().lookup(name)
        return keys[ONE.get_name()] if keys else None


@pytest.mark.parametrize(
    ("names", "name", "known"),
    [
        (NAME, NAME, True),
        (f"web,{NAME}", NAME, True),
        pytest.param(HostKeys.hash_host(NAME), NAME, True, id="hashed"),
        (f"[{NAME}]:2222", f"[{NAME}]:2222", True),
        (f"[{NAME}]:2222", NAME, False),
        (NAME, "192.168.18.12", False),
        ("192.168.18.*", NAME, True),
        ("192.168.18.12?", NAME, True),
        (f"192.168.18.*,!{NAME}", NAME, False),
        ("[192.168.*]:2222", f"[{NAME}]:2222", True),
        ("[192.168.*]:2222", NAME, False),
        ("WEB.lan", "web.LAN", True),
        ("|1|x|y", NAME, False),
    ],
)
def test_a_client_trusts_the_keys_of_its_host_only(tmp_path: Path, names: str, name: str, known: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# mine\n\n{line('elsewhere', OTHER)}\n{line(names, ONE)} ann@desk\n", encoding="ascii")
    assert trusted(KnownHosts([file]), name) == (ONE if known else None)


def test_all_files_are_read_and_a_missing_one_has_no_key(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text(line(NAME, ONE), encoding="ascii")
    assert trusted(KnownHosts([tmp_path / "none", second]), NAME) == ONE
    assert trusted(KnownHosts([]), NAME) is None


@pytest.mark.parametrize("text", ["", "nonsense", f"{NAME} ssh-ed25519", f"{NAME} ssh-ed25519 !!!!", "@revoked x y z"])
def test_a_line_without_a_key_is_skipped(tmp_path: Path, text: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{text}\n{line(NAME, ONE)}\n", encoding="ascii")
    assert trusted(KnownHosts([file]), NAME) == ONE


def test_strict_rejects_an_unknown_key_and_has_its_fingerprint() -> None:
    with SSHClient() as client, pytest.raises(UnknownHostKeyError) as caught:
        StrictPolicy(KnownHosts([])).missing_host_key(client, NAME, ONE)
    assert (caught.value.name, caught.value.key) == (NAME, ONE)
    assert ONE.fingerprint in str(caught.value)


@pytest.mark.parametrize("before", [None, "", "# mine\n", "# no newline at the end"])
def test_accept_new_stores_a_key_for_this_run_and_the_next(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "deep" / "known_hosts"
    if before is not None:
        file.parent.mkdir()
        file.write_text(before, encoding="ascii")
    known = KnownHosts([file])
    with SSHClient() as client:
        AcceptNewPolicy(known).missing_host_key(client, NAME, ONE)
    assert trusted(known, NAME) == ONE
    assert trusted(KnownHosts([file]), NAME) == ONE
    lines = file.read_text(encoding="ascii").splitlines()
    assert lines == [*(before or "").splitlines(), line(NAME, ONE)]


def test_keys_accepted_at_the_same_time_are_all_stored(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    known = KnownHosts([file])
    threads = [threading.Thread(target=known.accept, args=(f"10.0.0.{at}", ONE)) for at in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(trusted(KnownHosts([file]), f"10.0.0.{at}") == ONE for at in range(20))


def test_the_line_of_a_key_is_known(tmp_path: Path) -> None:
    first, second, absent = (tmp_path / name for name in ("first", "second", "absent"))
    first.write_text(f"# mine\n{line('web', ONE)}\n{line('web', OTHER)}\n")
    second.write_text(line(HostKeys.hash_host(NAME), ONE))
    known = KnownHosts([absent, first, second])
    lines = [known.line_for("web"), known.line_for("web", OTHER), known.line_for(NAME)]
    assert [(each.file, each.number) for each in lines if each] == [(first, 2), (first, 3), (second, 1)]
    assert known.line_for("db") is None


@pytest.mark.parametrize("policy", [StrictPolicy, AcceptNewPolicy])
def test_a_revoked_key_is_neither_trusted_nor_stored(
    tmp_path: Path, policy: type[StrictPolicy] | type[AcceptNewPolicy]
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{line(NAME, ONE)}\n@revoked  {line('*', ONE)}\n")
    known = KnownHosts([file])
    assert trusted(known, NAME) is None
    with SSHClient() as client, pytest.raises(RevokedHostKeyError) as caught:
        policy(known).missing_host_key(client, NAME, ONE)
    assert caught.value.line.number == 2


def test_an_authority_is_named_and_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"@cert-authority {line('192.168.*', ONE)}\n")
    known = KnownHosts([file])
    assert trusted(known, NAME) is None
    with SSHClient() as client, pytest.raises(UnknownHostKeyError) as caught:
        StrictPolicy(known).missing_host_key(client, NAME, ONE)
    assert caught.value.authority is not None


def test_a_host_is_known_by_its_alias(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    known = KnownHosts([file])
    with SSHClient() as client:
        AcceptNewPolicy(known, "web").missing_host_key(client, NAME, ONE)
        known.trust(client, NAME, "web")
        assert client.get_host_keys().lookup(NAME) is not None
    assert file.read_text() == f"{line('web', ONE)}\n"


def test_an_unknown_key_belongs_into_the_first_file(tmp_path: Path) -> None:
    known = KnownHosts([tmp_path / "first", tmp_path / "second"])
    with SSHClient() as client, pytest.raises(UnknownHostKeyError) as caught:
        StrictPolicy(known).missing_host_key(client, NAME, ONE)
    assert caught.value.file == tmp_path / "first"
