"""The steps of docs/ci/github.yml for GitHub Actions, run against real hosts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import mesh
import yaml
from accidents import partitioned
from formats import cases, junit, visible_text
from mesh import Mesh

from dockmesh.lab.running import Lab
from docs.generate import FOLDER

WORKFLOW: Mapping[str, Any] = yaml.safe_load((FOLDER / "ci" / "github.yml").read_text())
# Steps of the runner itself or of the network, which the tests skip.
_OF_THE_RUNNER = ("Install",)


@dataclass(frozen=True, slots=True)
class Job:
    """The end of a job: the exit status of each step up to the first failure, and its files."""

    folder: Path
    steps: Mapping[str, int]
    said: str
    summary: str


def checkout(lab: Lab, folder: Path) -> Mesh:
    """A repository for the workflow, with an inventory without keys and the hosts' public keys."""
    given = yaml.safe_load(lab.inventory.read_text())["connection"]
    (folder / "known_hosts").write_bytes(Path(given["known_hosts"]).read_bytes())
    (folder / "secret").write_bytes(Path(given["identity_file"]).read_bytes())
    hosts: dict[str, dict[str, Any]] = {"host1": {}, "host2": {}, "host3": {}}
    return mesh.write_inventory(lab, folder, hosts, connection={"identity_file": None, "known_hosts": None})


def run(name: str, repository: Mesh, **more: str) -> Job:
    """The `run:` steps of a job, in a clone of the repository."""
    folder = Path(mkdtemp(dir=repository.file.parent, prefix=name))
    for file in ("mesh.yml", "known_hosts"):
        (folder / file).write_bytes((repository.file.parent / file).read_bytes())
    (folder / "home").mkdir()
    summary = folder / "summary.md"
    environment = {
        **os.environ,
        **WORKFLOW["env"],
        **more,
        "HOME": str(folder / "home"),
        "SSH_AUTH_SOCK": "",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
        "MESH_KEY": (repository.file.parent / "secret").read_text(),
    }
    ended: dict[str, int] = {}
    said = ""
    for step, script in _scripts(name):
        # The shell that GitHub documents for `run:`.
        done = subprocess.run(
            ("bash", "-e", "-c", script),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=mesh.WITHIN_S,
        )
        ended[step] = done.returncode
        said += done.stdout
        if done.returncode:
            break
    return Job(folder, ended, said, summary.read_text() if summary.exists() else "")


def _scripts(job: str) -> Iterator[tuple[str, str]]:
    for step in WORKFLOW["jobs"][job]["steps"]:
        if "run" in step and step["name"] not in _OF_THE_RUNNER:
            yield step["name"], step["run"]


def test_a_merge_request_gets_the_plan_and_the_main_branch_applies_it(fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    repository = checkout(lab, tmp_path)
    check = run("check", repository)
    assert check.steps == {"Log in": 0, "Validate": 0, "Plan": 0}, check
    assert re.search(r"\b3 hosts\b", check.said), check
    assert check.summary.startswith("## Plan\n\n    ")
    assert all(host in check.summary for host in fresh.hosts)

    joined = run("mesh", repository)
    assert joined.steps == {"Log in": 0, "Apply": 0}, joined
    assert re.search(r"✅.*\b21\b", visible_text(joined.summary)), joined
    found = junit((joined.folder / "mesh.xml").read_text())
    assert len(cases(found)) == 3 * 3 + 3
    assert not [*found.iter("failure"), *found.iter("error")]

    assert run("check", repository).steps["Plan"] == 0, "a plan without changes passes as well"


def test_an_invalid_inventory_fails_the_check(lab: Lab, tmp_path: Path) -> None:
    repository = checkout(lab, tmp_path)
    repository.file.write_text(repository.file.read_text().replace("prefix:", "prefx:", 1))
    check = run("check", repository)
    assert check.steps == {"Log in": 0, "Validate": 4}, check
    assert "prefx" in check.said


def test_a_host_that_is_cut_off_fails_both_jobs_and_is_in_the_summary(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    repository = checkout(lab, tmp_path)
    with partitioned(lab, "host3"):
        check = run("check", repository, DOCKMESH_PLAN_TIMEOUT="5")
        carried_out = run("mesh", repository, DOCKMESH_APPLY_TIMEOUT="5")
    assert check.steps["Plan"] == 3, check
    assert "host3" in check.summary
    assert carried_out.steps["Apply"] == 3, carried_out
    assert "host3" in visible_text(carried_out.summary)
    assert list(junit((carried_out.folder / "mesh.xml").read_text()).iter("error"))
    assert joined.dockmesh("status").status == 0
