"""Record how real hosts answer the reading script, as data for the unit tests: `make record`.

Every lab starts fresh, so a recording depends on no other. The files are written last, so a failure changes none.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker29_host
from accidents import is_idle
from mesh import Mesh

from dockmesh.core.desired.routing import underlays
from dockmesh.core.facts.script import facts_script
from dockmesh.core.host_output import split
from dockmesh.core.inventory import parse
from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import RELEASES
from dockmesh.pipeline import TEMPLATES
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.session import SshTransport

FOLDER = Path(__file__).parents[1] / "data" / "facts"
LAB = "-".join(filter(None, ("record", os.environ.get("DOCKMESH_LABS"))))
# The host that gets the stand-in for Docker 29.
NFTABLES = "host3"
TIMEOUT_S = 30
Recordings = dict[str, str]


def main() -> None:
    """Record every state, then write the files."""
    recordings = {**_ipv4(), **_dual(), **_nftables()}
    for name, text in recordings.items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
        print(name)


def _ipv4() -> Recordings:
    with _fresh_lab() as lab:
        mesh = Mesh(lab, lab.inventory)
        fresh = _by_release(mesh, "fresh")
        _join(mesh)
        joined = _by_release(mesh, "joined")
        for host in lab.topology.hosts:
            lab.inject("docker-stop", host.name)
            assert is_idle(lab, host.name)
        return fresh | joined | _by_release(mesh, "stopped")


def _dual() -> Recordings:
    with _fresh_lab() as lab:
        mesh = Mesh(lab, lab.inventory.with_name("dual.yml"))
        _join(mesh)
        return _by_release(mesh, "dual")


def _nftables() -> Recordings:
    with _fresh_lab() as lab:
        docker29_host.install_docker29(lab, NFTABLES)
        mesh = Mesh(lab, lab.inventory)
        fresh = _answers(mesh)[NFTABLES]
        _join(mesh)
        return {"nftables_fresh": fresh, "nftables_joined": _answers(mesh)[NFTABLES]}


@contextmanager
def _fresh_lab() -> Iterator[Lab]:
    lifecycle.down(LAB)
    try:
        yield lifecycle.up(LAB, len(RELEASES), RELEASES)
    finally:
        lifecycle.down(LAB)


def _join(mesh: Mesh) -> None:
    done = mesh.dockmesh("apply", "--yes", "--serial", "100%")
    assert done.status == 0, done


def _by_release(mesh: Mesh, state: str) -> Recordings:
    answers = _answers(mesh)
    return {f"{host.release}_{state}": answers[host.name] for host in mesh.lab.topology.hosts}


def _answers(mesh: Mesh) -> dict[str, str]:
    """The raw output by host, read as by dockmesh but without the user's SSH configuration."""
    fleet = parse(mesh.file.read_text(encoding="utf-8"), file=str(mesh.file))
    transport = SshTransport(SshConfig(()), timeout_s=TIMEOUT_S)
    answers = {}
    for host in fleet.hosts:
        with closing(transport.connect(host)) as session:
            answers[host.name] = session.run(facts_script(TEMPLATES, underlays(fleet, host)), timeout_s=TIMEOUT_S)
        split(answers[host.name])
    return answers


if __name__ == "__main__":
    main()
