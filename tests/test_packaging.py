"""What is published: a wheel and a source archive that work in an empty environment, and licences that go together."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
import results
from packaging.requirements import Requirement

from dockmesh import __version__

ROOT = Path(__file__).parent.parent
# What may be used by a program under the Apache licence. LGPL: paramiko, imported as it is published.
FREE = {"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-2.1", "MIT", "MIT-0", "PSF-2.0"}
_OLD_NAMES = {"Apache Software License": "Apache-2.0", "BSD License": "BSD", "MIT License": "MIT"}


@dataclass(frozen=True, slots=True)
class Installed:
    """dockmesh in an environment that has nothing else but, after it, what it depends on."""

    environment: Path

    def run(self, *argv: str, within: Path) -> str:
        """What a command of the environment prints. Raises AssertionError where it fails."""
        program, *words = argv
        env = {"PATH": os.environ["PATH"], "HOME": str(within), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            (self.environment / "bin" / program, *words),
            cwd=within,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done
        return done.stdout


def call(*argv: str | Path, cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done


def build(kind: str, source: Path, target: Path) -> Path:
    """Without a network and without isolation: by the hatchling that is here."""
    call(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target, cwd=source)
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    return build("wheel", ROOT, folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, folder: Path) -> Installed:
    environment = folder / "environment"
    call(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "--disable-pip-version-check")
    call(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    # Dependencies alone: the way of an editable dockmesh is a .pth there, and those are not followed from here.
    (site,) = environment.glob("lib/python*/site-packages")
    here = Path(pytest.__file__).parent.parent
    (site / "dependencies.pth").write_text(f"{here}\n")
    return Installed(environment)


def test_the_wheel_works_where_nothing_of_the_sources_is(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("dockmesh", "--version", within=tmp_path) == f"dockmesh {__version__}\n"
    (tmp_path / "mesh.yml").write_text((ROOT / "inventory" / "example.yml").read_text())
    valid = json.loads(installed.run("dockmesh", "validate", "--json", within=tmp_path))
    assert valid["format"] == "dockmesh/validate/1"
    assert valid["hosts"]
    assert json.loads(installed.run("dockmesh", "schema", within=tmp_path))
    where = "import dockmesh, dockmesh.assets as a; print(dockmesh.__file__, a.FOLDER)"
    assert all(
        Path(each).is_relative_to(installed.environment)
        for each in installed.run("python", "-c", where, within=tmp_path).split()
    )


def test_the_wheel_has_its_templates(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "mesh.json").write_text(json.dumps(results.document(3)))
    installed.run("dockmesh", "report", "mesh.json", "--html", "mesh.html", within=tmp_path)
    assert "<!doctype html>" in (tmp_path / "mesh.html").read_text()
    rendered = (
        "from dockmesh.pipeline import TEMPLATES; from dockmesh.core.desired.host_state import _template;"
        "print(_template(TEMPLATES.service).render(reassert_script='/script', runs_docker=True), len(TEMPLATES.facts))"
    )
    assert "ExecStart=/bin/sh /script\n" in installed.run("python", "-c", rendered, within=tmp_path)


def test_the_wheel_brings_the_man_page_and_the_licences(installed: Installed, wheel: Path) -> None:
    page = installed.environment / "share" / "man" / "man1" / "dockmesh.1"
    assert page.read_text().startswith(".TH DOCKMESH 1")
    names = zipfile.ZipFile(wheel).namelist()
    licences = [name.split("/licenses/")[1] for name in names if "/licenses/" in name]
    assert sorted(licences) == ["LICENSE", "templates/report/d3/LICENSE"]


def test_from_the_source_archive_comes_the_same_wheel(wheel: Path, folder: Path) -> None:
    archive = build("sdist", ROOT, folder)
    unpacked = folder / "unpacked"
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    again = build("wheel", source, folder / "again")
    assert contents(again) == contents(wheel)
    assert {"docs/guides/ci.md", "tests/conftest.py", "inventory/example.yml", "CHANGELOG.md"} <= {
        str(file.relative_to(source)) for file in source.rglob("*")
    }


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_the_licences_of_all_that_is_installed_with_dockmesh_go_with_its_own() -> None:
    found = {name: licence(name) for name in closure("dockmesh")}
    assert len(found) > 20, "the dependencies' own are among them"
    assert {name: each for name, each in found.items() if not free(each)} == {}


def closure(name: str) -> set[str]:
    """A distribution, and all that it needs when it runs."""
    found: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop().lower()
        if each not in found:
            found.add(each)
            todo += needed(each)
    return found


def needed(name: str) -> Iterator[str]:
    for text in distribution(name).requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield wanted.name


def licence(name: str) -> str:
    """As an SPDX expression, by the newest of the three ways in which metadata say it."""
    metadata = distribution(name).metadata
    classified = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier") or () if "License ::" in each]
    said: str = metadata.get("License-Expression") or metadata.get("License") or " AND ".join(classified)
    return re.sub("|".join(_OLD_NAMES), lambda old: _OLD_NAMES[old[0]], said)


def free(expression: str) -> bool:
    return all(FREE & set(part.split(" OR ")) for part in expression.split(" AND "))


@pytest.mark.parametrize(
    ("expression", "ours"),
    [("MIT", True), ("GPL-3.0-only", False), ("GPL-2.0 OR MIT", True), ("MIT AND GPL-2.0", False), ("", False)],
)
def test_a_licence_that_binds_is_told_from_one_that_does_not(expression: str, ours: bool) -> None:
    assert free(expression) is ours


def test_the_versions_of_python_that_are_promised_are_those_that_are_classified() -> None:
    metadata = distribution("dockmesh").metadata
    promised = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier") or () if "Python :: 3" in each]
    assert promised == ["3.11", "3.12", "3.13"]
    assert metadata["Requires-Python"] == f">={promised[0]}"
    named = set(re.findall(r"(?<![\d.])3\.\d\d(?!\.?\d)", (ROOT / "README.md").read_text()))
    assert {promised[0], promised[-1]} <= named <= set(promised)
