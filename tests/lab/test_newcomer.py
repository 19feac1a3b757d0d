"""A newcomer's way, on a terminal from end to end: the wheel in an empty environment, hosts that ~/.ssh/config knows
behind a bastion, a sudo that wants a password; init, plan, apply, status, destroy.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from accidents import output_of, temporarily
from mesh import Mesh
from terminal import YES_OR_NO, conversation

from dockmesh.lab import network
from dockmesh.lab.running import Lab

ROOT = Path(__file__).parents[2]
HOSTS = ("host1", "host2", "host3")
BASTION = "host4"
PASSWORD = "correct horse"  # noqa: S105 (the lab's)
SUDO, KEPT = "/etc/sudoers.d/admin", "/root/kept.tar"
WITHIN_S = 180.0


@dataclass(frozen=True)
class Newcomer:
    """A new user with a separate home, on the LAN of the hosts, with an installed dockmesh."""

    lab: Lab
    home: Path
    program: Path

    def types(self, *words: str, answers: tuple[tuple[str, str], ...]) -> tuple[int, str]:
        """Call dockmesh on a terminal and answer its prompts in order. Returns the exit status and all output."""
        argv = network.inside(self.lab.topology.fabric, str(self.program), *words)
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "120"}
        return conversation(argv, answers, folder=self.home, environment=environment, within_s=WITHIN_S)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dockmesh installed from the wheel in an empty environment."""
    folder = tmp_path_factory.mktemp("installed")
    build = (
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    )
    subprocess.run((sys.executable, *build), check=True)
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")), check=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    install = ("install", "--quiet", "--disable-pip-version-check", "--no-compile", str(wheel))
    subprocess.run((sys.executable, "-m", "pip", "--python", str(python), *install), check=True)
    return python.with_name("dockmesh")


@pytest.fixture
def newcomer(fresh: Mesh, lab: Lab, program: Path, tmp_path: Path) -> Iterator[Newcomer]:
    assert fresh
    ssh = tmp_path / ".ssh"
    ssh.mkdir(mode=0o700)
    folder = lab.inventory.parent
    address = {host.name: host.underlay.ip for host in lab.topology.hosts}
    entries = "".join(f"Host docker-{name}\n  HostName {address[name]}\n" for name in HOSTS)
    bastion = f"Host bastion\n  HostName {address[BASTION]}\n"
    everywhere = f"Host *\n  User admin\n  IdentityFile {folder / 'id_ed25519'}\n"
    (ssh / "config").write_text(f"{entries}{bastion}Host docker-*\n  ProxyJump bastion\n{everywhere}")
    (ssh / "known_hosts").write_text((folder / "known_hosts").read_text())
    with ExitStack() as stack:
        for host in HOSTS:
            stack.enter_context(
                temporarily(
                    lab,
                    host,
                    do=[
                        f"tar -cf {KEPT} /etc/shadow /etc/shadow- {SUDO}",
                        f"echo 'admin:{PASSWORD}' | chpasswd",
                        f"echo 'admin ALL=(ALL:ALL) ALL' >{SUDO}",
                    ],
                    undo=[f"tar -xf {KEPT} -C / && rm {KEPT}"],
                )
            )
        yield Newcomer(lab, tmp_path, program)


def logins_on(lab: Lab, host: str) -> int:
    return output_of(lab, host, "journalctl", "--no-pager").count("Accepted publickey for admin")


def test_from_the_wheel_to_a_green_table_and_back(newcomer: Newcomer) -> None:
    password = (("[Pp]assword", PASSWORD),)
    sudo = ("--connection", "become=sudo")
    status, seen = newcomer.types("init", "--ssh-config", "docker-*", "-K", *sudo, answers=password)
    assert status == 0, seen
    assert "docker-host2" in (newcomer.home / "mesh.yml").read_text()
    status, seen = newcomer.types("plan", "-K", answers=password)
    assert status == 2, seen
    assert "docker-host1" in seen
    question = (YES_OR_NO, "y")
    status, seen = newcomer.types("apply", "-K", "--serial", "100%", answers=(*password, question))
    assert status == 0, seen
    assert re.search(r"\b21\b", seen), seen
    logins = logins_on(newcomer.lab, BASTION)
    status, seen = newcomer.types("status", "-K", answers=password)
    assert status == 0, seen
    assert logins_on(newcomer.lab, BASTION) == logins + 1, "all hosts share one login on the bastion"
    status, seen = newcomer.types("destroy", "-K", "--serial", "100%", answers=(*password, question))
    assert status == 0, seen
    assert PASSWORD not in seen
