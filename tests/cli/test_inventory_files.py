"""Inventories of several files and of folders, as they are named on the command line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Refused, Run
from refusals import missing_facts

MESH = "mesh: {pool: 10.128.0.0/16, prefix_length: 20}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKMESH_INVENTORY", raising=False)
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "b.yml").write_text("hosts: {b1: {address: 192.0.2.1}}\n")
    (folder / "a.yaml").write_text("hosts: {a1: {address: 192.0.2.2, prefix: 10.0.0.0/24}}\n")
    (folder / "mesh.yml").write_text(MESH)
    (folder / ".#b.yml").write_text("what an editor leaves")
    (folder / "notes.txt").write_text("no inventory")
    return folder


def hosts(told: tuple[int, str, str]) -> list[str]:
    assert told[0] == 0, told
    names: list[str] = json.loads(told[1])["hosts"]
    return names


def test_allocate_writes_into_the_file_of_a_folder_that_the_host_stands_in(folder: Path, run: Run) -> None:
    status, out, _ = run("allocate", "-i", "fleet", "--write")
    assert (status, missing_facts(out.splitlines()[-1], "1 fleet/b.yml")) == (0, [])
    assert (folder / "b.yml").read_text() == "hosts: {b1: {address: 192.0.2.1, prefix: 10.128.0.0/20}}\n"
    assert (folder / "mesh.yml").read_text() == MESH
    out = run("validate", "-i", "fleet")[1]
    assert re.findall(r"\b\d+\b", out) == ["2", "2"]
    assert re.findall(r"fleet/[\w.]+", out) == ["fleet/a.yaml", "fleet/b.yml", "fleet/mesh.yml"]


def test_files_are_read_in_the_order_given_and_those_of_a_folder_by_name(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b.yml").write_text("hosts: {b1: {address: 192.0.2.1, docker: false}}\n")
    assert hosts(run("validate", "-i", "fleet", "--json")) == ["a1", "b1"]
    assert hosts(run("validate", "-i", "fleet/b.yml", "-i", "fleet/a.yaml", "--json")) == ["b1", "a1"]
    assert hosts(run("validate", "-i", "fleet/b.yml", "-i", "fleet", "--json")) == ["b1", "a1"]
    monkeypatch.setenv("DOCKMESH_INVENTORY", "fleet/b.yml:fleet/a.yaml")
    assert hosts(run("validate", "--json")) == ["b1", "a1"]


def places(problems: list[dict[str, Any]]) -> list[tuple[str, int, int, str]]:
    return [(each["file"], each["line"], each["column"], each["code"]) for each in problems]


def test_mistakes_are_named_with_the_file_they_are_in(folder: Path, run: Run, problems_of_call: Refused) -> None:
    (folder / "b.yml").write_text("hosts:\n  a1: {address: 192.0.2.1, colour: red}\n")
    found = problems_of_call("validate", "-i", "fleet")
    assert places(found) == [("fleet/b.yml", 2, 3, "duplicate"), ("fleet/b.yml", 2, 28, "unknown-key")]
    assert missing_facts(found[0]["message"], "a1 fleet/a.yaml:1:9") == []
    assert missing_facts(found[1]["message"], "colour address") == []
    (folder / "a.yaml").write_text("hosts: [\n")
    (folder / "b.yml").write_text("")
    assert places(problems_of_call("validate", "-i", "fleet")) == [
        ("fleet/a.yaml", 2, 1, "syntax"),
        ("fleet/b.yml", 1, 1, "empty-file"),
    ]
    err = run("validate", "-i", "fleet")[2]
    assert [line.split(": ")[0] for line in err.splitlines()] == ["fleet/a.yaml:2:1", "fleet/b.yml:1:1"]


def test_a_folder_without_an_inventory_is_told(tmp_path: Path, folder: Path, problems_of_call: Refused) -> None:
    (tmp_path / "empty").mkdir()
    (problem,) = problems_of_call("validate", "-i", "empty")
    assert (problem["code"], missing_facts(problem["message"], "empty .yml .yaml")) == ("no-inventory", [])
    (problem,) = problems_of_call("validate", "-i", str(folder / "nowhere"))
    assert (problem["code"], str(folder / "nowhere") in problem["message"]) == ("cannot-read", True)
