"""Logins: rejected keys, new host keys, sudo and silent hosts."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import mesh
import pytest
import yaml
from accidents import output_of, paused, silent, temporarily, temporary_file
from mesh import CommandResult, Mesh

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

SUDOERS = "/etc/sudoers.d/admin"
PENDING, PENALTY_S = 2, 60


def error_of(answer: CommandResult, host: str) -> tuple[str, str]:
    """The code and the error of the host's plan. All other hosts were read."""
    errors = {each["host"]: (each["code"], each["error"]) for each in answer.document["hosts"]}
    code, error = errors.pop(host)
    assert set(errors.values()) <= {(None, None)}
    assert answer.status == 3
    assert answer.document["summary"]["errors"] == 1
    assert isinstance(code, str)
    assert isinstance(error, str)
    return code, error


@pytest.mark.usefixtures("fresh")
def test_a_rejected_key_is_an_error_of_that_host(lab: Lab, tmp_path: Path) -> None:
    key = tmp_path / "id_other"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    fleet = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {"identity_file": str(key)}})
    code, error = error_of(fleet.dockmesh("plan", "--json"), "host2")
    assert code == "login-refused"
    assert [part for part in ("192.168.18.129", "root", "identity_file") if part not in error] == []


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("jump", "words", "expected_s"),
    [(None, (), 10), (None, ("--connect-timeout", "3"), 3), ("host1", ("--connect-timeout", "3"), 3)],
)
def test_a_host_that_is_down_is_reported_after_the_connect_timeout(
    lab: Lab, tmp_path: Path, jump: str | None, words: tuple[str, ...], expected_s: int
) -> None:
    keys = {"jump": f"root@{lab.topology.host(jump).underlay.ip}"} if jump else {}
    fleet, log = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": keys}), tmp_path / "log"
    with silent(lab, "host2", seen_by=jump):
        assert (
            error_of(fleet.dockmesh("plan", "--json", "--log-file", str(log), *words), "host2")[0] == "connect-timeout"
        )
    events = map(json.loads, log.read_text().splitlines())
    (took_s,) = [each["seconds"] for each in events if (each["event"], each["host"]) == ("login", "host2")]
    assert expected_s <= took_s < expected_s + 3


@pytest.mark.usefixtures("fresh")
def test_accept_new_stores_a_host_key_once_and_strict_accepts_it(lab: Lab, tmp_path: Path) -> None:
    learnt = tmp_path / "known_hosts"
    keys = {"known_hosts": str(learnt)}
    accepting = mesh.write_inventory(lab, tmp_path, {"host1": {**keys, "host_key_policy": "accept-new"}})
    strict = mesh.write_inventory(lab, tmp_path, {"host1": keys}, name="strict.yml")
    assert error_of(strict.dockmesh("plan", "--json"), "host1")[0] == "host-key-unknown"
    assert not learnt.exists()
    assert [accepting.dockmesh("plan").status for _ in range(2)] == [2, 2]
    public = output_of(lab, "host1", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert [line.split()[2] for line in learnt.read_text().splitlines()] == [public]
    assert strict.dockmesh("plan").status == 2


@pytest.mark.usefixtures("fresh")
def test_known_hosts_is_read_as_in_openssh_and_named_by_line(lab: Lab, tmp_path: Path) -> None:
    public = " ".join(output_of(lab, "host1", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    other = " ".join(output_of(lab, "host2", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    known = tmp_path / "known_hosts"
    fleet = mesh.write_inventory(lab, tmp_path, {"host1": {"known_hosts": str(known)}})
    known.write_text(f"# mine\n192.168.18.* {public}\n")
    assert fleet.dockmesh("plan").status == PENDING
    known.write_text(f"# mine\n192.168.18.128 {other}\n")
    code, changed = error_of(fleet.dockmesh("plan", "--json"), "host1")
    assert code == "host-key-changed"
    assert [part for part in (f"{known}:2", "SHA256:", f"-f {known}") if part not in changed] == []
    known.write_text(f"192.168.18.128 {public}\n@revoked * {public}\n")
    code, revoked = error_of(fleet.dockmesh("plan", "--json"), "host1")
    assert (code, f"{known}:2" in revoked) == ("host-key-revoked", True)


@pytest.mark.usefixtures("fresh")
def test_a_host_whose_sudo_needs_a_password_is_refused(lab: Lab, tmp_path: Path) -> None:
    fleet = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host3": {"user": "admin", "become": "sudo"}})
    assert fleet.dockmesh("plan").status == 2
    with temporary_file(lab, "host3", SUDOERS, "admin ALL=(ALL:ALL) ALL\n"):
        code, error = error_of(fleet.dockmesh("plan", "--json"), "host3")
    assert code == "sudo-password"
    assert "sudo: a password is required" in error, "quoted"
    assert "-K" in error


@pytest.mark.usefixtures("fresh")
def test_sudo_receives_the_password_once_even_if_it_is_wrong(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = mesh.write_inventory(
        lab, tmp_path, {name: {"user": "admin", "become": "sudo"} for name in ("host1", "host3")}
    )
    askpass, asked = tmp_path / "askpass", tmp_path / "asked"
    askpass.touch(mode=0o700)
    monkeypatch.setenv("SUDO_ASKPASS", str(askpass))
    admin = (
        temporary_file(lab, "host3", SUDOERS, "admin ALL=(ALL:ALL) ALL\nDefaults:admin lecture=always\n"),
        temporarily(
            lab,
            "host3",
            do=["mkdir /root/kept; cp -p /etc/shadow* /root/kept", "echo 'admin:Passw0rd $x' | chpasswd"],
            undo=["mv /root/kept/* /etc; rmdir /root/kept"],
        ),
    )
    with admin[0], admin[1]:
        for password, status in (("Passw0rd $x", 2), ("Guess3d $y", 3)):
            asked.write_text("")
            askpass.write_text(f"#!/bin/sh\necho >>{asked}\necho '{password}'\n")
            answer = fleet.dockmesh("plan", "--json", "-K")
            assert (answer.status, asked.read_text()) == (status, "\n"), answer
            assert password not in answer.stdout + answer.stderr
    assert error_of(answer, "host3")[0] == "sudo-password-wrong"


@pytest.mark.usefixtures("fresh")
def test_an_encrypted_key_needs_its_passphrase_or_ssh_add(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, askpass = tmp_path / "id_locked", tmp_path / "askpass"
    shutil.copy(yaml.safe_load(lab.inventory.read_text())["connection"]["identity_file"], key)
    subprocess.run(("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)), check=True)
    fleet = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {"identity_file": str(key)}})
    monkeypatch.delenv("SSH_ASKPASS", raising=False)
    code, error = error_of(fleet.dockmesh("plan", "--json"), "host2")
    assert code == "key-encrypted"
    assert [word for word in (str(key), "ssh-add") if word not in error] == []
    askpass.write_text("#!/bin/sh\necho open sesame\n")
    askpass.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(askpass))
    assert fleet.dockmesh("plan").status == PENDING


@pytest.mark.usefixtures("fresh")
def test_a_certificate_beside_a_key_is_accepted(lab: Lab, tmp_path: Path) -> None:
    for name in ("authority", "id"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)), check=True)
    subprocess.run(
        ("ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "x", "-n", "root", tmp_path / "id.pub"), check=True
    )
    fleet = mesh.write_inventory(lab, tmp_path, {"host1": {}, "host2": {"identity_file": str(tmp_path / "id")}})
    admitted = f"cert-authority {(tmp_path / 'authority.pub').read_text()}"
    with temporary_file(lab, "host2", "/root/.ssh/authorized_keys2", admitted):
        assert fleet.dockmesh("plan").status == PENDING


def test_a_frozen_host_times_out_and_the_others_are_read(fresh: Mesh, lab: Lab) -> None:
    with paused(lab, "host2"):
        began = time.monotonic()
        answer = fresh.dockmesh("plan", "--json", "--timeout", "3")
        took_s = time.monotonic() - began
    code, error = error_of(answer, "host2")
    assert code in {"ssh-silent", "connect-timeout"}
    assert "192.168.18.129" in error
    assert took_s < 15


def test_a_host_with_extra_output_at_login_is_read(fresh: Mesh, lab: Lab) -> None:
    noise = "echo welcome; printf '\\033[31mred\\033[0m\\n@end 0\\n'\n"
    with (
        temporary_file(lab, "host2", "/root/.bashrc", noise),
        temporary_file(lab, "host2", "/etc/ssh/sshrc", "echo hello from sshrc >&2\n"),
    ):
        # sshd 9.8 and later rejects clients for a while after failed logins, as in the tests above.
        assert poll(lambda: fresh.dockmesh("plan").status == PENDING, PENALTY_S)
