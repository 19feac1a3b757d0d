"""The wheel and the source archive work in an empty environment, and the licences are compatible."""

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
# Licences that are compatible with Apache-2.0. LGPL covers paramiko, which is imported unmodified.
FREE = {"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-2.1", "MIT", "MIT-0", "PSF-2.0"}
_OLD_NAMES = {"Apache Software License": "Apache-2.0", "BSD License": "BSD", "MIT License": "MIT"}


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with dockmesh and, behind it on the path, its dependencies."""

    environment: Path

    def run(self, *argv: str, within: Path) -> str:
        """The stdout of a command of the environment. Raises AssertionError if the command fails."""
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
    """Build with the installed hatchling, without network and isolation."""
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
    # Python does not read .pth files of a folder that a .pth file adds, so the editable dockmesh there stays unused.
    (site,) = environment.glob("lib/python*/site-packages")
    here = Path(pytest.__file__).parent.parent
    (site / "dependencies.pth").write_text(f"{here}\n")
    return Installed(environment)


def test_the_wheel_works_without_the_sources(installed: Installed, tmp_path: Path) -> None:
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


def test_the_wheel_contains_the_templates(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "mesh.json").write_text(json.dumps(results.document(3)))
    installed.run("dockmesh", "report", "mesh.json", "--html", "mesh.html", within=tmp_path)
    assert "<!doctype html>" in (tmp_path / "mesh.html").read_text()
    rendered = (
        "from dockmesh.pipeline import TEMPLATES; from dockmesh.core.desired.host_state import _template;"
        "print(_template(TEMPLATES.service).render(reassert_script='/script', runs_docker=True), len(TEMPLATES.facts))"
    )
    assert "ExecStart=/bin/sh /script\n" in installed.run("python", "-c", rendered, within=tmp_path)


def test_the_wheel_contains_the_man_page_and_the_licences(installed: Installed, wheel: Path) -> None:
    page = installed.environment / "share" / "man" / "man1" / "dockmesh.1"
    assert page.read_text().startswith(".TH DOCKMESH 1")
    names = zipfile.ZipFile(wheel).namelist()
    licences = [name.split("/licenses/")[1] for name in names if "/licenses/" in name]
    assert sorted(licences) == ["LICENSE", "templates/report/d3/LICENSE"]


def test_the_source_archive_builds_the_same_wheel(wheel: Path, folder: Path) -> None:
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


def test_the_licences_of_all_dependencies_are_compatible() -> None:
    licences = {name: licence(name) for name in closure("dockmesh")}
    assert len(licences) > 20, "indirect dependencies are included"
    assert {name: each for name, each in licences.items() if not free(each)} == {}


def closure(name: str) -> set[str]:
    """A distribution and all its runtime dependencies."""
    names: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop().lower()
        if each not in names:
            names.add(each)
            todo += dependencies(each)
    return names


def dependencies(name: str) -> Iterator[str]:
    """The direct runtime dependencies of a distribution."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def licence(name: str) -> str:
    """The licence as an SPDX expression, from the newest of three metadata formats that is present."""
    metadata = distribution(name).metadata
    classified = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier") or () if "License ::" in each]
    text: str = metadata.get("License-Expression") or metadata.get("License") or " AND ".join(classified)
    return re.sub("|".join(_OLD_NAMES), lambda old: _OLD_NAMES[old[0]], text)


def free(expression: str) -> bool:
    return all(FREE & set(part.split(" OR ")) for part in expression.split(" AND "))


@pytest.mark.parametrize(
    ("expression", "ours"),
    [("MIT", True), ("GPL-3.0-only", False), ("GPL-2.0 OR MIT", True), ("MIT AND GPL-2.0", False), ("", False)],
)
def test_incompatible_licences_are_detected(expression: str, ours: bool) -> None:
    assert free(expression) is ours


def test_metadata_and_readme_name_the_same_python_versions() -> None:
    metadata = distribution("dockmesh").metadata
    promised = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier") or () if "Python :: 3" in each]
    assert promised == ["3.11", "3.12", "3.13"]
    assert metadata["Requires-Python"] == f">={promised[0]}"
    named = set(re.findall(r"(?<![\d.])3\.\d\d(?!\.?\d)", (ROOT / "README.md").read_text()))
    assert {promised[0], promised[-1]} <= named <= set(promised)
