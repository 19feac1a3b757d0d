"""A newcomer's way, on a terminal from end to end: the wheel in an empty environment, hosts that ~/.ssh/config knows
behind a bastion, a sudo that wants a password; init, plan, apply, status, destroy.
"""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from breaking import done
from mesh import Mesh

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
    """Somebody with a home of their own, where the hosts' LAN is, and with what they have installed."""

    lab: Lab
    home: Path
    program: Path

    def types(self, *words: str, answers: tuple[tuple[str, str], ...]) -> tuple[int, str]:
        """Call dockmesh on a terminal and answer what it asks, in that order; its exit status and all that was seen."""
        ours, its = pty.openpty()
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "120"}
        with (
            os.fdopen(ours, "r+b", buffering=0) as screen,
            subprocess.Popen(
                ("setsid", "--ctty", "--wait", *network.inside(self.lab.topology.fabric, str(self.program), *words)),
                stdin=its,
                stdout=its,
                stderr=its,
                cwd=self.home,
                env=environment,
            ) as process,
        ):
            os.close(its)
            seen = _conversation(screen.fileno(), answers)
            return process.wait(timeout=WITHIN_S), seen


def _conversation(screen: int, answers: tuple[tuple[str, str], ...]) -> str:
    seen, at, left, end = b"", 0, list(answers), time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        if not select.select([screen], [], [], 0.2)[0]:
            continue
        try:
            chunk = os.read(screen, 1 << 16)
        except OSError:  # Linux says EIO where the other side has closed.
            break
        seen += chunk
        if left and (found := re.search(left[0][0].encode(), seen[at:])):
            at += found.end()
            os.write(screen, f"{left.pop(0)[1]}\n".encode())
    assert not left, f"never asked {left[0][0]!r}:\n{seen.decode(errors='replace')}"
    return seen.decode(errors="replace")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dockmesh as `pip install` leaves it, out of the wheel, in an environment with nothing else."""
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
    subprocess.run((sys.executable, "-m", "venv", str(folder / "venv")), check=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    subprocess.run((str(python), *install), check=True)
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
                done(
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


def test_from_the_wheel_to_a_green_table_and_back(newcomer: Newcomer) -> None:
    password = (("[Pp]assword", PASSWORD),)
    sudo = ("--connection", "become=sudo")
    status, seen = newcomer.types("init", "--ssh-config", "docker-*", "-K", *sudo, answers=password)
    assert status == 0, seen
    assert "docker-host2" in (newcomer.home / "mesh.yml").read_text()
    status, seen = newcomer.types("plan", "-K", answers=password)
    assert status == 2, seen
    assert "docker-host1" in seen
    question = (r"\[y/N\]", "y")
    status, seen = newcomer.types("apply", "-K", "--serial", "100%", answers=(*password, question))
    assert status == 0, seen
    assert "All 21 probes reached" in seen
    status, seen = newcomer.types("status", "-K", answers=password)
    assert status == 0, seen
    status, seen = newcomer.types("destroy", "-K", "--serial", "100%", answers=(*password, question))
    assert status == 0, seen
    assert PASSWORD not in seen
